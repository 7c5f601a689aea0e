import type { Node } from '../cluster/node.ts';
import type { Deferral, DeferredChange } from '../cluster/rollout/deferral.ts';
import { explainUnreachableNodes } from '../cluster/unreachable.ts';

/**
 * Returns what a rollout leaves out because nodes cannot be reached, and how to bring them back: sentences in plain
 * text, for comment, annotation and log. `states`: EC2's name for the state of each node's instance.
 */
export function listLeftOut(
  leftOut: Deferral | null | undefined,
  { nodes, states }: { nodes: readonly Node[]; states: Readonly<Record<string, string>> },
): string[] {
  if (!leftOut) return [];
  return [
    `Left out: ${joinNames(leftOut.nodes)}, not touched and not part of the proof. ${leftOut.nodes.length === 1 ? 'It catches' : 'They catch'} up with the next deploy that reaches ${leftOut.nodes.length === 1 ? 'it' : 'them'}.`,
    ...explainUnreachableNodes(
      nodes.filter(({ name }) => leftOut.nodes.includes(name)),
      states,
    ),
    ...leftOut.deferred.map(
      (part) =>
        `Left out until ${joinNames(leftOut.nodes)} can be reached, as only one node may be down at a time: ${describeDeferred(part)}. Run this again then: it does the rest.`,
    ),
  ];
}

function describeDeferred(part: DeferredChange): string {
  switch (part.kind) {
    case 'restart': {
      const reasons = [...part.settings, ...(part.image ? ['another image'] : [])];
      const why = reasons.length === 0 ? 'a container made anew' : reasons.join(', ');
      return `the restart of ${joinNames(part.nodes)} (${why})`;
    }
    case 'resize':
      return `the instance type ${part.instanceType} of ${joinNames(part.nodes)}`;
    case 'switchover':
      return `the switchover to ${part.to}`;
    case 'remove':
      return `the removal of ${joinNames(part.nodes)}`;
    case 'archive':
      return 'the beginning of backups';
    case 'synchronous':
      return `synchronous-replicas ${part.to} instead of ${part.from}, for which too few replicas can be reached`;
  }
}

const joinNames = (names: readonly string[]): string => names.join(', ');
