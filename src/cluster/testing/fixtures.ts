import type { BackupSource, BackupSpec } from '../backup.ts';
import { type DesiredCluster, findNode, renderFiles } from '../desired.ts';
import { type Node, nodeName, slotName } from '../node.ts';
import type {
  FileSystemObservation,
  NodeObservation,
  PostgresObservation,
} from '../observation.ts';
import { renderSynchronous } from '../rollout/node-settings.ts';
import type { SettingInForce, Settings } from '../settings/settings.ts';
import { HOT_STANDBY_SENSITIVE, mergeSettings } from '../settings/settings.ts';
import type { ClusterSpec } from '../spec.ts';

// Builders for tests: a healthy cluster, in which a test changes what it is about.

/** The image that nodes run. */
export const RUNNING_DIGEST = `sha256:${'5b2137cbf9e2ac2d'.repeat(4)}`;
/** The image that its tag resolves to by now. */
export const NEWER_DIGEST = `sha256:${'c07e8a31d6f94b25'.repeat(4)}`;

/** Node `number` (1-based) as Terraform would create it. */
export function createNode(number: number): Node {
  return {
    name: nodeName(number),
    instanceId: `i-000000000000000${number}`,
    privateAddress: `10.42.0.1${number}`,
    publicAddress: `203.0.113.1${number}`,
    dnsName: '',
    volumeId: `vol-000000000000000${number}`,
    zone: `us-east-1${'abcdef'[(number - 1) % 6]}`,
    instanceType: 't3.medium',
  };
}

/** A file system that fills a device of `gib` GiB, a quarter of it used. */
export function createFileSystem(gib: number): FileSystemObservation {
  const deviceBytes = gib * 1024 ** 3;
  return {
    deviceBytes,
    filesystemBytes: deviceBytes,
    capacityBytes: deviceBytes,
    usedBytes: deviceBytes / 4,
    freeBytes: (deviceBytes * 3) / 4,
  };
}

/** Backups in a bucket at Amazon. */
export function createBackup(overrides: Partial<BackupSpec> = {}): BackupSpec {
  return {
    bucket: 'acme-backups',
    prefix: 'production',
    retentionDays: 14,
    schedule: { time: '02:30', fullOn: 'sunday' },
    endpoint: null,
    kmsKey: null,
    cipher: 'none',
    permissionsBoundary: null,
    ...overrides,
  };
}

/** The description of a cluster of three nodes with default values. */
export function createSpec(overrides: Partial<ClusterSpec> = {}): ClusterSpec {
  return {
    name: 'orders',
    region: 'us-east-1',
    instanceType: 't3.medium',
    replicaCount: 2,
    primary: null,
    synchronousReplicas: 0,
    image: 'postgres',
    imageTag: '17',
    settings: {},
    ssh: { via: 'direct', endpointId: null, address: null },
    sshCidrs: [],
    clientCidrs: [],
    subnetIds: [],
    instanceProfile: null,
    network: { internetVia: 'public-addresses', avoidZones: [], dnsZoneId: null },
    vpcCidr: '10.42.0.0/16',
    tags: {},
    storage: { dataGib: 20, iops: null, throughput: null, rootGib: 16, kmsKey: null },
    clone: { from: 'primary', maxRate: null },
    backup: null,
    restore: null,
    rehearsal: null,
    snapshots: null,
    ...overrides,
  };
}

/** A desired cluster of `size` nodes, three by default. */
export function createDesired(
  overrides: Partial<DesiredCluster> & { size?: number } = {},
): DesiredCluster {
  const { size = 3, ...rest } = overrides;
  return {
    name: 'postgres',
    nodes: Array.from({ length: size }, (_, index) => createNode(index + 1)),
    leaving: [],
    instanceType: 't3.medium',
    memoryMib: 4096,
    primary: null,
    synchronousReplicas: 0,
    image: 'postgres:17',
    settings: { max_connections: '100', shared_buffers: '256MB' },
    clientCidrs: ['10.0.0.0/16'],
    storage: { dataGib: 20, rootGib: 16 },
    clone: { from: 'primary', maxRate: null },
    region: 'us-east-1',
    backup: null,
    restore: null,
    rehearsal: null,
    ...rest,
  };
}

const RESTART = new Set([
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'wal_level',
  'archive_mode',
  'max_replication_slots',
  'wal_log_hints',
  'hot_standby',
  'shared_buffers',
  ...HOT_STANDBY_SENSITIVE,
]);
/** Default settings, as far as the tests need them. */
export const DEFAULTS: Settings = {
  max_connections: '100',
  max_locks_per_transaction: '64',
  max_prepared_transactions: '0',
  max_wal_senders: '10',
  max_worker_processes: '8',
  shared_buffers: '128MB',
  work_mem: '4MB',
};

