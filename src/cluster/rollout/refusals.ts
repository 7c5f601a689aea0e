import { readConfSetting } from '../configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import { libcOfImage } from '../image.ts';
import { isBefore } from '../lsn.ts';
import type { NodeObservation } from '../observation.ts';
import {
  findPrimary,
  findUpstream,
  isCopying,
  isRunningPrimary,
  isStoppedPrimary,
  isStreaming,
} from '../replication.ts';
import { checkSettings } from '../settings/check.ts';
import { checkMemory } from '../settings/memory.ts';
import { majorOfTag, splitReference } from '../spec.ts';
import { refuseMissingFromImage } from './image-needs.ts';
import { refuseLowerLevel } from './logical-slots.ts';
import { refuseBackups } from './refuse-backups.ts';
import { refuseOrphanedCopy } from './refuse-copies.ts';
import { refuseOverridden, refuseReservedOverrides } from './refuse-overrides.ts';

/**
 * Returns the reasons to change nothing, each with what to do about it. `incomplete`: nodes have yet to be created or
 * volumes to be mounted, so a primary may still be found.
 */
export function findRefusals(
  observed: readonly NodeObservation[],
  { desired, incomplete }: { desired: DesiredCluster; incomplete: boolean },
): string[] {
  return [
    ...refuseSeveralPrimaries(observed),
    ...refuseOutlivedPrimary(observed),
    ...(incomplete
      ? []
      : [...refuseLostPrimary(observed, desired), ...refuseOrphanedCopy(observed)]),
    ...refuseReadOnly(observed, desired),
    ...refuseForeignData(observed),
    ...refuseAhead(observed, desired),
    ...refuseOtherImage(observed, desired),
    ...refuseOverridden(observed, desired),
    ...refuseReservedOverrides(observed, desired),
    ...refuseBackups(observed, desired),
    ...refuseLowerLevel(observed, desired),
    ...refuseSettings(observed, desired),
    ...refuseMissingFromImage(observed, desired),
  ];
}

/** Returns the record of the node's data; null if the data is missing or incomplete. */
const recordOf = ({ data, record }: NodeObservation) => (data === 'complete' ? record : null);
const listNames = (nodes: readonly NodeObservation[]): string =>
  nodes.map(({ name }) => name).join(' and ');

function refuseSeveralPrimaries(observed: readonly NodeObservation[]): string[] {
  const running = observed.filter(isRunningPrimary);
  if (running.length > 1) {
    return [
      `${listNames(running)} are both primary. Decide which one holds the rows you want, stop PostgreSQL on the other and move its data directory aside; the next run clones it again.`,
    ];
  }
  const primary = running[0];
  const stopped = observed.filter(
    (node) => isStoppedPrimary(node) && !(primary && isPredecessor(node, primary)),
  );
  if (running.length === 1 && stopped.length > 0) {
    return [
      `${listNames(running)} is primary, and ${listNames(stopped)}, which does not answer, holds a primary's data as well: started, it would be a second primary. Look there for rows that ${listNames(running)} lacks, then move its data directory aside; the next run clones it again.`,
    ];
  }
  if (stopped.length > 1) {
    return [
      `${listNames(stopped)} each hold the data of a primary and none is running. Start PostgreSQL on the one that was primary last and move the other's data directory aside.`,
    ];
  }
  const unrecorded = observed.filter(({ data, standby }) => data === 'unrecorded' && !standby);
  if (running.length + stopped.length === 0 && unrecorded.length > 1) {
    return [
      `${listNames(unrecorded)} each hold data without a record, so an unfinished deploy cannot be told from foreign data. Move the data directory of all but one aside.`,
    ];
  }
  return [];
}

/**
 * Refuses to start the only stopped primary if other nodes have WAL of a later timeline: another node has been primary
 * since. That may have been a replica promoted by mistake, so a person has to decide.
 */
function refuseOutlivedPrimary(observed: readonly NodeObservation[]): string[] {
  const [stopped, another] = observed.filter(isStoppedPrimary);
  if (stopped === undefined || another !== undefined || observed.some(isRunningPrimary)) return [];
  const timelineOf = ({ postgres, control }: NodeObservation) =>
    (postgres ?? control)?.timeline ?? null;
  const own = timelineOf(stopped);
  if (own === null) return [];
  const later = observed.filter(
    (node) => node.data === 'complete' && (timelineOf(node) ?? 0) > own,
  );
  if (later.length === 0) return [];
  const latest = Math.max(...later.map((node) => timelineOf(node) ?? 0));
  return [
    `${stopped.name}, which does not answer, holds a primary's data of timeline ${own}, and ${listNames(later)} received changes of timeline ${latest}: another node has been primary since. Started, ${stopped.name} would take writes on old data. Bring the primary of timeline ${latest} back, or run the action with command: failover to promote the most advanced replica; where ${stopped.name} is nevertheless the one that you want, move the data directories of ${listNames(later)} aside.`,
  ];
}

/** Whether the node was primary before `primary` took over. Its data can then only start as a replica. */
function isPredecessor({ control }: NodeObservation, { postgres }: NodeObservation): boolean {
  const ended = postgres?.history ?? [];
  return ended.some(({ timeline }) => timeline === control?.timeline);
}

