import * as core from '@actions/core';
import { createClient } from './github/client.ts';
import { isClusterPath } from './inputs/call-schema.ts';
import type { FileInput } from './inputs/file-origin.ts';
import { readCommand } from './inputs/read-inputs.ts';
import { createRedactor, listSecretParts, listSecrets } from './inputs/secrets.ts';
import { mergeStepInputs, type StepInputs, separateDefaults } from './inputs/step-inputs.ts';
import { checkInputs } from './jobs/check-inputs.ts';
import { dispatch } from './jobs/dispatch.ts';
import { type ClusterFileLookup, findClusterFile } from './jobs/find-cluster-file.ts';
import { saveWorkspaces } from './jobs/post-state.ts';
import { announceRefusedInputs, type RefusedRun } from './jobs/refused-inputs.ts';
import { reportFailure } from './jobs/report-failure.ts';
import { UserError } from './messages/errors.ts';
import { endChildren, forwardSignals } from './process/cancellation.ts';
import { findActionRoot } from './runner/assets.ts';
import { decideIntent } from './runner/decide-intent.ts';
import { type RunnerEnvironment, readEnvironment } from './runner/environment.ts';
import type { Intent } from './runner/intent.ts';
import { exitOnUncaughtErrors } from './runner/uncaught-errors.ts';
import { openWorkspace } from './runner/workspace.ts';

/** What a failure's report needs to know of the run so far. */
interface RunState {
  file: FileInput | null;
  /** Set while only the inputs can be wrong. */
  unchecked: RefusedRun | null;
}

/** Runs the action. Every failure is reported here, once. */
export async function run(): Promise<void> {
  const state: RunState = { file: null, unchecked: null };
  const fail = async (error: unknown) => {
    await reportFailure(error, { readInputs: readStepInputs, file: state.file?.file ?? null });
    if (state.unchecked !== null && error instanceof UserError) {
      await announceRefusedInputs(error, state.unchecked);
    }
  };
  let isEnding = false;
  exitOnUncaughtErrors(async (error) => {
    isEnding = true;
    try {
      await fail(error);
    } finally {
      // Ansible would die in the middle of a step, Terraform without writing its state.
      await endChildren();
    }
  });
  try {
    forwardSignals();
    await runJob(state);
  } catch (error) {
    // The end of the children looks like a cancel to the job.
    if (!isEnding) await fail(error);
  }
}

async function runJob(state: RunState): Promise<void> {
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
  state.unchecked = { token: values['github-token'] ?? '', intent, environment, redact };
  // `skip` with an unknown command: `checkInputs` refuses it.
  const found = intent.kind === 'skip' ? null : await findFile(step, { intent, environment });
  if (found !== null && 'idle' in found) {
    core.notice(`Nothing to do: ${found.idle}`);
    return;
  }
  const file = found?.file ?? null;
  state.file = file;
  for (const secret of (file?.file.secrets ?? []).flatMap(listSecretParts)) core.setSecret(secret);
  const { inputs, keys, notes } = await checkInputs(step, { file, intent, environment });
  if (found === null) return;
  const workspace = await openWorkspace({
    root: environment.workspace,
    workingDirectory: inputs.workingDirectory,
    runnerTemp: environment.temporary,
  });
  state.unchecked = null;
  saveWorkspaces(workspace);
  const job = { environment, inputs, keys, workspace, actionRoot: findActionRoot() };
  await dispatch(found.intent, { job, notes, redact });
}

function readStepInputs(): StepInputs {
  return separateDefaults((name) => core.getInput(name, { trimWhitespace: false }));
}

/** Finds the cluster file that the step names, and what the run may read. */
async function findFile(
  step: StepInputs,
  {
    intent,
    environment,
  }: { intent: Exclude<Intent, { kind: 'skip' }>; environment: RunnerEnvironment },
): Promise<ClusterFileLookup> {
  const { 'cluster-file': given = '', 'github-token': token = '' } = mergeStepInputs(step);
  // `checkInputs` refuses anything that is not a path.
  const path = isClusterPath(given) ? given : null;
  if (path !== null && token === '') {
    throw new UserError(
      'github-token: missing. The cluster file is read with it. Leave the input out to use the token of the job.',
    );
  }
  const client = createClient({ token, apiUrl: environment.apiUrl, log: core.info });
  return findClusterFile(intent, { client, environment, step, path });
}
