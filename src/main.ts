import * as core from '@actions/core';
import { warnEndOfLife } from './cluster/end-of-life.ts';
import { Checks } from './github/check.ts';
import { createClient } from './github/client.ts';
import { watchClock } from './github/clock.ts';
import { isClusterPath } from './inputs/call-schema.ts';
import type { ClusterFile } from './inputs/cluster-file.ts';
import type { FileInput } from './inputs/file-origin.ts';
import type { Inputs } from './inputs/inputs.ts';
import { limitAnnotations } from './inputs/limit-annotations.ts';
import { locateInFile } from './inputs/locate-in-cluster-file.ts';
import { readCommand, readInputs } from './inputs/read-inputs.ts';
import { RefusedInputsError } from './inputs/refused-inputs-error.ts';
import { createRedactor, listSecretParts, listSecrets } from './inputs/secrets.ts';
import { combineKeys, type PublicKeys, readPublicKeys, SUBSTITUTE_KEY } from './inputs/ssh-key.ts';
import { mergeStepInputs, type StepInputs, separateDefaults } from './inputs/step-inputs.ts';
import { Announcement } from './jobs/announcement.ts';
import { close } from './jobs/close.ts';
import { deploy } from './jobs/deploy.ts';
import { reportDrift } from './jobs/drift.ts';
import { EffectLabels } from './jobs/effect-labels.ts';
import { failOver } from './jobs/failover.ts';
import { type ClusterFileLookup, findClusterFile } from './jobs/find-cluster-file.ts';
import type { Job } from './jobs/job.ts';
import { awaitConsent } from './jobs/plan-consent.ts';
import { saveComment, saveWorkspace } from './jobs/post-state.ts';
import { findNewerCommit, findTargetPullRequest, identifyCluster } from './jobs/target-pull-request.ts';
import { announceRefusedInputs, type RefusedRun } from './jobs/refused-inputs.ts';
import { replaceNode } from './jobs/replace.ts';
import { review } from './jobs/review.ts';
import { runOperation } from './jobs/single-operation.ts';
import { CancelledError, UserError } from './messages/errors.ts';
import { forwardSignals } from './process/child-process.ts';
import { ClusterChecks } from './review/cluster-checks.ts';
import { DeployCheck } from './review/deploy-check.ts';
import { ReviewStore } from './review/review-store.ts';
import { findActionRoot } from './runner/assets.ts';
import { decideIntent } from './runner/decide-intent.ts';
import { type RunnerEnvironment, readEnvironment } from './runner/environment.ts';
import { type Intent, isConfiguring, type RunnableIntent } from './runner/intent.ts';
import { logGroup } from './runner/log-group.ts';
import { openWorkspace } from './runner/workspace.ts';

/** Runs the action. Everything that goes wrong ends here, said once. */
export async function run(): Promise<void> {
  // As long as nothing but the inputs can be wrong.
  let unchecked: RefusedRun | null = null;
  let file: FileInput | null = null;
  try {
    forwardSignals();
    const step = readStepInputs();
    const values = mergeStepInputs(step);
    const secrets = listSecrets(values);
    for (const secret of secrets) core.setSecret(secret);
    const environment = await readEnvironment(process.env);
    const command = readCommand(values);
    const intent = decideIntent(command ?? 'auto', environment.event);
    core.info(`${intent.kind}: ${intent.why}`);
    if (intent.kind === 'skip' && command !== null) {
      core.notice(`Nothing to do: ${intent.why}.`);
      return;
    }
    const redact = createRedactor(secrets);
    unchecked = { token: values['github-token'] ?? '', intent, environment, redact };
    // An unknown command is a problem of the inputs.
    const found = intent.kind === 'skip' ? null : await findFile(step, { intent, environment });
    if (found !== null && 'idle' in found) {
      core.notice(`Nothing to do: ${found.idle}`);
      return;
    }
    file = found?.file ?? null;
    for (const secret of (file?.file.secrets ?? []).flatMap(listSecretParts))
      core.setSecret(secret);
    const { inputs, keys, notes } = await checkInputs(step, { file, intent, environment });
    if (found === null) return;
    const workspace = await openWorkspace({
      root: environment.workspace,
      workingDirectory: inputs.workingDirectory,
      runnerTemp: environment.temporary,
    });
    unchecked = null;
    saveWorkspace(workspace);
    const job = { environment, inputs, keys, workspace, actionRoot: findActionRoot() };
    await perform(found.intent, { job, notes, redact });
  } catch (error) {
    await reportFailure(error, file?.file ?? null);
    if (unchecked !== null && error instanceof UserError) {
      await announceRefusedInputs(error, unchecked);
    }
  }
}

function readStepInputs(): StepInputs {
  return separateDefaults((name) => core.getInput(name, { trimWhitespace: false }));
}

/** The cluster file that the step names, and what the run may read. */
async function findFile(
  step: StepInputs,
  {
    intent,
    environment,
  }: { intent: Exclude<Intent, { kind: 'skip' }>; environment: RunnerEnvironment },
): Promise<ClusterFileLookup> {
  const { 'cluster-file': given = '', 'github-token': token = '' } = mergeStepInputs(step);
  // What is no path is a problem of the inputs.
  const path = isClusterPath(given) ? given : null;
  if (path !== null && token === '') {
    throw new UserError(
      'github-token: missing. The cluster file is read with it. Leave the input out to have the token of the job.',
    );
  }
  const client = createClient({ token, apiUrl: environment.apiUrl, log: core.info });
  return findClusterFile(intent, { client, environment, step, path });
}

