import type { DesiredCluster } from '../desired.ts';
import { isBefore, parseLsn } from '../lsn.ts';
import type { NodeObservation, PostgresObservation } from '../observation.ts';
import { findDivergence, isCopying } from '../replication.ts';
import { estimateCopy } from './copies.ts';

// Whether a replica that needs WAL which the primary no longer has takes it from the archive, instead of being cloned.

/** As much WAL is always less work than a clone, in bytes. */
const LITTLE = 1024 ** 3;

/** PostgreSQL's default size of a WAL segment, in bytes. The node, which knows the size, decides by that. */
const SEGMENT_BYTES = 16 * 1024 ** 2;

/**
 * Returns how much WAL `node` has to replay to catch up with `primary`, in bytes, if it can take what the primary no longer
 * has from the archive. Null if it cannot, or if a copy of the data is smaller than that. The node itself asks the archive
 * for each segment before it begins.
 */
export function measureCatchUp(
  node: NodeObservation,
  primary: NodeObservation,
  desired: DesiredCluster,
): number | null {
  const server = primary.postgres;
  const position = node.postgres ?? node.control;
  if (server === null || position === null || node.data !== 'complete' || isCopying(node)) {
    return null;
  }
  if (!hasArchive(primary, server, desired) || !reachesArchive(node, primary)) return null;
  if (findDivergence(node, server) !== null) return null;
  const oldest = locateSegment(primary.backup?.oldestWal ?? null);
  // A server that is down may have received more than its control file says.
  if (oldest === null || (node.postgres !== null && isBefore(position.lsn, oldest))) return null;
  const bytes = Math.max(0, Number(parseLsn(server.lsn) - parseLsn(position.lsn)));
  return bytes <= Math.max(LITTLE, estimateCopy(primary) ?? Infinity) ? bytes : null;
}

/** Whether the archive answers, and has what the primary wrote. */
function hasArchive(
  { backup }: NodeObservation,
  { archiver }: PostgresObservation,
  desired: DesiredCluster,
): boolean {
  if (desired.backup === null || backup === null || backup.problem !== null) return false;
  return backup.dropped === null && archiver?.state === 'archiving';
}

/** Whether the node's server can take WAL from the repository into which the primary archives. */
function reachesArchive(node: NodeObservation, primary: NodeObservation): boolean {
  const { files, host, postgres, container } = node;
  // A container of an earlier version lacks the programs. One that is stopped is created anew.
  const hasPrograms = host.backupTools === 'ready' && (postgres === null || container?.current);
  const isSame = files.pgbackrestConf === primary.files.pgbackrestConf;
  return hasPrograms === true && files.pgbackrestConf !== null && isSame;
}

/** Returns the position at which a WAL segment begins, from its name: timeline, high and low part. */
function locateSegment(name: string | null): string | null {
  const parts = /^[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})$/.exec(name ?? '');
  if (parts === null) return null;
  const low = (Number.parseInt(parts[2] ?? '', 16) * SEGMENT_BYTES) % 2 ** 32;
  return `${Number.parseInt(parts[1] ?? '', 16).toString(16)}/${low.toString(16)}`;
}
