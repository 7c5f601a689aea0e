import type { BackupSpec, RestoreSpec } from './backup.ts';
import { copiesSlots, renderPgHba, renderPostgresqlConf } from './configuration.ts';
import { type Node, nodeName } from './node.ts';
import type { Canary } from './rehearsal.ts';
import { limitArchiveAge, type Settings } from './settings/settings.ts';
import { type CloneSpec, type ClusterSpec, imageReference, type StorageSpec } from './spec.ts';

/** The state that the cluster is to reach. */
export interface DesiredCluster {
  readonly name: string;
  /** In number order; the first becomes the primary only if no node holds data. */
  readonly nodes: readonly Node[];
  /** Existing nodes to remove. */
  readonly leaving: readonly Node[];
  /**
   * Names of existing nodes that stay and cannot be reached, while another node answers as the primary. Nothing is done
   * on them, and no other server is stopped meanwhile.
   */
  readonly unreachable?: readonly string[];
  /** Names of nodes that stay and whose instance is stopped: they cannot be observed before it is started. */
  readonly stopped?: readonly string[];
  /** EC2 instance type of every node; null: each keeps its type. */
  readonly instanceType: string | null;
  /** RAM of that type in MiB; null where unknown. */
  readonly memoryMib: number | null;
  /** The node to make primary; null: any. */
  readonly primary: string | null;
  /** Replicas that must have a commit before it is acknowledged; 0: asynchronous. */
  readonly synchronousReplicas: number;
  /** Image reference as requested, e.g. `postgres:17`. */
  readonly image: string;
  /** The settings of the team; managed settings are added to them. */
  readonly settings: Settings;
  readonly clientCidrs: readonly string[];
  /** Sizes of every node's volumes. */
  readonly storage: Pick<StorageSpec, 'dataGib' | 'rootGib'>;
  readonly clone: CloneSpec;
  /** AWS region, e.g. `us-east-1`. */
  readonly region: string;
  /** Null: no backups. */
  readonly backup: BackupSpec | null;
  /** What a cluster without data begins with; null: an empty database. */
  readonly restore: RestoreSpec | null;
  /** What the restore must have brought back; null: this is no rehearsal. */
  readonly rehearsal: Canary | null;
  /**
   * Whether file systems stay as they are: a failover and a replacement grow no volume, and must not wait for one that EC2
   * has not grown.
   */
  readonly keepsStorage?: boolean;
  /** Whether a change may lose logical slots. */
  readonly allowsSlotLoss?: boolean;
  /** Whether a change may delete backups or end archiving. */
  readonly allowsBackupLoss?: boolean;
}

/**
 * Returns the cluster that `spec` asks for. `existing` are the nodes in Terraform's state; a node that is asked for
 * and not among them has no addresses yet. `instanceType` null: each node stays what it is. `memoryMib` is
 * the instance type's RAM, null where it is not known. `allowsSlotLoss`: logical slots may be lost. `allowsBackupLoss`:
 * backups may be deleted or end. `keepsStorage`: no file system grows.
 */
export function buildDesired(
  spec: ClusterSpec,
  {
    existing,
    instanceType,
    memoryMib,
    allowsSlotLoss = false,
    allowsBackupLoss = false,
    keepsStorage = false,
  }: {
    existing: readonly Node[];
    instanceType: string | null;
    memoryMib: number | null;
    allowsSlotLoss?: boolean;
    allowsBackupLoss?: boolean;
    keepsStorage?: boolean;
  },
): DesiredCluster {
  const names = Array.from({ length: spec.replicaCount + 1 }, (_, index) => nodeName(index + 1));
  return {
    name: spec.name,
    nodes: names.map(
      (name) => existing.find((node) => node.name === name) ?? buildPlannedNode(name, spec),
    ),
    leaving: existing.filter(({ name }) => !names.includes(name)),
    instanceType,
    memoryMib,
    image: imageReference(spec),
    settings: spec.backup === null ? spec.settings : limitArchiveAge(spec.settings),
    clientCidrs: spec.clientCidrs,
    storage: spec.storage,
    clone: spec.clone,
    region: spec.region,
    backup: spec.backup,
    restore: spec.restore,
    rehearsal: spec.rehearsal,
    primary: spec.primary,
    synchronousReplicas: spec.synchronousReplicas,
    allowsSlotLoss,
    allowsBackupLoss,
    keepsStorage,
  };
}

function buildPlannedNode(name: string, { instanceType }: ClusterSpec): Node {
  const unknown = {
    instanceId: '',
    privateAddress: '',
    publicAddress: '',
    dnsName: '',
    volumeId: '',
    zone: '',
  };
  return { name, instanceType, ...unknown };
}

/** Returns the configuration files of `node` when it follows `primary` with `settings`. */
export function renderFiles(
  desired: DesiredCluster,
  options: { node: string; primary: string; settings: Settings },
): { postgresqlConf: string; pgHba: string } {
  const { node, primary, settings } = options;
  const upstream = node === primary ? null : findNode(desired, primary);
  return {
    postgresqlConf: renderPostgresqlConf({ node, clusterName: desired.name, settings, upstream }),
    pgHba: renderPgHba(desired.nodes, desired.clientCidrs, { copiesSlots: copiesSlots(settings) }),
  };
}

/** Returns the node of that name, whether it stays or leaves. */
export function findNode(desired: DesiredCluster, name: string): Node {
  const node = [...desired.nodes, ...desired.leaving].find((candidate) => candidate.name === name);
  if (!node) throw new Error(`${name} is not a node of cluster ${desired.name}`);
  return node;
}
