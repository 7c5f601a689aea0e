import { type DesiredCluster, renderFiles } from '../desired.ts';
import { slotName } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findObstacle, findPrimary, findUpstream, isCopying, isStreaming } from '../replication.ts';
import type { Settings } from '../settings/settings.ts';
import { measureCatchUp } from './catch-up.ts';
import {
  computeNodeSettings,
  deferRestarts,
  findOverridesBelow,
  findRestartReasons,
  isBelow,
  type NodeSettings,
} from './node-settings.ts';
import { type NodesByName, predict } from './predict.ts';
import type { Obstacle, RestartReason, StepReason } from './reason.ts';
import type { Step } from './step.ts';

/** A cluster at one moment of a rollout: observed, or predicted for after some steps. It never changes. */
export class ClusterState {
  readonly desired: DesiredCluster;
  /** Whether the settings and the image were tried. */
  readonly isChecked: boolean;
  readonly #existing: NodesByName;
  readonly #types: ReadonlyMap<string, string>;
  /** Why replicas cannot follow whose slot is created anew: the new slot does not tell. */
  readonly #obstacles: ReadonlyMap<string, Obstacle>;
  // Computed once: the rules ask for them again and again.
  #primary: string | null = null;
  #settings: NodeSettings | null = null;

  private constructor(
    desired: DesiredCluster,
    state: {
      existing: NodesByName;
      types: ReadonlyMap<string, string>;
      obstacles: ReadonlyMap<string, Obstacle>;
      isChecked: boolean;
    },
  ) {
    this.desired = desired;
    this.isChecked = state.isChecked;
    this.#existing = state.existing;
    this.#types = state.types;
    this.#obstacles = state.obstacles;
  }

  /** The cluster as it was observed. */
  static fromObservation(
    observed: readonly NodeObservation[],
    desired: DesiredCluster,
  ): ClusterState {
    const known = [...desired.nodes, ...desired.leaving];
    return new ClusterState(desired, {
      existing: new Map(observed.map((node) => [node.name, node])),
      types: new Map(known.map(({ name, instanceType }) => [name, instanceType])),
      obstacles: new Map(),
      isChecked: false,
    });
  }

