import { compareNames, namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findPrimary, isCopying } from '../replication.ts';
import type { StepOf } from './step.ts';

/**
 * Returns the steps that stop every server and every copy, so that each volume holds all commits: the primary first, which
 * ends only when its replicas have its last WAL, the shutdown checkpoint included (PostgreSQL, "Streaming Replication"),
 * then the replicas. Empty if nothing runs.
 */
export function planStops(observed: readonly NodeObservation[]): StepOf<'stop'>[] {
  const running = observed
    .filter(
      (node) => node.postgres !== null || node.container?.state === 'running' || isCopying(node),
    )
    .sort((a, b) => compareNames(a.name, b.name));
  const primary = findPrimary(observed) ?? observed[0]?.name ?? '';
  const turns = [
    running.filter(({ name }) => name === primary),
    running.filter(({ name }) => name !== primary),
  ];
  return turns
    .filter((nodes) => nodes.length > 0)
    .map((nodes) => ({ kind: 'stop', nodes: namesOf(nodes), primary }));
}
