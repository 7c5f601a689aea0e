/** The days of the week, as `Date.getUTCDay` counts them. */
export const DAYS = [
  'sunday',
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
] as const;

/** A whole copy, or what changed since the last backup. */
export const BACKUP_TYPES = ['full', 'incremental'] as const;
/** One of them. */
export type BackupType = (typeof BACKUP_TYPES)[number];

/** How pgBackRest encrypts a repository before anything leaves the node (pgBackRest, "Configuration Reference", repo-cipher-type). */
export const CIPHERS = ['none', 'aes-256-cbc'] as const;
/** One of them. */
export type Cipher = (typeof CIPHERS)[number];

/** Where the backups and the WAL archive of a cluster are kept, when backups are made, and how long they are kept. */
export interface BackupSpec {
  /** S3 bucket in the cluster's region. */
  readonly bucket: string;
  /** Folder in the bucket, without a slash at either end; '' for none. The cluster's name is added to it. */
  readonly prefix: string;
  /** Days for which one can restore to every moment. */
  readonly retentionDays: number;
  readonly schedule: BackupSchedule;
  /** Another S3 service, `host` or `host:port`; null: Amazon's of the region. */
  readonly endpoint: string | null;
  /** ARN of the KMS key of the objects; null: the bucket's default. */
  readonly kmsKey: string | null;
  /** Unless it is `none`, everything is encrypted with the secret `backup-cipher-key`. */
  readonly cipher: Cipher;
  /** ARN of the policy that limits the role of the nodes; null: none. */
  readonly permissionsBoundary: string | null;
}

/** When backups begin: every day, a full one on one day of the week. */
export interface BackupSchedule {
  /** In UTC, e.g. `02:30`. */
  readonly time: string;
  readonly fullOn: (typeof DAYS)[number];
}

/** The backups of a cluster, as the source of a restore. */
export interface BackupSource {
  readonly bucket: string;
  readonly prefix: string;
  /** Name of the cluster that was backed up. */
  readonly cluster: string;
  /** Another S3 service, `host` or `host:port`; null: Amazon's of the region. */
  readonly endpoint: string | null;
  /** ARN of the KMS key of the objects; null: the bucket's default. */
  readonly kmsKey: string | null;
  /** Unless it is `none`, everything is encrypted: with `restore-cipher-key`, or if that is not set, with `backup-cipher-key`. */
  readonly cipher: Cipher;
  /** ARN of the policy that limits the role of nodes without `backup`; null: none. */
  readonly permissionsBoundary: string | null;
}

/** What a cluster without data begins with. Without effect once a node holds data. */
export interface RestoreSpec {
  readonly from: BackupSource;
  /** The moment to restore to (RFC 3339); null: the newest possible. */
  readonly time: string | null;
}

/** Returns the path of a cluster's repository in its bucket, e.g. `/production/orders`. */
export function locateRepository({
  prefix,
  cluster,
}: Pick<BackupSource, 'prefix' | 'cluster'>): string {
  return `/${prefix === '' ? '' : `${prefix}/`}${cluster}`;
}
