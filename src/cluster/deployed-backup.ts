import {
  type BackupSchedule,
  type BackupSpec,
  CIPHERS,
  type Cipher,
  DAYS,
  locateRepository,
} from './backup.ts';
import type { BackupObservation, BackupRecord, NodeObservation } from './observation.ts';
import { findPrimary } from './replication.ts';

/** Where a node archives to and how long backups are kept, as its files say. */
export interface DeployedBackup {
  readonly bucket: string;
  /** Path in the bucket, e.g. `/production/orders`. */
  readonly path: string;
  /** Another S3 service, `host` or `host:port`; null: Amazon's. */
  readonly endpoint: string | null;
  /** How the repository is encrypted. */
  readonly cipher: Cipher;
  /** Null: the file does not say. */
  readonly retentionDays: number | null;
  /** Null: the node has no schedule, or one that cannot be read. */
  readonly schedule: BackupSchedule | null;
}

/** Reads pgbackrest.conf and backup.json of a node; null if they name no repository. */
export function readDeployedBackup({
  pgbackrestConf,
  backupJson,
}: Pick<NodeObservation['files'], 'pgbackrestConf' | 'backupJson'>): DeployedBackup | null {
  // Values that the action does not write count as none.
  const read = (key: string, form: RegExp) => {
    const value = new RegExp(`^${key}=(.*)$`, 'm').exec(pgbackrestConf ?? '')?.[1]?.trim();
    return value !== undefined && form.test(value) ? value : null;
  };
  const bucket = read('repo1-s3-bucket', /^[a-z0-9-]{3,63}$/);
  const path = read('repo1-path', /^\/[A-Za-z0-9._/-]{1,300}$/);
  if (bucket === null || path === null) return null;
  const days = read('repo1-retention-full', /^\d{1,5}$/);
  // Only another service is addressed by path.
  const host =
    read('repo1-s3-uri-style', /^path$/) && read('repo1-s3-endpoint', /^[a-z0-9.-]{1,253}$/);
  const port = read('repo1-storage-port', /^\d{1,5}$/);
  return {
    bucket,
    path,
    endpoint: host === null || port === null ? host : `${host}:${port}`,
    cipher: CIPHERS.find((one) => one === read('repo1-cipher-type', /^[a-z0-9-]{1,32}$/)) ?? 'none',
    retentionDays: days === null ? null : Number(days),
    schedule: readSchedule(backupJson),
  };
}

function readSchedule(text: string | null): BackupSchedule | null {
  try {
    const { time, fullOn } = JSON.parse(text ?? '') as Partial<Record<string, unknown>>;
    const day = DAYS.find((one) => one === fullOn);
    return typeof time === 'string' && /^\d\d:\d\d$/.test(time) && day !== undefined
      ? { time, fullOn: day }
      : null;
  } catch {
    return null;
  }
}

/** Returns where the primary, running or stopped, archives to; null without a primary, or if it has no repository. */
export function findDeployedBackup(observed: readonly NodeObservation[]): DeployedBackup | null {
  const name = findPrimary(observed);
  const primary = observed.find((node) => node.name === name);
  return primary === undefined ? null : readDeployedBackup(primary.files);
}

/** Whether a node archives to the repository that `backup` names for the cluster. */
export function isSameRepository(
  { bucket, path, endpoint }: Pick<DeployedBackup, 'bucket' | 'path' | 'endpoint'>,
  { backup, cluster }: { backup: BackupSpec; cluster: string },
): boolean {
  return (
    bucket === backup.bucket &&
    path === locateRepository({ ...backup, cluster }) &&
    endpoint === backup.endpoint
  );
}

/**
 * The moments that can be restored, in seconds since the epoch: all from the end of the oldest backup on, except for gaps that
 * were closed.
 */
export interface RecoveryWindow {
  readonly from: number;
  readonly until: number;
}

/**
 * Returns the moments that can be restored; null without a backup. Dropped WAL ends the window until the next full backup.
 */
export function findWindow({
  backups,
  archivedAt,
  dropped,
}: Pick<BackupObservation, 'backups' | 'archivedAt' | 'dropped'>): RecoveryWindow | null {
  const [oldest, newest] = [backups[0], backups.at(-1)];
  if (oldest === undefined || newest === undefined) return null;
  // A backup ends once the WAL that it needs is archived.
  const until = Math.max(newest.ended, archivedAt ?? 0);
  const end = dropped === null ? until : Math.min(until, dropped.since);
  return { from: oldest.ended, until: Math.max(oldest.ended, end) };
}

/**
 * Returns the moments within the window that cannot be restored, oldest first: each from when WAL is missing to the end of the
 * full backup that closed the gap.
 */
export function findGaps(backups: readonly BackupRecord[]): RecoveryWindow[] {
  const start = backups[0]?.ended ?? 0;
  const gaps: RecoveryWindow[] = [];
  for (const { missingSince, ended: until } of backups) {
    // A report that an earlier version stored has no such field.
    if (typeof missingSince !== 'number') continue;
    let from = Math.max(start, missingSince);
    for (let last = gaps.at(-1); last !== undefined && from <= last.until; last = gaps.at(-1)) {
      from = Math.min(last.from, from);
      gaps.pop();
    }
    if (from < until) gaps.push({ from, until });
  }
  return gaps;
}

/** What a retention deletes. */
export interface Expiry {
  /** Oldest first. */
  readonly deleted: readonly BackupRecord[];
  /** The oldest backup that is left. */
  readonly oldestKept: BackupRecord;
  /** The oldest one that is left and that a recovery of this cluster can begin with; null without one. */
  readonly restorable: BackupRecord | null;
}

const DAY = 24 * 3600;

/**
 * Returns what pgBackRest deletes after a backup that ends at `at` (seconds since the epoch); null if it deletes nothing.
 * With `retention-full-type=time` it keeps the newest full backup that is older than the retention and all later ones
 * (`expireTimeBasedBackup` in expire.c), so that every moment within the retention can be restored.
 */
export function predictExpiry(
  found: Pick<BackupObservation, 'backups' | 'abandoned'>,
  { retentionDays, at }: { retentionDays: number; at: number },
): Expiry | null {
  const all = listAllBackups(found);
  const kept = all.findLastIndex(
    ({ type, ended }) => type === 'full' && ended < at - retentionDays * DAY,
  );
  const oldestKept = all[kept];
  if (oldestKept === undefined || kept === 0) return null;
  const restorable = found.backups.find(({ started }) => started >= oldestKept.started) ?? null;
  return { deleted: all.slice(0, kept), oldestKept, restorable };
}

/** Returns all backups in the repository, also those that no recovery of this cluster can begin with, oldest first. */
export const listAllBackups = ({
  backups,
  abandoned = [],
}: Pick<BackupObservation, 'backups' | 'abandoned'>): readonly BackupRecord[] =>
  [...backups, ...abandoned].sort((one, other) => one.started - other.started);

/** Returns when the next backup is due after `now`, both in seconds since the epoch. */
export function findNextBackup({ time }: Pick<BackupSchedule, 'time'>, now: number): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  const today = Math.floor(now / DAY) * DAY + hours * 3600 + minutes * 60;
  return today > now ? today : today + DAY;
}