  /** The cluster as it will be once `step` is done. */
  after(step: Step): ClusterState {
    const types = new Map(this.#types);
    if (step.kind === 'resize') types.set(step.nodes[0], step.instanceType);
    return new ClusterState(this.desired, {
      existing: predict(this.#existing, step, this.desired),
      types,
      obstacles: this.#findObstaclesAfter(step),
      isChecked: this.isChecked || step.kind === 'check',
    });
  }

  #findObstaclesAfter(step: Step): ReadonlyMap<string, Obstacle> {
    if (step.kind === 'start' || step.kind === 'clone') {
      return new Map([...this.#obstacles].filter(([name]) => !step.nodes.includes(name)));
    }
    if (step.kind !== 'admit') return this.#obstacles;
    const found = this.replicas.flatMap((node) => {
      const obstacle = node.data === 'complete' ? findObstacle(node, this.primaryNode) : null;
      return obstacle === null ? [] : [[node.name, obstacle] as const];
    });
    return new Map([...this.#obstacles, ...found]);
  }

  /** Name of the primary or, if there is none, of the node that becomes it. */
  get primary(): string {
    this.#primary ??= findPrimary(this.existing) ?? findInitialPrimary(this.desired);
    return this.#primary;
  }

  /** Every observed node, whether it stays or leaves. */
  get existing(): NodeObservation[] {
    return [...this.#existing.values()];
  }

  /** The observed nodes that stay. */
  get nodes(): NodeObservation[] {
    return this.desired.nodes.flatMap(({ name }) => this.#existing.get(name) ?? []);
  }

  /** The observed nodes that leave. */
  get leaving(): NodeObservation[] {
    return this.desired.leaving.flatMap(({ name }) => this.#existing.get(name) ?? []);
  }

  /** The node that `primary` names. */
  get primaryNode(): NodeObservation {
    const node = this.#existing.get(this.primary);
    if (!node) throw new Error(`${this.primary} was not observed`);
    return node;
  }

  /** The replicas that stay. */
  get replicas(): NodeObservation[] {
    return this.nodes.filter(({ name }) => name !== this.primary);
  }

  /** The settings that each role runs with. */
  get settings(): NodeSettings {
    this.#settings ??= this.#computeSettings();
    return this.#settings;
  }

  #computeSettings(): NodeSettings {
    const settings = computeNodeSettings(this.desired, this.primaryNode, this.replicas);
    if (!this.isDegraded) return settings;
    return deferRestarts(settings, this.primaryNode, { replicas: this.replicas.length });
  }

  /** Whether a node that stays cannot be reached: no other server may be stopped now. */
  get isDegraded(): boolean {
    return this.unreachable.length > 0;
  }

  /** Names of the existing nodes that stay and cannot be reached. */
  get unreachable(): readonly string[] {
    return this.desired.unreachable ?? [];
  }

  /** The slots of all nodes that stay but `primary`. */
  slotsUnder(primary: string): string[] {
    return this.nodes.filter(({ name }) => name !== primary).map(({ name }) => slotName(name));
  }

  /** Whether the node is still to be created. */
  isMissing(name: string): boolean {
    return !this.#existing.has(name) && !this.unreachable.includes(name);
  }

  isStreaming(node: NodeObservation): boolean {
    return isStreaming(node, { primary: this.primary, desired: this.desired });
  }

  /** Whether the node's data may let it follow the primary, so that it need not be cloned. */
  canFollow(node: NodeObservation): boolean {
    return this.findCloneReasons(node).length === 0;
  }

  /** Returns why the node cannot follow the primary with the data that it has; empty when it may be able to. */
  findCloneReasons(node: NodeObservation): StepReason[] {
    const { work } = node;
    const source = this.findRunningSource(node);
    // Even if there is complete data as well: the copy was begun because that could not follow.
    if (work !== null && source !== null) {
      const { state, doneBytes, totalBytes } = work;
      const isComplete = state === 'done';
      return [{ kind: 'copy-runs', source, isComplete, doneBytes, totalBytes }];
    }
    const reasons = this.#findDataReasons(node);
    if (reasons.length === 0 || work === null) return reasons;
    return [
      ...reasons,
      isCopying(node)
        ? { kind: 'copy-outlived', source: work.source }
        : { kind: 'copy-failed', problem: work.problem },
    ];
  }

  /**
   * Returns the node that is being copied to `node`, if the copy may go on: it is the primary, or a server that follows
   * the primary. What cannot be reached may by now be neither. A server that streams needs no copy.
   */
  findRunningSource(node: NodeObservation): string | null {
    if (node.work === null || !isCopying(node) || this.isStreaming(node)) return null;
    const address = node.work.source;
    const source = [...this.desired.nodes, ...this.desired.leaving].find(
      ({ name, privateAddress }) => privateAddress === address && name !== node.name,
    )?.name;
    if (source === undefined) return null;
    if (source === this.primary) return source;
    const observed = this.#existing.get(source);
    const follows =
      observed?.postgres?.inRecovery === true &&
      findUpstream(observed, this.desired) === this.primary &&
      findObstacle(observed, this.primaryNode) === null;
    return follows ? source : null;
  }

  #findDataReasons(node: NodeObservation): StepReason[] {
    if (node.data === 'partial') {
      return [this.#obstacles.get(node.name) ?? { kind: 'unfinished-copy' }];
    }
    if (node.data !== 'complete') return [{ kind: 'no-data' }];
    const obstacle = this.#obstacles.get(node.name) ?? findObstacle(node, this.primaryNode);
    if (obstacle !== null) return [obstacle];
    const settings = this.#findOverridesBelow(node);
    return settings.length === 0 ? [] : [{ kind: 'overrides-below', settings }];
  }

  /** What ALTER SYSTEM wrote cannot be reset while the server is down; a clone has those of its source. */
  #findOverridesBelow(node: NodeObservation): string[] {
    if (node.postgres !== null) return [];
    const options = { settings: this.settings.replica, members: [this.primaryNode] };
    return findOverridesBelow(node, options);
  }

  /**
   * Returns why a replica that lacks WAL takes it from the archive instead of being cloned; null if it cannot, or lacks none.
   */
  findArchivedWal(node: NodeObservation): StepReason | null {
    const [reason] = this.findCloneReasons(node);
    if (reason?.kind !== 'slot-lost' && reason?.kind !== 'wal-removed') return null;
    // Its replay would pause.
    if (this.#findOverridesBelow(node).length > 0 || isBelow(node, this.settings.replica)) {
      return null;
    }
    const bytes = measureCatchUp(node, this.primaryNode, this.desired);
    return bytes === null ? null : { kind: 'wal-archived', bytes };
  }

  isLeaving(name: string): boolean {
    return this.desired.leaving.some((node) => node.name === name);
  }

  /** Whether the node stays and is to get another instance type now. */
  needsResize(name: string): boolean {
    const { instanceType } = this.desired;
    if (instanceType === null || this.isDegraded || this.isLeaving(name)) return false;
    return this.#types.get(name) !== instanceType;
  }

  explainResize(name: string): StepReason {
    const before = this.#types.get(name) ?? '';
    return { kind: 'instance-type', before, after: this.desired.instanceType ?? before };
  }

  /** Whether the desired instance type has less memory than the node. */
  isShrinking({ host }: NodeObservation): boolean {
    const { memoryMib } = this.desired;
    // A machine reports somewhat less than its type promises.
    return memoryMib !== null && memoryMib < host.memoryMib * 0.95;
  }

  changesImage({ record }: NodeObservation): boolean {
    return record !== null && record.image !== this.desired.image;
  }

  /** Whether a running server has to restart, or its container to be re-created, to run with `settings`. */
  needsRestart(node: NodeObservation, settings: Settings): boolean {
    return this.findRestartReasons(node, settings).length > 0;
  }

  /** Returns why a running server has to restart to run with `settings`. */
  findRestartReasons(node: NodeObservation, settings: Settings): RestartReason[] {
    if (node.postgres === null) return [];
    return [
      ...findRestartReasons(node, settings),
      ...this.findImageReasons(node),
      ...this.findContainerReasons(node),
    ];
  }

  findImageReasons(node: NodeObservation): RestartReason[] {
    const before = node.record?.image;
    if (before === undefined || !this.changesImage(node)) return [];
    return [{ kind: 'image', before, after: this.desired.image }];
  }

  /** A container is created anew for another image anyway. */
  findContainerReasons(node: NodeObservation): RestartReason[] {
    return node.container?.current === false && !this.changesImage(node)
      ? [{ kind: 'container' }]
      : [];
  }

  /** The configuration files of a node with `settings` under the present primary. */
  renderFiles(node: string, settings: Settings): ReturnType<typeof renderFiles> {
    return renderFiles(this.desired, { node, primary: this.primary, settings });
  }
}

/** Returns the node that becomes the primary if no node holds data. */
export function findInitialPrimary(desired: DesiredCluster): string {
  const first = desired.nodes[0];
  if (!first) throw new Error(`cluster ${desired.name} has no nodes`);
  return first.name;
}
