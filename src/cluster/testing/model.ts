import { type DesiredCluster, findNode } from '../desired.ts';
import { slotName } from '../node.ts';
import { readQuorum } from '../rollout/node-settings.ts';
import { advanceCopies, type CopyWorld } from './model-copies.ts';
import {
  copySlots,
  createModelNode,
  type ModelNode,
  requireNotBelow,
  sensitiveOf,
  Violation,
} from './model-node.ts';

// A cluster for tests that obeys the rules of PostgreSQL and Docker. model-steps.ts executes the steps of a rollout on it.

/** The servers of the cluster, and what they replicate. */
export class ModelCluster {
  readonly nodes: Map<string, ModelNode>;
  desired: DesiredCluster;
  /** How far commits that wait for replicas were acknowledged. */
  acknowledged = 0;
  /** Whether a copy in progress counts as a replica, as when pg_basebackup used the name of its node. */
  copiesAcknowledge = false;
  /** How copies run; null: they take no time. */
  copies: CopyWorld | null = null;
  /**
   * The repositories that are ready for WAL, by what says where they are. `hasGap`: WAL is missing since the newest full
   * backup, or there is none. `since`: where the WAL begins of which none is missing.
   */
  readonly repositories = new Map<string, { backups: number; hasGap: boolean; since: number }>();
  /** PostgreSQL's major version. */
  major = 17;
  /** The replicas that the primary listed at the last observation. */
  listed: ReadonlySet<string> = new Set();

  constructor(desired: DesiredCluster, nodes: readonly ModelNode[] = []) {
    this.desired = desired;
    this.nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  get(name: string): ModelNode {
    const node = this.nodes.get(name);
    if (!node) throw new Violation(`${name} does not exist`);
    return node;
  }

  get primaries(): ModelNode[] {
    return [...this.nodes.values()].filter(
      (node) => node.container === 'running' && !node.inRecovery,
    );
  }

  get primary(): ModelNode | undefined {
    return this.primaries[0];
  }

  /** Whether the replica receives what its upstream writes, and replays it. */
  isStreaming(node: ModelNode): boolean {
    const upstream = this.upstreamOf(node);
    if (node.container !== 'running' || !node.inRecovery || !upstream) return false;
    if (upstream.container !== 'running' || upstream.inRecovery) return false;
    const slot = upstream.slots.find(({ name }) => name === slotName(node.name));
    if (!slot || slot.lost || node.lsn < upstream.oldest) return false;
    if (node.timeline === upstream.timeline) return node.lsn <= upstream.lsn;
    const ended = upstream.history.find(({ timeline }) => timeline === node.timeline);
    return ended !== undefined && node.lsn <= ended.end;
  }

  /** Lets time pass: the primary writes, and its replicas receive. */
  advance(): void {
    const { primary } = this;
    if (primary) {
      primary.lsn += 1;
      primary.replayed = primary.lsn;
    }
    for (const node of this.nodes.values()) {
      if (primary && node.copied !== null) node.copied = primary.lsn;
      if (!this.isStreaming(node) || node.delayed) continue;
      const upstream = this.upstreamOf(node) as ModelNode;
      node.lsn = upstream.lsn;
      node.timeline = upstream.timeline;
      node.history = structuredClone(upstream.history);
      node.replayed = Math.min(node.lsn, node.replayed + (node.replaySpeed ?? Infinity));
      // A replica needs what the primary runs with once it has replayed that far.
      if (node.replayed === node.lsn) node.required = sensitiveOf(upstream.settings);
      requireNotBelow(node);
      copySlots(upstream, node);
    }
    advanceCopies(this);
    this.#acknowledge();
  }

  /** A commit is acknowledged once as many of the named standbys have it as the primary waits for. */
  #acknowledge(): void {
    const { primary } = this;
    const names = primary?.settings.synchronous_standby_names ?? '';
    const quorum = readQuorum(names);
    if (!primary || quorum === 0) return;
    const received = [...this.nodes.values()].flatMap((node) => {
      if (!names.includes(slotName(node.name))) return [];
      if (this.isStreaming(node)) return [node.lsn];
      return this.copiesAcknowledge && node.copied !== null ? [node.copied] : [];
    });
    const common = received.sort((a, b) => b - a)[quorum - 1] ?? 0;
    this.acknowledged = Math.max(this.acknowledged, common);
  }

  /** Adds a blank node, as Terraform creates it. */
  provision(name: string): void {
    const { privateAddress: address } = findNode(this.desired, name);
    const { instanceType, storage } = this.desired;
    const volumes = {
      data: { device: storage.dataGib, filesystem: 0 },
      // cloud-init grows the file system of the machine image at the first boot.
      root: { device: storage.rootGib, filesystem: storage.rootGib },
    };
    this.nodes.set(
      name,
      createModelNode({ name, address, instanceType: instanceType ?? 't', volumes }),
    );
  }

  /** Grows volumes to the desired sizes, as Terraform does before anything else. EBS never shrinks one. */
  growVolumes(): void {
    const { dataGib, rootGib } = this.desired.storage;
    for (const { volumes } of this.nodes.values()) {
      volumes.data.device = Math.max(volumes.data.device, dataGib);
      volumes.root.device = Math.max(volumes.root.device, rootGib);
    }
  }

  upstreamOf(node: ModelNode): ModelNode | undefined {
    return [...this.nodes.values()].find(({ name }) => name === node.upstream);
  }

  isReplicaUp(node: ModelNode): boolean {
    return node.container === 'running' && node.inRecovery;
  }
}
