import { rm } from 'node:fs/promises';
import * as core from '@actions/core';
import { Checks } from './github/check.ts';
import { createClient } from './github/client.ts';
import { createRedactor, listSecrets, SECRET_INPUTS } from './inputs/secrets.ts';
import { Announcement } from './jobs/announcement.ts';
import { loadPostState, type PostState } from './jobs/post-state.ts';
import { awaitSurvivor, type Survivor } from './process/survivor.ts';
import {
  type DeployReport,
  renderDeployComment,
  renderDeployShort,
  renderDeployTitle,
} from './report/deploy-comment.ts';
import { renderRedacted } from './report/redact.ts';
import { readEnvironment } from './runner/environment.ts';
import { logGroup } from './runner/log-group.ts';
import { Terraform, type TerraformSetup } from './terraform/cli.ts';
import { prepareEnvironment } from './terraform/environment.ts';
import { isStateUnsaved, type RescueResult } from './terraform/errored-state.ts';

/** How long to wait for a child that outlived the main process, and how often to say so, in ms. */
const PATIENCE = 240_000;
const REMINDER = 15_000;

/**
 * After the job, however it ended: lets Terraform finish what it had begun, removes keys and plan files, and
 * finishes a comment that still says that something is running.
 */
async function cleanUp(): Promise<void> {
  const { temporary, directory, child, terraform, ...rest } = loadPostState();
  await attempt(async () => child && (await awaitChild(child)));
  // Before anything is removed: an apply may have left its state where it ran.
  await attempt(async () => {
    const rescue = terraform && (await saveState(terraform));
    if (rescue !== null) rest.progress = addWarning(rest.progress, rescue.message);
  });
  const isLast = terraform !== null && (await isStateUnsaved(terraform));
  for (const folder of isLast ? [temporary] : [temporary, directory]) {
    await attempt(async () => folder && (await rm(folder, { recursive: true, force: true })));
  }
  await attempt(() => finishReports(rest));
}

/** Saves a state that an apply could not write to its backend. Returns null when every state was written. */
async function saveState(setup: TerraformSetup): Promise<RescueResult | null> {
  const environment = await prepareEnvironment(process.env, setup);
  const rescue = await new Terraform({ ...setup, environment, log: core.info }).rescueState();
  if (rescue?.saved) core.notice(rescue.message);
  else if (rescue) core.error(rescue.message);
  return rescue;
}

function addWarning(report: DeployReport | null, warning: string): DeployReport | null {
  return report && { ...report, warnings: [...report.warnings, warning] };
}

/** The job's own outcome stands; what could not be cleaned is said. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    core.warning(`After the job: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Once this step is over the runner kills whatever the job left running. */
async function awaitChild(child: Survivor): Promise<void> {
  const name = `${child.what} (process ${child.pid})`;
  const ended = await logGroup(`Wait for ${child.what}`, async () => {
    core.info(`${name} outlived the job; it finishes what it had begun and writes its state.`);
    const started = Date.now();
    const reminder = setInterval(() => {
      const seconds = Math.round((Date.now() - started) / 1000);
      core.info(`Waiting for ${name} for ${seconds} s, ${PATIENCE / 1000} s at most`);
    }, REMINDER);
    try {
      return await awaitSurvivor(child, { timeout: PATIENCE, onLine: core.info });
    } finally {
      clearInterval(reminder);
    }
  });
  if (!ended) {
    core.warning(
      `${name} has not ended after ${PATIENCE / 60_000} minutes and is about to be killed by the runner. Its state may lack what it made last, and stay locked: compare them before the next run.`,
    );
  }
}

/** What another run has said since is not this one's to end. */
async function finishReports({
  comment,
  progress,
  undelivered,
  check,
}: Pick<PostState, 'comment' | 'progress' | 'undelivered' | 'check'>) {
  if ((progress === null && undelivered === null) || (comment === null && check === null)) return;
  const { apiUrl, repository } = await readEnvironment(process.env);
  const client = createClient({ token: core.getInput('github-token'), apiUrl, log: core.info });
  const secrets = SECRET_INPUTS.map((name) => [name, core.getInput(name)] as const);
  const redact = createRedactor(listSecrets(Object.fromEntries(secrets)));
  const announcement = new Announcement({ client, place: comment, redact });
  if (undelivered !== null) {
    await announcement.publish(undelivered, {
      body: ({ body }) => body,
      ...(undelivered.short !== null && { short: ({ short }) => short ?? '' }),
    });
  }
  if (progress === null) return;
  await announcement.finish(progress, { body: renderDeployComment });
  if (check === null) return;
  const { id, ...rest } = check;
  await new Checks(client, repository).update(id, {
    ...rest,
    title: renderRedacted(progress, { render: renderDeployTitle, redact }),
    summary: renderRedacted(progress, { render: renderDeployShort, redact }),
    status: 'completed',
    conclusion: 'cancelled',
  });
}

await attempt(cleanUp);
