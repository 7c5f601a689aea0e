import { namesOf } from '../node.ts';
import { type NodeObservation, sumKept } from '../observation.ts';
import { findLeastBehind, isCopying } from '../replication.ts';
import type { ClusterState } from './cluster-state.ts';
import { findOverridesBelow } from './node-settings.ts';
import type { StepReason } from './reason.ts';
import { type CopyOptions, explainNodes, type PlannedStep } from './step.ts';

// Which node is copied to which, and in which order.

/**
 * Returns the step that copies data to nodes, or goes on with copies that run there: to all that have the same source, or,
 * with a limit, to one of them, because the limit counts for each copy and the source is to send no more than that.
 *
 * Copies that run come first: another step on their nodes would end them.
 */
export function planClone(
  cluster: ClusterState,
  nodes: readonly [NodeObservation, ...NodeObservation[]],
): PlannedStep {
  const { maxRate } = cluster.desired.clone;
  const running = nodes.filter((node) => cluster.findRunningSource(node) !== null);
  const first = running[0] ?? nodes[0];
  const source = findSource(cluster, first);
  const same = nodes.filter((node) => findSource(cluster, node) === source);
  const copied = maxRate === null ? same : [first];
  return {
    kind: 'clone',
    nodes: namesOf(copied),
    primary: cluster.primary,
    settings: cluster.settings.replica,
    ...describeCopies(cluster, { source, nodes: copied }),
    reasons: explainNodes(copied, (node) => [
      ...cluster.findCloneReasons(node),
      ...explainSource(cluster, { source, node }),
    ]),
  };
}

/** Returns what a step says about copies of `source`. */
export function describeCopies(
  cluster: ClusterState,
  { source, nodes }: { source: string; nodes: readonly NodeObservation[] },
): CopyOptions {
  const needed = estimateCopy(cluster.existing.find(({ name }) => name === source));
  return {
    source,
    maxRate: cluster.desired.clone.maxRate,
    neededBytes: Object.fromEntries(
      needed === null ? [] : nodes.map(({ name }) => [name, needed] as const),
    ),
  };
}

function findSource(cluster: ClusterState, node: NodeObservation): string {
  return cluster.findRunningSource(node) ?? chooseSource(cluster);
}

/**
 * Returns the node to copy: the primary, or, if replicas are to be copied, the one of them that is least behind.
 *
 * A replica that commits wait for may be copied as well. A copy loads the disk of its source, and with it the commits,
 * whether the source is the primary or such a replica; the replica spares the queries on the primary, and where there
 * are more replicas than commits wait for, those are acknowledged by the others.
 *
 * Replicas restart only when all copies are done (choose-step.ts), so a rollout never cuts a copy by changing its source.
 */
export function chooseSource(cluster: ClusterState): string {
  const { primary, primaryNode, desired } = cluster;
  if (desired.clone.from === 'primary') return primary;
  const able = cluster.replicas.filter((node) => canBeCopied(cluster, node));
  return findLeastBehind(able, primaryNode)?.name ?? primary;
}

function canBeCopied(cluster: ClusterState, node: NodeObservation): boolean {
  const { primaryNode, settings } = cluster;
  if (!cluster.isStreaming(node) || !cluster.canFollow(node)) return false;
  // The copy runs in the image of its source, and is to run in that of the primary.
  const runs = [node, primaryNode].map(({ record }) => `${record?.image} ${record?.digest}`);
  if (runs[0] !== runs[1]) return false;
  // The copy has the source's postgresql.auto.conf as well.
  const options = { settings: settings.replica, members: [primaryNode] };
  return findOverridesBelow(node, options).length === 0;
}

function explainSource(
  cluster: ClusterState,
  { source, node }: { source: string; node: NodeObservation },
): StepReason[] {
  const isExpected = cluster.desired.clone.from === 'primary' || source !== cluster.primary;
  return isExpected || isCopying(node) ? [] : [{ kind: 'no-replica-to-copy' }];
}

/**
 * Returns how many bytes a copy of the node takes at most, and null where that is not known: what its data volume holds
 * besides directories that were set aside. That is an upper bound: it includes what a copy leaves out (PostgreSQL manual,
 * 54.4 "Streaming Replication Protocol", BASE_BACKUP), such as unlogged tables and temporary files, and what the file
 * system needs itself. WAL that only slots retain is subtracted, because it may be large and its size is known: a copy
 * includes no WAL but what is written meanwhile.
 */
export function estimateCopy(source: NodeObservation | undefined): number | null {
  const { data, kept } = source?.storage ?? { data: null, kept: [] };
  if (data === null) return null;
  const aside = sumKept(kept);
  const slots = source?.postgres?.slots ?? [];
  const retained = slots
    // The WAL of other slots may be gone although they still count it.
    .filter(({ walStatus }) => walStatus === 'reserved' || walStatus === 'extended')
    .map(({ retainedBytes }) => retainedBytes);
  return Math.max(0, data.usedBytes - aside - Math.max(0, ...retained));
}
