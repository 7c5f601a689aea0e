import type { BackupSource } from '../cluster/backup.ts';
import { findOwnArchiving } from '../cluster/settings/archiving.ts';
import type { Settings } from '../cluster/settings/settings.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { type Description, readValue } from './description.ts';

type Given<Key extends 'backup' | 'restore'> = NonNullable<ReturnType<typeof readValue<Key>>>;

/** The defaults of the key `backup`. */
const RETENTION_DAYS = 14;
const TIME = '02:30';
const FULL_ON = 'sunday';

/** The defaults of the key `snapshots`. */
const KEEP = 7;
const SNAPSHOT_TIME = '03:00';

/** Returns where backups are kept, what an empty cluster is restored from, and which snapshots are made. */
export function buildBackup(
  description: Description,
): Pick<ClusterSpec, 'backup' | 'restore' | 'snapshots'> {
  const backup = readValue(description, 'backup');
  const restore = readValue(description, 'restore');
  const snapshots = readValue(description, 'snapshots');
  return {
    backup: backup && {
      bucket: backup.bucket,
      prefix: backup.prefix ?? '',
      retentionDays: backup.retention_days ?? RETENTION_DAYS,
      schedule: {
        time: backup.schedule?.time ?? TIME,
        fullOn: backup.schedule?.full_on ?? FULL_ON,
      },
      endpoint: backup.endpoint ?? null,
      kmsKey: backup.kms_key_id ?? null,
      cipher: backup.cipher ?? 'none',
      permissionsBoundary: backup.permissions_boundary ?? null,
    },
    restore: restore && {
      from: buildSource(restore.from, backup),
      time: restore.time ?? null,
    },
    snapshots: snapshots && {
      keep: snapshots.keep ?? KEEP,
      time: snapshots.time ?? SNAPSHOT_TIME,
      permissionsBoundary: snapshots.permissions_boundary ?? null,
    },
  };
}

/** What a source does not say is as in `backup`. */
function buildSource(
  { bucket, prefix, cluster, ...given }: Given<'restore'>['from'],
  backup: Given<'backup'> | null,
): BackupSource {
  return {
    bucket,
    prefix: prefix ?? '',
    cluster,
    endpoint: given.endpoint ?? backup?.endpoint ?? null,
    kmsKey: given.kms_key_id ?? backup?.kms_key_id ?? null,
    cipher: given.cipher ?? backup?.cipher ?? 'none',
    permissionsBoundary: given.permissions_boundary ?? backup?.permissions_boundary ?? null,
  };
}

/** Checks values of backups that depend on other keys. */
export function checkBackup(description: Description): string[] {
  const backup = readValue(description, 'backup');
  const source = readValue(description, 'restore')?.from;
  const ownKey = `${description.get('backup')?.nameEntry('kms_key_id')}.kms_key_id`;
  const from = `${description.get('restore')?.nameEntry('from')}.from`;
  const boundary = source?.permissions_boundary;
  return [
    ...checkKey(description, { key: backup?.kms_key_id, name: ownKey }),
    ...checkKey(description, { key: source?.kms_key_id, name: `${from}.kms_key_id` }),
    ...(backup === null || boundary === undefined || boundary === backup.permissions_boundary
      ? []
      : [
          `${from}.permissions_boundary: the nodes have one role with one boundary, and backup ${backup.permissions_boundary === undefined ? 'has none' : 'has another'}. Give it in backup only.`,
        ]),
  ];
}

function checkKey(
  description: Description,
  { key, name }: { key: string | undefined; name: string },
): string[] {
  const region = readValue(description, 'region');
  const home = key?.split(':')[3];
  if (key === undefined || region === null || home === region) return [];
  return [
    `${name}: it is a key of ${home}, and a bucket in ${region} (region) can only use keys of ${region}. Give one of those.`,
  ];
}

/** Refuses settings that would send WAL elsewhere than to the backups, and a name that pgBackRest cannot use. */
export function checkArchiving(description: Description, settings: Settings): string[] {
  const given = description.get('backup');
  if (given === undefined || readValue(description, 'backup') === null) return [];
  // pgbackrest.conf has a section of that name already.
  const isTaken = readValue(description, 'cluster_name') === 'global';
  return [
    ...(isTaken
      ? [
          `${given.name}: the cluster is called global, which means something else to pgBackRest, so it cannot have backups. Use another name, e.g. global-1.`,
        ]
      : []),
    ...findOwnArchiving(settings).map(
      (name) =>
        `${given.name}: ${name} is set in settings, so WAL would not reach the backups. The action sets it itself. Remove ${name}, or backup.`,
    ),
  ];
}