async function checkInputs(
  step: StepInputs,
  {
    file,
    intent,
    environment,
  }: { file: FileInput | null; intent: Intent; environment: RunnerEnvironment },
): Promise<{ inputs: Inputs; keys: PublicKeys | null; notes: readonly string[] }> {
  const checked = readInputs({ step, file }, intent);
  const { notes, inputs } = checked.inputs === null ? { notes: [], inputs: null } : checked;
  const privateKey = step.given['ssh-private-key'] ?? '';
  const result = privateKey === '' ? null : await readPublicKeys(privateKey, environment.temporary);
  const combined = combineKeys({
    publicKey: inputs?.sshPublicKey ?? null,
    fromPrivate: result && 'keys' in result ? result.keys : null,
    configures: isConfiguring(intent),
  });
  const keyProblem = result && 'problem' in result ? result : combined;
  const all = [...checked.problems, ...('problem' in keyProblem ? [keyProblem.problem] : [])];
  if (inputs === null || all.length > 0 || 'problem' in combined) {
    throw new RefusedInputsError(all, checked.inputs === null ? checked.cluster : null);
  }
  if (combined.keys !== null || intent.kind !== 'review' || intent.withoutSecrets === null) {
    return { inputs, keys: combined.keys, notes };
  }
  core.warning(
    `ssh-private-key: GitHub gives no secrets to ${intent.withoutSecrets}, so the plan is made with a substitute; what it says of the key pair is not what a merge would do.`,
  );
  return { inputs, keys: { current: SUBSTITUTE_KEY, retired: [] }, notes };
}

async function perform(
  intent: RunnableIntent,
  { job, notes, redact }: { job: Job; notes: readonly string[]; redact: (text: string) => string },
): Promise<void> {
  if (intent.kind === 'operation') return runOperation(job, intent.operation);

  const { environment, inputs } = job;
  const { repository, run } = environment;
  const client = createClient({
    token: inputs.githubToken,
    apiUrl: environment.apiUrl,
    log: core.info,
  });
  const now = watchClock(client);
  const { spec, workingDirectory } = inputs;
  const { name, region } = spec;
  const { clusterFile } = inputs;
  const identity = identifyCluster(environment, { name, region, workingDirectory, clusterFile });
  const today = new Date().toISOString().slice(0, 10);
  const endOfLife = warnEndOfLife(spec.imageTag, today);
  const warnings = [...notes, ...(endOfLife === null ? [] : [endOfLife])];
  for (const warning of warnings) core.warning(warning);
  if (intent.kind === 'drift') {
    return reportDrift(job, { client, identity, commit: intent.sha, warnings, redact });
  }
  const target = await findTargetPullRequest(client, { intent, environment });
  const shared = inputs.comment === 'shared';
  const { number } = target;
  const place = number === null ? null : { repository, number, identity, run, shared };
  if (place === null) core.info('No pull request to comment on; the job summary has the report.');
  else saveComment(place);
  const announcement = new Announcement({ client, place, redact });
  const checks = new ClusterChecks({
    checks: new Checks(client, repository),
    identity,
    cluster: name,
    redact,
  });
  const key = inputs.secrets.reviewKey;
  const deployCheck = new DeployCheck(checks, key);
  const reviewStore = new ReviewStore({ checks, deployment: deployCheck, key, now, redact });
  const labels = new EffectLabels({ client, place, prefix: inputs.labelPrefix });
  switch (intent.kind) {
    case 'review':
    case 'deploy': {
      const commit = intent.sha;
      const findNewer = () => findNewerCommit(client, { commit, environment });
      const context = {
        announcement,
        reviewStore,
        deployCheck,
        commit,
        warnings,
        pullRequest: target,
        findNewerCommit: findNewer,
      };
      if (intent.kind === 'deploy') return deploy(job, context, intent);
      const { event, base } = intent;
      const pullRequest = intent.pullRequest ?? intent.queued;
      return review(job, context, {
        labels,
        origin: { event, pullRequest, base, run },
      });
    }
    case 'failover':
      return failOver(job, { announcement, commit: intent.sha, fenced: inputs.fenced });
    case 'replace':
      return replaceNode(job, { announcement, commit: intent.sha });
    case 'close':
      return close(job, announcement);
    case 'await':
      return awaitConsent(job, {
        announcement,
        labels,
        label: inputs.allowPlanLabel,
        commit: intent.sha,
      });
  }
}

/** A user's mistake in words, line by line; anything else as the defect it is. */
async function reportFailure(error: unknown, file: ClusterFile | null): Promise<void> {
  process.exitCode = core.ExitCode.Failure;
  if (error instanceof UserError) {
    const step = readStepInputs();
    const { given } = step;
    const values = mergeStepInputs(step);
    const path = values['cluster-file'] ?? '';
    const annotate = (problem: string) => locateInFile(problem, { path, file, given }) ?? {};
    const { annotations, lines } = limitAnnotations(error.problems);
    for (const problem of annotations) core.error(problem, annotate(problem));
    if (lines.length > 0) await logGroup('All problems', async () => core.info(lines.join('\n')));
  } else if (error instanceof CancelledError) {
    core.error(`The job was ${error.message}. Run it again: it continues from what it finds.`);
  } else {
    const cause = error instanceof Error ? error : new Error(String(error));
    core.error(`${cause.message}. This is not your mistake; please report it with the log.`);
    // Its first lines are the message, which may quote anything.
    await logGroup('Where it went wrong', async () => core.info(cause.stack ?? ''));
  }
}
