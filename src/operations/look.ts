import { isDeepStrictEqual } from 'node:util';
import type { ClusterObservation } from '../ansible/nodes.ts';
import type { Node } from '../cluster/node.ts';

/** How old a look may be that is used again, in ms. */
const MAX_AGE = 20_000;

/** An observation of the nodes that the same run made before. */
export interface Look {
  /** The nodes as AWS described them then. */
  readonly asked: readonly Node[];
  readonly seen: ClusterObservation;
  /** When it ended, in ms of `performance.now()`. */
  readonly ended: number;
}

/**
 * Whether the look serves instead of another one: it is seconds old, all of these nodes answered, and they have the same
 * instances and addresses. The caller makes sure that the run has changed no node since.
 *
 * @param options.now in ms of `performance.now()`
 */
export function isCurrent(
  { asked, seen, ended }: Look,
  { nodes, now }: { nodes: readonly Node[]; now: number },
): boolean {
  return (
    now - ended <= MAX_AGE &&
    seen.unreachable.length === 0 &&
    seen.failures.length === 0 &&
    isDeepStrictEqual(asked, nodes)
  );
}
