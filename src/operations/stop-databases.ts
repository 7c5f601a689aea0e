import { type NodeAccess, Nodes } from '../ansible/nodes.ts';
import { buildDesired } from '../cluster/desired.ts';
import { namesOf } from '../cluster/node.ts';
import { planStops } from '../cluster/rollout/stop-all.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { UserError } from '../messages/errors.ts';
import { logGroup } from '../runner/log-group.ts';
import type { ExistingNodes } from '../terraform/existing-nodes.ts';
import { observeNodes } from './observe-nodes.ts';
import { performSteps } from './perform-steps.ts';
import { removeNodes } from './reachability.ts';

/** What follows for the snapshots of servers that were not stopped. */
const CRASHED =
  'Such a snapshot is like the disk after a power cut: PostgreSQL recovers from it at its start, but that of a replica may lack the last commits of its primary.';

/**
 * Stops the servers of all nodes before they are destroyed: the primary first, then its replicas. Nothing is started again.
 * A node that cannot be reached, or does not stop, holds nothing up: PostgreSQL recovers from the snapshot of a running
 * server as after a crash.
 *
 * @param access null: the job cannot log in
 * @returns what could not be stopped, sentences
 * @throws CancelledError if the job is cancelled
 */
export async function stopDatabases(
  access: NodeAccess | null,
  { existing, spec }: { existing: ExistingNodes; spec: ClusterSpec },
): Promise<string[]> {
  const idle = existing.notRunning.map(({ node }) => node.name);
  const asked = existing.nodes.filter(({ name }) => !idle.includes(name));
  if (asked.length === 0) return [];
  const names = namesOf(asked).join(', ');
  if (access === null) {
    return [
      `The servers of ${names} were not stopped first, because this job has no ssh-private-key to log in with. ${CRASHED}`,
    ];
  }
  const described = buildDesired(spec, {
    ...{ existing: existing.nodes, instanceType: null, memoryMib: null, keepsStorage: true },
  });
  const desired = { ...described, nodes: existing.nodes, leaving: [] };
  const nodes = new Nodes(access);
  try {
    return await logGroup('Stop the databases', async () => {
      const { observed, unreachable, failures } = await observeNodes(nodes, asked, {
        ...{ desired, fresh: [], isBooting: false, mayBeLost: true },
      });
      for (const failure of failures) access.log(failure);
      const steps = planStops(observed);
      if (steps.length > 0) {
        await performSteps(
          nodes,
          {
            ...{ primary: steps[0]?.primary ?? '', steps, proofToken: null, image: null },
            collationLabel: { input: 'allow-collation-label', label: null, labels: null },
          },
          {
            target: removeNodes(desired, [...unreachable, ...idle]),
            ...{ log: access.log, deadline: Number.POSITIVE_INFINITY },
            ...{ onNotes: () => {}, onWork: () => {} },
          },
        );
      }
      return unreachable.length === 0
        ? []
        : unreachable.map(
            (name) =>
              `${name}: could not be looked at, so its server was not stopped first. ${CRASHED}`,
          );
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    for (const problem of error.problems) access.log(problem);
    return [`Not every server of ${names} could be stopped first; the log says why. ${CRASHED}`];
  } finally {
    await nodes.close();
  }
}
