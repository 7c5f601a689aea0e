import { namesOf, slotName } from '../node.ts';
import {
  buildFreshObservation,
  type FileSystemObservation,
  type NodeObservation,
} from '../observation.ts';
import { createSettingsInForce } from './fixtures.ts';
import type { ModelCluster } from './model.ts';
import { observeRepository } from './model-backups.ts';
import type { ModelNode, ModelVolume } from './model-node.ts';

const MIB = 1024 ** 2;
const formatLsn = (lsn: number): string => `0/${(lsn * MIB).toString(16).toUpperCase()}`;

/** Returns what the playbook would report about every node of the model, which remembers what its primary listed. */
export function observeModel(cluster: ModelCluster): NodeObservation[] {
  const nodes = [...cluster.nodes.values()];
  cluster.listed = new Set(namesOf(nodes.filter((node) => cluster.isStreaming(node))));
  return nodes.map((node) => observeNode(cluster, node));
}

/** What precedes the root partition of Debian's machine image. */
const ROOT_OFFSET = 130 * MIB;

function measure({ device, filesystem }: ModelVolume, offset: number): FileSystemObservation {
  const filesystemBytes = filesystem * 1024 * MIB - offset;
  return {
    deviceBytes: device * 1024 * MIB,
    filesystemBytes,
    capacityBytes: filesystemBytes,
    usedBytes: filesystemBytes / 4,
    freeBytes: (filesystemBytes * 3) / 4,
  };
}

function observeNode(cluster: ModelCluster, node: ModelNode): NodeObservation {
  const fresh = buildFreshObservation(node.name);
  const hasData = node.data !== 'absent' && node.data !== 'partial';
  const host = {
    ...fresh.host,
    dockerReady: node.hostReady,
    imageReady: node.hostReady,
    dockerVersion: '20',
    memoryMib: 3900,
    debian: 13,
    backupTools: node.hasTools ? ('ready' as const) : ('absent' as const),
  };
  const filesystem = node.hostReady || hasData ? 'xfs' : null;
  const volume = { device: '/dev/nvme1n1', filesystem, ready: node.mounted, readOnly: false };
  const root = measure(node.volumes.root, ROOT_OFFSET);
  // Nothing is observed on a volume that is not mounted.
  if (!node.mounted) return { ...fresh, host, volume, storage: { ...fresh.storage, root } };
  return {
    ...fresh,
    host,
    volume,
    storage: { ...fresh.storage, data: measure(node.volumes.data, 0), root },
    data: node.data,
    standby: hasData && node.standbySignal,
    record:
      node.data === 'complete'
        ? {
            major: cluster.major,
            libc: 'glibc',
            image: node.image,
            digest: `postgres@sha256:${node.image}`,
            locale: 'C',
            systemIdentifier: '7',
          }
        : null,
    container:
      node.container === 'none'
        ? null
        : {
            state: node.container === 'running' ? 'running' : 'exited',
            current: node.containerCurrent,
          },
    files: node.files,
    overrides: hasData ? node.auto : {},
    control:
      hasData && node.container !== 'running'
        ? {
            state: node.state,
            // The latest WAL segment.
            timeline: Math.max(node.checkpoint.timeline, node.timeline),
            lsn: formatLsn(node.checkpoint.lsn - (node.state === 'shut down' ? 0.5 : 0)),
          }
        : null,
    postgres: node.container === 'running' ? observePostgres(cluster, node) : null,
    backup: observeRepository(cluster, node),
  };
}

/** Nodes are observed one after the other, and clients write meanwhile. */
const skew = ({ name }: ModelNode): number => (Number(name.replace(/\D/g, '')) % 4) / 8;

function observePostgres(cluster: ModelCluster, node: ModelNode): NodeObservation['postgres'] {
  const upstream = node.upstream === null ? undefined : cluster.nodes.get(node.upstream);
  const running = createSettingsInForce(node.settings);
  return {
    inRecovery: node.inRecovery,
    systemIdentifier: '7',
    timeline: node.timeline,
    history: node.history.map(({ timeline, end }) => ({ timeline, switchLsn: formatLsn(end) })),
    oldestLsn: formatLsn(node.oldest),
    version: cluster.major * 10_000 + 6,
    settings: Object.fromEntries(
      Object.entries(running).map(([name, inForce]) => [
        name,
        {
          ...inForce,
          // What only a start changes stays as it was, even without its line.
          fromFile:
            inForce.context === 'postmaster'
              ? node.fileAtStart.includes(name)
              : name in node.file || name in node.auto,
        },
      ]),
    ),
    filesLoaded: node.loaded,
    slots: node.slots.map(({ name, lost }) => ({
      name,
      active: false,
      walStatus: lost ? 'lost' : 'reserved',
      retainedBytes: 0,
    })),
    logicalSlots: node.logicalSlots.map((slot) => ({
      ...slot,
      database: 'postgres',
      plugin: 'pgoutput',
      active: false,
      invalid: false,
      leftover: node.inRecovery && !slot.synced,
    })),
    senders: [...cluster.nodes.values()]
      .filter((replica) => replica.upstream === node.name && cluster.isStreaming(replica))
      .map((replica) => ({
        applicationName: slotName(replica.name),
        state: 'streaming',
        syncState: 'async',
        replayLsn: formatLsn(replica.replayed),
      })),
    receiver: cluster.isStreaming(node)
      ? {
          status: 'streaming',
          senderHost: upstream?.address ?? null,
          slotName: slotName(node.name),
        }
      : null,
    archiver:
      node.inRecovery || node.files.pgbackrestConf === null
        ? null
        : {
            state: 'archiving',
            failed: 0,
            lastFailed: null,
            waiting: 0,
            waitingBytes: 0,
            waitingSince: null,
          },
    weakCommits: [],
    replayPaused: false,
    lsn: formatLsn(node.lsn + (cluster.isStreaming(node) ? skew(node) : 0)),
    passwordsCurrent: node.inRecovery ? null : true,
    collations: [],
    imageLacks: null,
  };
}
