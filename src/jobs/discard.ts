import * as core from '@actions/core';
import { planDiscard } from '../cluster/rollout/discard.ts';
import type { StepOf } from '../cluster/rollout/step.ts';
import { formatBytes } from '../messages/quantities.ts';
import type { DecideSteps } from '../operations/configure.ts';
import type { Announcement } from './announcement.ts';
import { configureNodes } from './configure-nodes.ts';
import type { Job } from './job.ts';
import { openTerraform, refuseForeignCluster } from './open-terraform.ts';
import { refreshNodes } from './refresh-nodes.ts';
import { requireClusterNode } from './replace.ts';
import { summarizeRun } from './summarize-run.ts';
import { ensureDirectory } from './terraform-directory.ts';

/**
 * Deletes the data directories that were kept on the node named by the input `discard` and, with `discardData`, the data
 * that it has now; then the node is cloned if it does not follow, and replication is proved.
 *
 * @throws UserError with the reason of a refusal, or what failed on which node
 */
export async function discardKept(
  given: Job,
  { announcement, commit }: { announcement: Announcement; commit: string },
): Promise<void> {
  const { discard: node, discardData: withData } = given.inputs;
  if (node === null) throw new Error('a deletion without a node');
  // The next deploy moves the primary to where the inputs want it.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  const nextStep = () => 'Fix the cause and run this again: it looks at every node first.';
  await summarizeRun(job, { announcement, commit, nextStep }, async (_, listeners) => {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await refuseForeignCluster(job, terraform);
    const found = await refreshNodes(job, terraform);
    requireClusterNode('discard', node, { found, replicaCount: spec.replicaCount });
    const result = await configureNodes(job, {
      ...found,
      instanceType: null,
      memoryMib: null,
      infrastructure: null,
      decide: decideDiscard(node, withData),
      ...listeners,
    });
    core.notice(describeDone(result.steps.find(({ kind }) => kind === 'discard')));
    return result;
  });
}

/** Returns a function that decides the deletion on `node`, and what follows it. */
export function decideDiscard(node: string, withData: boolean): DecideSteps {
  let isDone = false;
  return (observation, { desired }) => {
    const decision = planDiscard(observation, { desired, node, withData, isDone });
    if (decision.kind === 'steps') isDone = true;
    return decision;
  };
}

function describeDone(step: { kind: string } | undefined): string {
  if (step === undefined) throw new Error('nothing was deleted');
  const { nodes, directories, data } = step as StepOf<'discard'>;
  const names = directories.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`);
  const deleted = [...names, ...(data ? ['its former data'] : [])];
  return deleted.length === 0
    ? `${nodes[0]} keeps no data directory; there was nothing to delete.`
    : `Deleted on ${nodes[0]}: ${deleted.join(', ')}.`;
}