/** What `pg_settings` says of a node that runs with exactly these settings in its file. */
export function createSettingsInForce(file: Settings): Record<string, SettingInForce> {
  return Object.fromEntries(
    Object.entries({ ...DEFAULTS, ...file }).map(([name, setting]) => [
      name,
      {
        setting,
        unit: null,
        context: RESTART.has(name) ? 'postmaster' : 'sighup',
        type: 'string',
        min: null,
        max: null,
        words: [],
        default: DEFAULTS[name] ?? '',
        fromFile: name in file,
      },
    ]),
  );
}

/** The node after ALTER SYSTEM wrote `value`; without `running` it has restarted since. */
export function alterSystem(
  node: NodeObservation,
  { name, value, running = value }: { name: string; value: string; running?: string },
): NodeObservation {
  const { postgres } = node;
  const row = postgres?.settings[name];
  if (!postgres || !row) throw new Error(`${node.name} says nothing of ${name}`);
  const settings = { ...postgres.settings, [name]: { ...row, setting: running } };
  const overrides = { ...node.overrides, [name]: value };
  return { ...node, overrides, postgres: { ...postgres, settings } };
}

/** The backups of another cluster, as a restore names them. */
export function createSource(changes: Partial<BackupSource> = {}): BackupSource {
  return {
    ...{ bucket: 'acme-backups', prefix: '', cluster: 'sales' },
    ...{ endpoint: null, kmsKey: null, cipher: 'none' as const, permissionsBoundary: null },
    ...changes,
  };
}

/** The nodes of `desired` once it is reached, with `primary` as the primary. */
export function createHealthy(desired: DesiredCluster, primary = 'node-1'): NodeObservation[] {
  const settings = {
    ...mergeSettings(desired.settings, desired.storage),
    synchronous_standby_names: renderSynchronous(desired),
  };
  return [...desired.nodes, ...desired.leaving].map(({ name }) => {
    const isPrimary = name === primary;
    const upstream = findNode(desired, primary);
    const replicas = [...desired.nodes, ...desired.leaving].filter((node) => node.name !== primary);
    const postgres: PostgresObservation = {
      inRecovery: !isPrimary,
      systemIdentifier: '7300000000000000001',
      timeline: 1,
      history: [],
      oldestLsn: '0/1000000',
      version: 170_006,
      settings: createSettingsInForce(settings),
      filesLoaded: true,
      slots: isPrimary
        ? replicas.map((node) => ({
            name: slotName(node.name),
            active: true,
            walStatus: 'reserved',
            retainedBytes: 0,
          }))
        : [],
      logicalSlots: [],
      senders: [],
      receiver: isPrimary
        ? null
        : {
            status: 'streaming',
            senderHost: upstream.privateAddress,
            slotName: slotName(name),
          },
      archiver: null,
      weakCommits: [],
      replayPaused: false,
      lsn: '0/3000148',
      passwordsCurrent: isPrimary ? true : null,
      collations: [{ provider: 'libc', locale: 'en_US.utf8', version: '2.36' }],
      imageLacks: [],
    };
    return {
      name,
      host: {
        dockerVersion: '20.10.24',
        dockerReady: true,
        imageReady: true,
        imageDigest: NEWER_DIGEST,
        memoryMib: 3900,
        authorizedKeysCurrent: true,
        debian: 13,
        backupTools: 'absent',
        backupKeyCurrent: null,
      },
      volume: { device: '/dev/nvme1n1', filesystem: 'ext4', ready: true, readOnly: false },
      storage: { data: createFileSystem(20), root: createFileSystem(16), kept: [] },
      work: null,
      data: 'complete',
      standby: !isPrimary,
      record: {
        major: 17,
        libc: 'glibc',
        image: desired.image,
        digest: `postgres@${RUNNING_DIGEST}`,
        locale: 'en_US.utf8',
        systemIdentifier: '7300000000000000001',
      },
      container: { state: 'running', current: true },
      files: {
        ...renderFiles(desired, { node: name, primary, settings }),
        pgbackrestConf: null,
        backupJson: null,
      },
      overrides: {},
      control: null,
      upstreamAnswers: isPrimary ? null : true,
      postgres,
      backup: null,
      rehearsal: null,
    };
  });
}
