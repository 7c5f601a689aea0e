import type { Nodes } from '../ansible/nodes.ts';
import { PlaybookError } from '../ansible/playbook-error.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import type { NodeWork } from '../cluster/progress.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { CancelledError } from '../messages/errors.ts';
import { CLOCK, type Clock } from './clock.ts';
import { type PendingStep, Watch } from './watch.ts';

/** Steps that work on the node, without the connection: they are repeated after a lost connection. */
const DETACHED: readonly string[] = [
  'clone',
  'start',
  'restore',
  'backup',
  'verify',
] satisfies Step['kind'][];
/** How often in a row a connection may be lost during such a step. */
const MAX_LOSSES = 3;

type Work = Parameters<Nodes['perform']>[0];

/** What was done. */
export interface PerformedSteps {
  readonly changes: AnsibleResult['changes'];
  /** Empty while steps are pending. */
  readonly proof: AnsibleResult['proof'];
  /** Work that the nodes go on with after the time of the run; empty if all is done. */
  readonly work: readonly NodeWork[];
}

/**
 * Performs `work.steps` to their end, however long they take: a step that stays pending is watched, then performed again
 * with those after it. Steps are idempotent, and long work is found by the next call.
 *
 * @throws UserError if a step fails, if a node is silent for too long, or if the connection is lost during a step that does
 *   not work without it
 * @throws CancelledError if the job is cancelled
 */
export async function performSteps(
  nodes: Pick<Nodes, 'perform' | 'readProgress'>,
  work: Work,
  options: {
    target: Parameters<Nodes['perform']>[1];
    log: (line: string) => void;
    /** When to stop waiting, in ms since 1970. */
    deadline: number;
    onNotes: (notes: AnsibleResult['notes']) => void;
    /** Gets what the nodes do, whenever they were asked. */
    onWork: (work: readonly NodeWork[]) => void;
    clock?: Clock;
  },
): Promise<PerformedSteps> {
  const { target, onNotes, clock = CLOCK } = options;
  const watch = new Watch(nodes, { ...options, clock });
  const changes: AnsibleResult['changes'] = [];
  let { steps } = work;
  let losses = 0;
  let pending: readonly PendingStep[] = [];
  const perform = async (): Promise<AnsibleResult> => {
    try {
      const report = await watch.during(() => nodes.perform({ ...work, steps }, target, onNotes));
      losses = 0;
      return report;
    } catch (error) {
      if (!(error instanceof PlaybookError) || error.failures.length > 0) throw error;
      losses += 1;
      const lost = error.lost.map(({ node, step }) => ({ node, step }));
      const isDetached = lost.every(({ step }) => DETACHED.includes(step));
      if (!isDetached || losses > MAX_LOSSES) throw error;
      options.log(
        `The connection was lost (${losses} of ${MAX_LOSSES}). The work does not depend on it; it is looked for again`,
      );
      return { ...error.result, pending: lost };
    }
  };
  try {
    for (;;) {
      const report = await perform();
      changes.push(...report.changes);
      const { proof } = report;
      pending = report.pending;
      if (pending.length === 0) {
        watch.finish();
        return { changes, proof, work: [] };
      }
      steps = steps.slice(findFirst(steps, pending));
      if (!(await watch.untilEnd(pending))) {
        return { changes, proof: [], work: watch.listWork(pending) };
      }
    }
  } catch (error) {
    // There is no time to ask after a cancel; what was pending goes on.
    if (error instanceof CancelledError) options.onWork(watch.listWork(pending));
    else await watch.refresh();
    throw error;
  }
}

/** Returns the index of the first pending step; 0 if none of the steps is it. */
function findFirst(steps: readonly Step[], pending: readonly PendingStep[]): number {
  const index = steps.findIndex(({ kind, nodes }) =>
    pending.some(({ node, step }) => step === kind && nodes.includes(node)),
  );
  // A step also works on other nodes than its own, e.g. a clone on the primary.
  const other = steps.findIndex(({ kind }) => pending.some(({ step }) => step === kind));
  return index !== -1 ? index : Math.max(0, other);
}
