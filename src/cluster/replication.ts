import { readUpstreamAddress } from './configuration.ts';
import { type DesiredCluster, findNode } from './desired.ts';
import { isBefore, parseLsn } from './lsn.ts';
import { compareNames, slotName } from './node.ts';
import type { NodeObservation, PostgresObservation } from './observation.ts';
import type { Obstacle } from './rollout/reason.ts';

// What a node is to replication, read from what was observed of it.

/** PostgreSQL answers and takes writes. */
export const isRunningPrimary = (node: NodeObservation): boolean =>
  node.postgres?.inRecovery === false;

/** It holds the data of a primary and does not answer. */
export const isStoppedPrimary = (node: NodeObservation): boolean =>
  node.postgres === null && !node.standby && node.data === 'complete';

/**
 * The primary is a fact of the databases, not of the node's number: the one node not in recovery; if
 * none runs, the one whose data is not a replica's. Null: no node holds a cluster.
 */
export function findPrimary(observed: readonly NodeObservation[]): string | null {
  const candidates = [
    observed.filter(isRunningPrimary),
    observed.filter(isStoppedPrimary),
    observed.filter((node) => node.data === 'unrecorded' && !node.standby),
  ];
  return candidates.find((nodes) => nodes.length > 0)?.[0]?.name ?? null;
}

/** Whether a replica receives the changes of `primary` and replays them. */
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

function findDivergence(node: NodeObservation, primary: PostgresObservation): Obstacle | null {
  const { postgres, control, standby } = node;
  const position = postgres ?? control;
  if (position === null) return null;
  const { timeline, lsn } = position;
  if (timeline >= primary.timeline) {
    // Same timeline, and not as a replica: nothing tells the two apart.
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
 * The node whose changes a replica was last told to follow, by the address in its configuration; null when
 * it names none of the cluster's.
 */
export function findUpstream(node: NodeObservation, desired: DesiredCluster): string | null {
  const address = readUpstreamAddress(node.files.postgresqlConf);
  const upstream = [...desired.nodes, ...desired.leaving].find(
    ({ privateAddress }) => privateAddress !== '' && privateAddress === address,
  );
  return upstream?.name ?? null;
}

/**
 * The node that has most of the changes: the latest timeline, then a primary that crashed, as its WAL may reach
 * further than anybody received, then the latest position, then the lowest number.
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

/** As far behind as a switchover lets a replica be: LAG_BYTES of switchover.py. */
const LEVEL_BYTES = 16n * 1024n ** 2n;

/**
 * The replica to take over from `primary`: the lowest number of those that replay within 16 MiB of it, else the one
 * that is least behind; undefined where there is none. A replica that the primary says nothing of follows from now on.
 *
 * The primary is asked, because the replicas were not observed at the same moment.
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
