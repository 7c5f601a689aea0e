import {
  type BackupSchedule,
  type BackupSource,
  type BackupSpec,
  locateRepository,
} from './backup.ts';
import { OWN_DATABASE } from './configuration.ts';
import type { DesiredCluster } from './desired.ts';
import type { NodeObservation } from './observation.ts';

/** The bundle of pgBackRest, at the same path on the host and in the container. */
const TOOLS = '/opt/pgbackrest';

/** Options by name, in the order in which they are written. */
type Options = Readonly<Record<string, string | number | null>>;

/**
 * Returns the `pgbackrest.conf` of every node of a cluster (pgBackRest 2.55, "Configuration Reference"). It holds no secret:
 * credentials come from the instance's metadata service, and the node adds the key of the cipher (cipher.py). `dataGib`: size
 * of the data volume in GiB.
 */
export function renderPgbackrestConf(
  backup: BackupSpec,
  { cluster, region, dataGib }: { cluster: string; region: string; dataGib: number },
): string {
  return renderSections({
    global: {
      ...locate({ ...backup, cluster }, region),
      'repo1-s3-kms-key-id': backup.kmsKey,
      // A full backup is kept until a newer one is old enough, so that every moment of these days can be restored.
      'repo1-retention-full-type': 'time',
      'repo1-retention-full': backup.retentionDays,
      'repo1-bundle': 'y',
      'repo1-block': 'y',
      'archive-push-queue-max': `${boundQueue(dataGib)}GiB`,
      'start-fast': 'y',
      ...COMMON,
    },
    // It ends when its last WAL is archived, which comes after all that waits: 64 GiB in half an hour are 36 MiB a second. One
    // that gives up has to read the whole database again. As long it waits at its begin if nothing is archived.
    'global:backup': { 'archive-timeout': 1800 },
    [cluster]: DATABASE,
  });
}

/** Returns the `pgbackrest.conf` with which a restore reads the backups of another cluster, or of an earlier one. */
export function renderRestoreConf(source: BackupSource, region: string): string {
  return renderSections({
    global: { ...locate(source, region), ...COMMON },
    [source.cluster]: DATABASE,
  });
}

/** Returns the files of every node that concern backups; null where the cluster has none. */
export function renderBackupFiles({
  name: cluster,
  region,
  storage: { dataGib },
  backup,
}: Pick<DesiredCluster, 'name' | 'region' | 'storage' | 'backup'>): Pick<
  NodeObservation['files'],
  'pgbackrestConf' | 'backupJson'
> {
  if (backup === null) return { pgbackrestConf: null, backupJson: null };
  return {
    pgbackrestConf: renderPgbackrestConf(backup, { cluster, region, dataGib }),
    backupJson: renderBackupJson(backup.schedule),
  };
}

/** Returns the schedule that the nodes' backup program reads. */
export function renderBackupJson({ time, fullOn }: BackupSchedule): string {
  return `${JSON.stringify({ time, fullOn })}\n`;
}

/** Options of every command. */
const COMMON: Options = {
  'archive-async': 'y',
  'spool-path': '/var/spool/pgbackrest',
  'compress-type': 'zst',
  'process-max': 2,
  'lock-path': '/tmp/pgbackrest',
  'log-level-file': 'off',
  // The wrapper: it starts itself again by this name.
  cmd: `${TOOLS}/pgbackrest`,
};

/** The server in whose container pgBackRest runs. */
const DATABASE: Options = {
  'pg1-path': '/var/lib/postgresql-cluster/data',
  'pg1-socket-path': '/var/run/postgresql',
  'pg1-user': 'postgres',
  // People may drop or rename any other.
  'pg1-database': OWN_DATABASE,
};

/** Options that say where a repository is. */
function locate(source: Omit<BackupSource, 'permissionsBoundary'>, region: string): Options {
  const { endpoint } = source;
  const [host = '', port = null] = (endpoint ?? `s3.${region}.${findDomain(region)}`).split(':');
  return {
    'repo1-type': 's3',
    'repo1-path': locateRepository(source),
    'repo1-s3-bucket': source.bucket,
    'repo1-s3-region': region,
    'repo1-s3-endpoint': host,
    'repo1-storage-port': port,
    // Other services have no host name for each bucket.
    'repo1-s3-uri-style': endpoint === null ? null : 'path',
    'repo1-s3-key-type': 'auto',
    'repo1-storage-ca-file': `${TOOLS}/ca-certificates.crt`,
    'repo1-cipher-type': source.cipher === 'none' ? null : source.cipher,
  };
}

/** Returns the domain of a region's partition (AWS General Reference, "Amazon S3 endpoints and quotas"). */
const findDomain = (region: string): string =>
  region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';

/**
 * Returns how much WAL may wait for the archive, in GiB: a tenth of the data volume. An archive that does not answer must
 * not fill it; beyond that WAL is dropped.
 */
function boundQueue(dataGib: number): number {
  return Math.min(64, Math.max(1, Math.floor(dataGib / 10)));
}

function renderSections(sections: Readonly<Record<string, Options>>): string {
  const blocks = Object.entries(sections).map(([name, options]) =>
    [
      `[${requireLine(name)}]`,
      ...Object.entries(options)
        .filter(([, value]) => value !== null)
        .map(([option, value]) => `${option}=${requireLine(String(value))}`),
      '',
    ].join('\n'),
  );
  return [
    '# Written by Postgres Cluster Action; changes made here are overwritten.',
    blocks.join('\n'),
  ].join('\n');
}

/**
 * Returns the text if it is one word: the format has no escapes, and blanks around a value are cut.
 *
 * @throws Error otherwise: inputs are checked before
 */
function requireLine(text: string): string {
  if (!/^[!-~]+$/.test(text)) throw new Error(`${JSON.stringify(text)} is no value of an option`);
  return text;
}
