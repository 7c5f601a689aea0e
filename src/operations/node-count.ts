import type { Node } from '../cluster/node.ts';
import { UserError } from '../messages/errors.ts';

/** Describes how the number of existing nodes differs from the spec, as a sentence; null if it does not. */
export function describeCountMismatch(existing: number, replicaCount: number): string | null {
  const wanted = replicaCount + 1;
  if (existing === wanted) return null;
  return `replica-count: ${replicaCount} asks for ${wanted} nodes, Terraform's state has ${existing}.`;
}

/**
 * Checks that the state has as many nodes as the spec.
 *
 * @throws UserError with the way to add or to remove nodes
 */
export function requireNodeCount(nodes: readonly Node[], replicaCount: number): void {
  const { length: existing } = nodes;
  const mismatch = describeCountMismatch(existing, replicaCount);
  if (mismatch === null) return;
  const leaving = nodes.slice(replicaCount + 1).map(({ name }) => name);
  const next =
    leaving.length === 0
      ? 'Run apply first'
      : `${leaving.join(', ')} ${leaving.length === 1 ? 'leaves' : 'leave'}, and PostgreSQL and Terraform take turns in that: merge the change; if its job was interrupted or failed, run that job again, which continues with the rest`;
  throw new UserError(`${mismatch} ${next}. Or give replica-count ${existing - 1}.`);
}
