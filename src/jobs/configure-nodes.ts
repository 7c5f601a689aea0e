import * as core from '@actions/core';
import type { Node } from '../cluster/node.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeWork } from '../cluster/progress.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { UserError } from '../messages/errors.ts';
import { toSeconds } from '../messages/times.ts';
import { type ConfigureResult, configure, type NodeNote } from '../operations/configure.ts';
import {
  clientHost,
  renderConnectionString,
  renderPublicConnectionString,
} from '../operations/connection-string.ts';
import { describeBackupFaults } from '../report/backup-faults.ts';
import { describeProofFaults } from '../report/faults.ts';
import { listLeftOut } from '../report/left-out.ts';
import { describeIdleSlots } from '../report/space-faults.ts';
import { listSteps } from '../report/steps.ts';
import { logGroup, warn } from '../runner/log-group.ts';
import type { Job } from './job.ts';
import { LeftOutError } from './left-out-error.ts';
import { buildNodeAccess } from './node-access.ts';
import { createWorkLog } from './report-work.ts';

/**
 * Configures the nodes, proves replication and sets the outputs about them, except in a rehearsal. Logs a warning for a node that is away.
 *
 * Waits for long work until `wait-minutes` after the start of the run.
 *
 * @throws ContinuingError if it is not done by then
 * @throws LeftOutError if a part of the change waits for such a node; everything else was done and proved
 * @throws UserError as `configure` does
 */
export async function configureNodes(
  job: Job,
  options: Parameters<typeof configure>[1] & {
    /** The EC2 Instance Connect Endpoint in the state; null: the connections are direct. */
    readonly endpointId: string | null;
    /**
     * Gets the slots that retain too much WAL after the steps and the problems of the backups, sentences. The proof shows all
     * other problems.
     */
    readonly onFaults?: (faults: readonly string[]) => void;
  },
): Promise<ConfigureResult> {
  const access = buildNodeAccess(job, options.endpointId);
  if (!access) throw new UserError('ssh-private-key: missing. Ansible logs in with it.');
  const logSteps = createStepLog(core.info);
  const onSteps = (steps: readonly Step[]) => {
    logSteps(steps);
    options.onSteps?.(steps);
  };
  let notes: readonly NodeNote[] = [];
  // Without a comment or a summary, the log shows the notes.
  const onNotes = (all: readonly NodeNote[]) => {
    if (options.onNotes) options.onNotes(all);
    else for (const { node, note } of all.slice(notes.length)) warn(`${node}: ${note}.`);
    notes = all;
  };
  let observed: readonly NodeObservation[] = [];
  const onObserved = (nodes: typeof observed) => {
    observed = nodes;
    options.onObserved?.(nodes);
  };
  const logWork = createWorkLog(core.info);
  const onWork = (all: readonly NodeWork[]) => {
    logWork(all);
    options.onWork?.(all);
  };
  const deadline = performance.timeOrigin + job.inputs.waitMinutes * 60_000;
  const work = { ...options, onSteps, onNotes, onObserved, onWork, deadline };
  const result = await logGroup('Configure', () => configure(access, work));
  const alert = {
    storageAlertPercent: job.inputs.storageAlertPercent,
    hasBackups: job.inputs.spec.backup !== null,
  };
  // What was wrong before a backup was made is mended.
  const isBackedUp = result.steps.some(({ kind }) => kind === 'backup');
  const now = toSeconds(new Date());
  const faults = [
    ...describeIdleSlots(observed, { ...alert, proof: result.proof }),
    ...(isBackedUp ? [] : observed.flatMap((node) => describeBackupFaults(node, now))),
  ];
  options.onFaults?.(faults);
  for (const text of faults) core.warning(text);
  for (const line of result.proof) {
    for (const text of describeProofFaults(line, alert)) core.warning(text);
  }
  // The node of a rehearsal is about to be removed, and without a proof the status is not known.
  if (job.inputs.spec.rehearsal === null && options.proves !== false) setClusterOutputs(result);
  const { deferral, nodes } = result;
  const sentences = listLeftOut(deferral, { nodes, states: options.states ?? {} });
  if (deferral && deferral.deferred.length > 0) throw new LeftOutError(deferral, sentences);
  for (const sentence of sentences) core.warning(sentence);
  return result;
}

/** Returns a function that logs the steps ahead, and again whenever they change. */
function createStepLog(log: (line: string) => void): (steps: readonly Step[]) => void {
  let logged: readonly string[] = [];
  return (steps) => {
    const lines = listSteps(steps);
    if (lines.join('\n') === logged.join('\n')) return;
    logged = lines;
    log(['The steps:', ...lines].join('\n'));
  };
}

function setClusterOutputs({ nodes, primary, proof, inventory }: ConfigureResult): void {
  const hostOf = (node: Node | undefined) => (node ? clientHost(node) : '');
  core.setOutput('inventory', inventory);
  core.setOutput('primary-host', hostOf(nodes.find(({ name }) => name === primary)));
  core.setOutput(
    'replica-hosts',
    JSON.stringify(nodes.filter(({ name }) => name !== primary).map(hostOf)),
  );
  core.setOutput('connection-string', renderConnectionString(nodes));
  core.setOutput('connection-string-public', renderPublicConnectionString(nodes) ?? '');
  core.setOutput('cluster-status', JSON.stringify(proof));
}