function refuseLostPrimary(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): string[] {
  const withData = observed.filter(({ data }) => data === 'complete' || data === 'unrecorded');
  if (withData.length === 0 || findPrimary(observed) !== null) return [];
  // All of them are replicas only after an interrupted switchover. Then the node that they follow is among them, fenced;
  // a lost primary is not.
  // A node that is copied to follows nothing yet.
  const replicas = observed.filter((node) => node.data === 'complete' && !isCopying(node));
  const isComplete = replicas.every((node) => {
    const { postgresqlConf } = node.files;
    if (postgresqlConf === null) return false;
    const upstream = findUpstream(node, desired);
    const wasPrimary = readConfSetting(postgresqlConf, 'primary_conninfo') === null;
    return wasPrimary || replicas.some(({ name }) => name === upstream);
  });
  if (replicas.length > 0 && isComplete) return [];
  return [
    `No node is primary, but ${listNames(withData)} hold a replica's data, so a new cluster must not be initialised. Bring the old primary's volume back, or run the action with command: failover to promote the most advanced replica.`,
  ];
}

/** Every step writes to the volume. A replica that leaves only has to be removed. */
function refuseReadOnly(observed: readonly NodeObservation[], desired: DesiredCluster): string[] {
  const primary = findPrimary(observed);
  const isNeeded = ({ name }: NodeObservation) =>
    name === primary || desired.nodes.some((node) => node.name === name);
  return observed
    .filter((node) => node.volume.readOnly && isNeeded(node))
    .map(({ name, volume }) => {
      const start = `${name}: its data volume (${volume.device}) takes no writes.`;
      const failOver = 'stop its instance in EC2 and run the action with command: failover';
      // Nothing can be read from it, not even whether the node is the primary.
      if (volume.filesystem === 'xfs') {
        return `${start} xfs shuts itself down when it or its disk has an error. Read journalctl -k there for the cause, then reboot the instance, and run this again: the boot mounts the file system and replays its log. Where it is not mounted then, run xfs_repair on ${volume.device} there. Where ${name} was the primary and does not come back from that, ${failOver}.`;
      }
      const otherwise =
        name === primary
          ? `Where the node does not come back from that, ${failOver}`
          : `Where PostgreSQL then finds its data damaged, move the data directory of ${name} aside; the next run clones it again`;
      return `${start} A file system is made read-only when it or its disk has an error (errors=remount-ro). Read journalctl -k there for the cause, then reboot the instance, which checks and repairs the file system, and run this again. ${otherwise}.`;
    });
}

function refuseForeignData(observed: readonly NodeObservation[]): string[] {
  const identified = observed.flatMap((node) => {
    const identifier = node.postgres?.systemIdentifier ?? recordOf(node)?.systemIdentifier;
    return identifier === undefined ? [] : [{ name: node.name, identifier }];
  });
  if (new Set(identified.map(({ identifier }) => identifier)).size <= 1) return [];
  const list = identified.map(({ name, identifier }) => `${name} ${identifier}`).join(', ');
  return [
    `The nodes belong to different database clusters (system identifiers: ${list}). Detach the volume that does not belong here, or move its data directory aside.`,
  ];
}

function refuseAhead(observed: readonly NodeObservation[], desired: DesiredCluster): string[] {
  const leader = observed.find(isRunningPrimary);
  const primary = leader?.postgres;
  if (!leader || !primary) return [];
  return observed.flatMap((node) => {
    const position = node.postgres ?? node.control;
    if (node === leader || position === null || node.data !== 'complete') return [];
    if (position.timeline > primary.timeline) {
      return [
        `${node.name} is on timeline ${position.timeline}, ahead of the primary's ${primary.timeline}: it was promoted once and may hold rows the primary lacks. Compare them before you move its data directory aside.`,
      ];
    }
    const follows = isStreaming(node, { primary: leader.name, desired });
    if (position.timeline < primary.timeline || follows) return [];
    // A replica that still receives, observed a moment after the primary, would also seem to be ahead.
    const isAhead = node.postgres?.receiver == null && isBefore(primary.lsn, position.lsn);
    return isAhead
      ? [
          `${node.name} has changes up to ${position.lsn}, the primary ${leader.name} only up to ${primary.lsn}: the primary lost what it had written, or was restored. Compare them before you move ${node.name}'s data directory aside.`,
        ]
      : [];
  });
}

function refuseOtherImage(observed: readonly NodeObservation[], desired: DesiredCluster): string[] {
  const record = observed.map(recordOf).find((found) => found !== null);
  if (!record) return [];
  const { tag } = splitReference(desired.image);
  const major = majorOfTag(tag);
  const libc = libcOfImage(desired.image);
  return [
    ...(major === null || major === record.major
      ? []
      : [
          `image-tag asks for PostgreSQL ${major}, the data is PostgreSQL ${record.major}'s, which ${major} cannot read. Stay on a ${record.major} image; for a major upgrade create a second cluster and move the data with logical replication or pg_dump.`,
        ]),
    ...(libc === null || libc === record.libc
      ? []
      : [
          `image-tag ${tag} brings ${libc}, the data was sorted by ${record.libc}: every text index would be corrupt. Stay on an image of the same family; to change it create a second cluster and move the data with logical replication or pg_dump.`,
        ]),
  ];
}

/** Checks the settings as far as possible without trying them. */
function refuseSettings(observed: readonly NodeObservation[], desired: DesiredCluster): string[] {
  const { settings, instanceType, memoryMib } = desired;
  const known = (observed.find(isRunningPrimary) ?? observed.find(({ postgres }) => postgres))
    ?.postgres?.settings;
  const smallest = Math.min(...observed.flatMap(({ host }) => host.memoryMib || []));
  const memory = checkMemory({
    sharedBuffers: settings.shared_buffers,
    memoryMib: memoryMib ?? (Number.isFinite(smallest) ? smallest : null),
    instanceType,
  });
  return [...(known ? checkSettings(settings, known) : []), ...(memory === null ? [] : [memory])];
}
