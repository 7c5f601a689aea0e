import { readUpstreamAddress } from './configuration.ts';
import { type DesiredCluster, findNode } from './desired.ts';
import { isBefore, parseLsn } from './lsn.ts';
import { compareNames, slotName } from './node.ts';
import type { NodeObservation, PostgresObservation } from './observation.ts';
import type { Obstacle } from './rollout/reason.ts';

// The role and the progress of nodes in replication, from their observations.

/** Whether PostgreSQL answers and accepts writes. */
export const isRunningPrimary = (node: NodeObservation): boolean =>
  node.postgres?.inRecovery === false;

/** Whether a copy to the node runs, or is complete and not in place yet. A verification copies nothing. */
export const isCopying = ({ work }: NodeObservation): boolean =>
  work !== null && work.state !== 'failed' && work.kind !== 'verify';

/**
 * Whether the node holds a primary's data and does not answer. A node that is copied to holds none: what it has is to be
 * replaced, because another node was the primary when the copy began.
 */
export const isStoppedPrimary = (node: NodeObservation): boolean =>
  node.postgres === null && !node.standby && node.data === 'complete' && !isCopying(node);

/**
 * Returns the primary by the state of the databases, not by the node's number: the node that is not in recovery; if none
 * runs, the node whose data is not a replica's. Null: no node holds a cluster.
 */
export function findPrimary(observed: readonly NodeObservation[]): string | null {
  const candidates = [
    observed.filter(isRunningPrimary),
    observed.filter(isStoppedPrimary),
    observed.filter((node) => node.data === 'unrecorded' && !node.standby),
  ];
  return candidates.find((nodes) => nodes.length > 0)?.[0]?.name ?? null;
}

/** Whether a replica receives the changes of `primary`. */
export function isStreaming(
  node: NodeObservation,
  { primary, desired }: { primary: string; desired: DesiredCluster },
): boolean {
  const { postgres } = node;
  if (!postgres?.inRecovery || postgres.receiver?.status !== 'streaming') return false;
  return postgres.receiver.senderHost === findNode(desired, primary).privateAddress;
}

/**
 * Returns why a node that holds data can never follow the running `primary` with it; it is cloned then. Null when it may
 * be able to: starting it shows.
 */
export function findObstacle(node: NodeObservation, primary: NodeObservation): Obstacle | null {
  const server = primary.postgres;
  if (server === null) return null;
  const slot = server.slots.find(({ name }) => name === slotName(node.name));
  if (slot?.walStatus === 'lost') return { kind: 'slot-lost' };
  const divergence = findDivergence(node, server);
  if (divergence !== null) return divergence;
  const streams = node.postgres?.receiver?.status === 'streaming';
  // While the server is down, only the slot knows how far it had received.
  const lsn = node.postgres?.lsn ?? (slot === undefined ? node.control?.lsn : undefined);
  if (!streams && lsn !== undefined && isBefore(lsn, server.oldestLsn)) {
    return { kind: 'wal-removed', lsn, oldest: server.oldestLsn };
  }
  return null;
}

/** Returns why a node's data is not of the primary's history; null if it is, or may be. */
export function findDivergence(
  node: NodeObservation,
  primary: PostgresObservation,
): Obstacle | null {
  const { postgres, control, standby } = node;
  const position = postgres ?? control;
  if (position === null) return null;
  const { timeline, lsn } = position;
  if (timeline >= primary.timeline) {
    // On the same timeline a divergence cannot be detected.
    return null;
  }
  const end = primary.history.find((ended) => ended.timeline === timeline)?.switchLsn;
  if (end === undefined) return { kind: 'unrelated-timeline', timeline };
  // A crashed server's WAL may reach further than its control file says.
  const crashed = postgres === null && control?.state === 'in production';
  if (crashed) return { kind: 'crashed-primary', timeline };
  // The shutdown checkpoint of a primary begins before the position at which the next timeline begins.
  const wrote = postgres === null && !standby ? !isBefore(lsn, end) : isBefore(end, lsn);
  return wrote ? { kind: 'diverged', timeline, lsn, end } : null;
}

/**
 * Returns the node that a replica was last configured to follow, by the address in its configuration; null when that is no
 * node of the cluster.
 */
export function findUpstream(node: NodeObservation, desired: DesiredCluster): string | null {
  const address = readUpstreamAddress(node.files.postgresqlConf);
  const upstream = [...desired.nodes, ...desired.leaving].find(
    ({ privateAddress }) => privateAddress !== '' && privateAddress === address,
  );
  return upstream?.name ?? null;
}

/**
 * Returns the node with the most changes: by the latest timeline, then a primary that crashed, as its WAL may reach
 * further than any replica received, then the latest position, then the lowest number.
 */
export function findMostAdvanced(nodes: readonly NodeObservation[]): NodeObservation | undefined {
  const position = (node: NodeObservation) => node.postgres ?? node.control;
  const crashed = (node: NodeObservation) =>
    node.postgres === null && node.control?.state === 'in production';
  return [...nodes].sort((a, b) => {
    const [left, right] = [position(a), position(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    if (left.timeline !== right.timeline) return right.timeline - left.timeline;
    if (crashed(a) !== crashed(b)) return Number(crashed(b)) - Number(crashed(a));
    if (left.lsn !== right.lsn) return isBefore(left.lsn, right.lsn) ? 1 : -1;
    return compareNames(a.name, b.name);
  })[0];
}

/** The lag up to which a replica can take over in a switchover: LAG_BYTES in switchover.py. */
const LEVEL_BYTES = 16n * 1024n ** 2n;

/**
 * Returns the replica that is to take over from `primary` in a switchover: the lowest number of those within 16 MiB of it,
 * else the one that is least behind; undefined without replicas. A replica that the primary does not list counts as
 * level: it has connected since the primary was observed.
 *
 * Uses the primary's view, because the replicas were not observed at the same moment.
 */
export function findLeastBehind(
  replicas: readonly NodeObservation[],
  { postgres }: NodeObservation,
): NodeObservation | undefined {
  const behind = ({ name }: NodeObservation): bigint => {
    const sender = postgres?.senders.find((row) => row.applicationName === slotName(name));
    if (!postgres || !sender?.replayLsn) return 0n;
    const bytes = parseLsn(postgres.lsn) - parseLsn(sender.replayLsn);
    return bytes <= LEVEL_BYTES ? 0n : bytes;
  };
  return [...replicas].sort((a, b) => {
    const difference = behind(a) - behind(b);
    return difference === 0n ? compareNames(a.name, b.name) : difference < 0n ? -1 : 1;
  })[0];
}
