import { type DesiredCluster, renderFiles } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { findObstacle, isStreaming } from '../replication.ts';
import type { Settings } from '../settings/settings.ts';
import {
  computeNodeSettings,
  deferRestarts,
  findOverridesBelow,
  findRestartReasons,
  type NodeSettings,
} from './node-settings.ts';
import { predict } from './predict.ts';
import { findPrimary } from './refusals.ts';
import type { Step } from './step.ts';

/** A cluster at one moment of a rollout: observed, or expected after some steps. It never changes. */
export class ClusterState {
  readonly desired: DesiredCluster;
  /** The settings and the image were tried. */
  readonly isChecked: boolean;
  readonly #standing: ReadonlyMap<string, NodeObservation>;
  readonly #types: ReadonlyMap<string, string>;
  // Asked for again and again.
  #primary: string | null = null;
  #targets: NodeSettings | null = null;

  private constructor(
    desired: DesiredCluster,
    state: {
      standing: ReadonlyMap<string, NodeObservation>;
      types: ReadonlyMap<string, string>;
      isChecked: boolean;
    },
  ) {
    this.desired = desired;
    this.isChecked = state.isChecked;
    this.#standing = state.standing;
    this.#types = state.types;
  }

  /** The cluster as it was observed. */
  static fromObservation(
    observed: readonly NodeObservation[],
    desired: DesiredCluster,
  ): ClusterState {
    const known = [...desired.nodes, ...desired.leaving];
    return new ClusterState(desired, {
      standing: new Map(observed.map((node) => [node.name, node])),
      types: new Map(known.map(({ name, instanceType }) => [name, instanceType])),
      isChecked: false,
    });
  }

  /** The cluster as it will be once `step` is done. */
  after(step: Step): ClusterState {
    const types = new Map(this.#types);
    if (step.kind === 'resize') types.set(step.nodes[0], step.instanceType);
    return new ClusterState(this.desired, {
      standing: predict(this.#standing, step, this.desired),
      types,
      isChecked: this.isChecked || step.kind === 'check',
    });
  }

  /** Name of the node that is primary, or will be where none is. */
  get primary(): string {
    this.#primary ??= findPrimary(this.existing) ?? findInitialPrimary(this.desired);
    return this.#primary;
  }

  /** Every node that stands, whether it stays or leaves. */
  get existing(): NodeObservation[] {
    return [...this.#standing.values()];
  }

  /** The nodes that stand and stay. */
  get nodes(): NodeObservation[] {
    return this.desired.nodes.flatMap(({ name }) => this.#standing.get(name) ?? []);
  }

  /** The nodes that stand and leave. */
  get leaving(): NodeObservation[] {
    return this.desired.leaving.flatMap(({ name }) => this.#standing.get(name) ?? []);
  }

  /** The node that `primary` names. */
  get primaryNode(): NodeObservation {
    const node = this.#standing.get(this.primary);
    if (!node) throw new Error(`${this.primary} was not observed`);
    return node;
  }

  /** The replicas that stay. */
  get replicas(): NodeObservation[] {
    return this.nodes.filter(({ name }) => name !== this.primary);
  }

  /** The settings of each stage. */
  get settings(): NodeSettings {
    this.#targets ??= this.#computeTargets();
    return this.#targets;
  }

  #computeTargets(): NodeSettings {
    const targets = computeNodeSettings(this.desired, this.primaryNode, this.replicas);
    if (!this.isDegraded) return targets;
    return deferRestarts(targets, this.primaryNode, { replicas: this.replicas.length });
  }

  /** Nodes are away that stay: no other server may go down now. */
  get isDegraded(): boolean {
    return this.unreachable.length > 0;
  }

  /** Names of the nodes that stand, stay and cannot be reached. */
  get unreachable(): readonly string[] {
    return this.desired.unreachable ?? [];
  }

  /** It is still to be made. */
  isMissing(name: string): boolean {
    return !this.#standing.has(name) && !this.unreachable.includes(name);
  }

  isStreaming(node: NodeObservation): boolean {
    return isStreaming(node, { primary: this.primary, desired: this.desired });
  }

  /** It holds data with which it may follow the primary. */
  canFollow(node: NodeObservation): boolean {
    if (node.data !== 'complete' || findObstacle(node, this.primaryNode) !== null) return false;
    // Nobody can take back what ALTER SYSTEM wrote while the server stands still; a clone comes without it.
    const held = { settings: this.settings.replica, members: [this.primaryNode] };
    return node.postgres !== null || findOverridesBelow(node, held).length === 0;
  }

  isLeaving(name: string): boolean {
    return this.desired.leaving.some((node) => node.name === name);
  }

  /** It stays, and is to get another instance type now. */
  needsResize(name: string): boolean {
    const { instanceType } = this.desired;
    if (instanceType === null || this.isDegraded || this.isLeaving(name)) return false;
    return this.#types.get(name) !== instanceType;
  }

  /** The instance type that is asked for has less memory than the node. */
  isShrinking({ host }: NodeObservation): boolean {
    const { memoryMib } = this.desired;
    // A machine reports somewhat less than its type promises.
    return memoryMib !== null && memoryMib < host.memoryMib * 0.95;
  }

  changesImage({ record }: NodeObservation): boolean {
    return record !== null && record.image !== this.desired.image;
  }

  /** A running server has to restart, or its container to be made anew, to be what is asked for. */
  needsRestart(node: NodeObservation, settings: Settings): boolean {
    const { postgres, container } = node;
    if (postgres === null) return false;
    return (
      container?.current === false ||
      this.changesImage(node) ||
      findRestartReasons(node, settings).length > 0
    );
  }

  /** The configuration files of a node with `settings` under the present primary. */
  renderFiles(node: string, settings: Settings): ReturnType<typeof renderFiles> {
    return renderFiles(this.desired, { node, primary: this.primary, settings });
  }
}

/** The node that becomes primary where no node holds data. */
export function findInitialPrimary(desired: DesiredCluster): string {
  const first = desired.nodes[0];
  if (!first) throw new Error(`cluster ${desired.name} has no nodes`);
  return first.name;
}
