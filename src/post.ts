import { rm } from 'node:fs/promises';
import * as core from '@actions/core';
import { Checks } from './github/check.ts';
import { createClient, type GitHubClient } from './github/client.ts';
import { remarkIssue } from './github/issue.ts';
import { recordSection } from './github/section-record.ts';
import { createRedactor, listSecrets, SECRET_INPUTS } from './inputs/secrets.ts';
import { Announcement } from './jobs/announcement.ts';
import { loadPostState, type PostState, type Remark } from './jobs/post-state.ts';
import { concludeDeploy } from './jobs/run-report.ts';
import { readMessage } from './messages/errors.ts';
import { awaitSurvivor, type Survivor } from './process/survivor.ts';
import {
  renderDeployComment,
  renderDeployShort,
  renderDeployTitle,
} from './report/deploy-comment.ts';
import type { DeployReport } from './report/deploy-report.ts';
import { renderRedacted } from './report/redact.ts';
import { readEnvironment } from './runner/environment.ts';
import { logGroup } from './runner/log-group.ts';
import { Terraform, type TerraformSetup } from './terraform/cli.ts';
import { prepareEnvironment } from './terraform/environment.ts';
import { isStateUnsaved, type RescueResult } from './terraform/errored-state.ts';

/** How long to wait for a child that outlived the main process, and how often to log that, in ms. */
const TIMEOUT_MS = 240_000;
const REMINDER_MS = 15_000;

/**
 * Runs after the job, however it ended: waits for Terraform to finish, saves an unwritten state, removes keys and plan
 * files, and completes a comment or check run that still shows a run in progress.
 */
async function cleanUp(): Promise<void> {
  const { workspaces, child, terraform, ...rest } = loadPostState();
  let isChildRunning = false;
  await attempt(async () => {
    if (child) isChildRunning = !(await awaitChild(child));
  });
  // First: an apply may have left its state in a folder that is removed below.
  await attempt(async () => {
    const rescue = terraform && (await saveState(terraform));
    if (rescue !== null) rest.progress = addWarning(rest.progress, rescue.message);
  });
  const isLast = terraform !== null && (await isStateUnsaved(terraform));
  // A Terraform that still runs writes its state there if its backend fails.
  const isKept = isLast || isChildRunning;
  const folders = workspaces.flatMap(({ temporary, directory }) =>
    isKept ? [temporary] : [temporary, directory],
  );
  for (const folder of folders) {
    await attempt(() => rm(folder, { recursive: true, force: true }));
  }
  await attempt(() => finishReports(rest));
  const { remark } = rest;
  if (remark !== null) await attempt(() => sayInIssue(remark));
}

/** Says in an issue what the job did not live to say. */
async function sayInIssue(remark: Remark): Promise<void> {
  const result = await remarkIssue(await connect(), remark);
  if (result.outcome === 'forbidden') {
    core.warning(
      `github-token: no issue could be written (${result.reason}). Give the job the permission issues: write. It would have said: ${remark.title}`,
    );
  } else core.notice(`Issue #${result.number} says what is left (${result.url}).`);
}

async function connect(): Promise<GitHubClient> {
  const { apiUrl } = await readEnvironment(process.env);
  return createClient({ token: core.getInput('github-token'), apiUrl, log: core.info });
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

/** Does a part of the clean-up; a failure is a warning, as the job has its own outcome. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    core.warning(`After the job: ${readMessage(error)}`);
  }
}

/** Waits for a child, as the runner kills every process after this step. Returns whether it has ended. */
async function awaitChild(child: Survivor): Promise<boolean> {
  const name = `${child.what} (process ${child.pid})`;
  const ended = await logGroup(`Wait for ${child.what}`, async () => {
    core.info(`${name} outlived the job; it finishes what it had begun and writes its state.`);
    const started = Date.now();
    const reminder = setInterval(() => {
      const seconds = Math.round((Date.now() - started) / 1000);
      core.info(`Waiting for ${name} for ${seconds} s, ${TIMEOUT_MS / 1000} s at most`);
    }, REMINDER_MS);
    try {
      return await awaitSurvivor(child, { timeout: TIMEOUT_MS, onLine: core.info });
    } finally {
      clearInterval(reminder);
    }
  });
  if (!ended) {
    core.warning(
      `${name} has not ended after ${TIMEOUT_MS / 60_000} minutes, and the runner is about to kill it. Its state may lack the latest changes and stay locked: compare it with AWS before the next run.`,
    );
  }
  return ended;
}

/** Delivers the last report, or reports that the run was cancelled or how it had ended; leaves the comment of a newer run as it is. */
async function finishReports({
  comment,
  progress,
  undelivered,
  check,
}: Pick<PostState, 'comment' | 'progress' | 'undelivered' | 'check'>) {
  if ((progress === null && undelivered === null) || (comment === null && check === null)) return;
  const { repository } = await readEnvironment(process.env);
  const client = await connect();
  const secrets = SECRET_INPUTS.map((name) => [name, core.getInput(name)] as const);
  const redact = createRedactor(listSecrets(Object.fromEntries(secrets)));
  const announcement = new Announcement({ client, comment, redact });
  if (undelivered !== null) {
    await announcement.publish(undelivered, {
      body: ({ body }) => body,
      ...(undelivered.short !== null && { short: ({ short }) => short ?? '' }),
    });
  }
  if (progress === null) return;
  // First, as a shared comment relies on it.
  if (check !== null) {
    const { id, ...rest } = check;
    const render = (renderer: (report: DeployReport) => string) =>
      renderRedacted(progress, { render: renderer, redact });
    const recorded = comment?.shared ? recordSection(render(renderDeployComment), comment) : null;
    await attempt(() =>
      new Checks(client, repository).update(id, {
        ...rest,
        title: render(renderDeployTitle),
        summary: recorded ?? render(renderDeployShort),
        status: 'completed',
        conclusion: concludeDeploy(progress.progress),
      }),
    );
  }
  await announcement.finish(progress, { body: renderDeployComment });
}

await attempt(cleanUp);
