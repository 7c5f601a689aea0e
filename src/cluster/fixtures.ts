import type { Node } from './configuration.ts';
import { type DesiredCluster, renderFiles } from './desired.ts';
import type { NodeObservation, PostgresObservation } from './observation.ts';
import type { SettingInForce, Settings } from './settings.ts';
import { mergeSettings } from './settings.ts';
import { nodeName, slotName } from './spec.ts';

// Builders for tests: a healthy cluster, from which a test bends what it is about.

/** Node `number` (1-based) as Terraform would make it. */
export function createNode(number: number): Node {
  return {
    name: nodeName(number),
    instanceId: `i-000000000000000${number}`,
    privateAddress: `10.42.0.1${number}`,
    publicAddress: `203.0.113.1${number}`,
    volumeId: `vol-000000000000000${number}`,
    zone: 'us-east-1a',
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
    image: 'postgres:17',
    settings: { max_connections: '100', shared_buffers: '256MB' },
    clientCidrs: ['10.0.0.0/16'],
    ...rest,
  };
}

const CONTEXTS: Readonly<Record<string, string>> = {
  listen_addresses: 'postmaster',
  port: 'postmaster',
  unix_socket_directories: 'postmaster',
  wal_level: 'postmaster',
  max_wal_senders: 'postmaster',
  max_replication_slots: 'postmaster',
  wal_log_hints: 'postmaster',
  hot_standby: 'postmaster',
  max_connections: 'postmaster',
  shared_buffers: 'postmaster',
};

/** What `pg_settings` says of a node that runs with these settings and the managed ones. */
export function createSettingsInForce(settings: Settings): Record<string, SettingInForce> {
  return Object.fromEntries(
    Object.entries(mergeSettings(settings)).map(([name, setting]) => [
      name,
      { setting, unit: null, context: CONTEXTS[name] ?? 'sighup', overridden: false },
    ]),
  );
}

/** The nodes of `desired` as they are once it is reached, `primary` being the primary. */
export function createHealthy(desired: DesiredCluster, primary = 'node-1'): NodeObservation[] {
  const settings = mergeSettings(desired.settings);
  return desired.nodes.map(({ name }) => {
    const isPrimary = name === primary;
    const upstream = desired.nodes.find((node) => node.name === primary);
    const replicas = desired.nodes.filter((node) => node.name !== primary);
    const postgres: PostgresObservation = {
      inRecovery: !isPrimary,
      systemIdentifier: '7300000000000000001',
      timeline: 1,
      version: 170_006,
      settings: createSettingsInForce(desired.settings),
      slots: isPrimary
        ? replicas.map((node) => ({
            name: slotName(node.name),
            active: true,
            walStatus: 'reserved',
          }))
        : [],
      senders: [],
      receiver: isPrimary
        ? null
        : {
            status: 'streaming',
            senderHost: upstream?.privateAddress ?? null,
            slotName: slotName(name),
          },
      replayPaused: false,
      lsn: '0/3000148',
      passwordsCurrent: isPrimary ? true : null,
    };
    return {
      name,
      host: { dockerVersion: '20.10.24', dockerReady: true, authorizedKeysCurrent: true },
      volume: { device: '/dev/nvme1n1', filesystem: 'ext4', ready: true },
      data: 'complete',
      standby: !isPrimary,
      record: {
        major: 17,
        libc: 'glibc',
        image: desired.image,
        digest: 'postgres@sha256:0',
        locale: 'en_US.utf8',
        systemIdentifier: '7300000000000000001',
      },
      container: { state: 'running', current: true },
      files: renderFiles(desired, { node: name, primary, settings }),
      postgres,
    };
  });
}
