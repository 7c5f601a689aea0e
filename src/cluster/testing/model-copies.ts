import type { NodeObservation, WorkObservation } from '../observation.ts';
import type { Step } from '../rollout/step.ts';
import type { ModelCluster } from './model.ts';
import { halt, type ModelNode, Violation } from './model-node.ts';
import { observeModel } from './model-observation.ts';

// Copies of the model that take time: they run on their node while steps and runs come and go.

const GIB = 1024 ** 3;

/** How copies behave in a model; without it they take no time and no room. */
export interface CopyWorld {
  /** How long a copy runs, in advances of the model. */
  readonly rounds: number;
  /** Size of the database in GiB. */
  readonly size: number;
  /** Whether the last step ended before its copy did. */
  pending: boolean;
  /** Whether the node itself refused the copy, which does not fit: the step failed, and ended the run. */
  refused: boolean;
  /** Whether the step is done again in the same run: the rollout has not seen what happened since. */
  repeated: boolean;
}

/** What a copy takes from its source. */
type Snapshot = Pick<ModelNode, 'timeline' | 'lsn' | 'image' | 'auto' | 'history' | 'settings'>;

/** A copy to a node of the model. */
export interface ModelCopy {
  readonly source: string;
  state: WorkObservation['state'];
  /** Advances until it is complete. */
  left: number;
  problem: string | null;
  /** The source as it was when the copy became complete. */
  snapshot: Snapshot | null;
}

/** Steps that leave a copy alone, and those that go on with one because they begin it where a server does not start. */
const SPARING: readonly string[] = [
  ...['prepare', 'check', 'provision', 'grow', 'archive', 'backup', 'record'],
  ...['clone', 'start', 'restart'],
];

/** Whether a copy runs, or is complete and not in place yet. */
export const isAlive = (copy: ModelCopy | null): copy is ModelCopy =>
  copy !== null && copy.state !== 'failed';

/** Begins the copy that a step asks for, or goes on with it; returns the copied server once it can be put in place. */
export function collectCopy(
  cluster: ModelCluster,
  node: ModelNode,
  { source, isPlanned }: { source: string; isPlanned: boolean },
): Snapshot | null {
  const { copies } = cluster;
  if (copies === null) return cluster.get(source);
  const found = node.copy;
  // A step that is done again leaves a replica alone whose copy is in place.
  if (!isAlive(found) && cluster.isStreaming(node)) return null;
  if (isAlive(found) && found.source !== source && isValid(cluster, found.source)) {
    throw new Violation(`${node.name} is copied anew, and its copy of ${found.source} goes on`);
  }
  if (!isAlive(found) || found.source !== source) begin(cluster, node, { source, isPlanned });
  else if (found.state === 'done') {
    node.copy = null;
    return found.snapshot;
  }
  copies.refused = node.copy === null;
  copies.pending = !copies.refused;
  return null;
}

function begin(
  cluster: ModelCluster,
  node: ModelNode,
  { source, isPlanned }: { source: string; isPlanned: boolean },
): void {
  const { copies } = cluster;
  if (copies === null) return;
  const from = cluster.get(source);
  if (from !== cluster.primary && !cluster.isStreaming(from)) {
    throw new Violation(`${source} is copied and does not follow the primary`);
  }
  if (isAlive(from.copy)) throw new Violation(`${source} is copied while it is copied to`);
  node.copy = null;
  if (!fits(cluster, node)) {
    if (isPlanned && !copies.repeated) {
      throw new Violation(`a copy that does not fit on ${node.name} began`);
    }
    // The node looks itself: the step fails, and a person deletes its data as the message says.
    discardData(node);
    return;
  }
  // Docker could start the server on the old data during the copy.
  if (node.container === 'running') halt(node);
  node.container = 'none';
  if (node.data === 'absent') node.data = 'partial';
  node.copy = { source, state: 'running', left: copies.rounds, problem: null, snapshot: null };
}

/** Deletes the present data of a node that is not the primary. */
export function discardData(node: ModelNode): void {
  Object.assign(node, { container: 'none', data: 'absent', standbySignal: false, lsn: 0 });
  Object.assign(node, { slots: [], copy: null });
}

/** Whether the source of a copy is the primary or follows it. */
const isValid = (cluster: ModelCluster, name: string): boolean => {
  const source = cluster.nodes.get(name);
  return source !== undefined && (source === cluster.primary || cluster.isStreaming(source));
};

/** Whether a new copy fits on the node beside its data. */
export function fits(cluster: ModelCluster, node: ModelNode): boolean {
  const { copies } = cluster;
  if (copies === null) return true;
  const { size } = copies;
  const own = node.data === 'complete' || node.data === 'unrecorded' ? size : 0;
  return own + size * 1.05 <= node.volumes.data.device;
}

/** Lets every copy run for a while. */
export function advanceCopies(cluster: ModelCluster): void {
  for (const node of cluster.nodes.values()) {
    const { copy } = node;
    if (copy?.state !== 'running') continue;
    const source = cluster.nodes.get(copy.source);
    if (source?.container !== 'running') {
      failCopy(node, 'the server closed the connection');
      continue;
    }
    copy.left -= 1;
    if (copy.left > 0) continue;
    copy.state = 'done';
    const { timeline, lsn, image, auto, history, settings } = source;
    copy.snapshot = structuredClone({ timeline, lsn, image, auto, history, settings });
  }
}

/** Ends a copy without success, as when its process is killed, its host reboots or its volume is full. */
export function failCopy(node: ModelNode, problem: string): void {
  if (isAlive(node.copy)) Object.assign(node.copy, { state: 'failed', problem });
}

/** Ends the copies on the nodes of a step that is about to do something else there. */
export function endCopies(cluster: ModelCluster, step: Step): void {
  if (SPARING.includes(step.kind)) return;
  // A person has given up the data, not the copy.
  if (step.kind === 'discard' && !step.data) return;
  for (const name of step.nodes) {
    const node = cluster.get(name);
    if (!isAlive(node.copy)) continue;
    if (step.kind === 'promote' || step.kind === 'switchover') {
      throw new Violation(`${step.kind} of ${name}, which is copied to`);
    }
    const stays = cluster.desired.nodes.some((one) => one.name === name);
    if (stays && isValid(cluster, node.copy.source)) {
      throw new Violation(`${step.kind} ended the copy to ${name}`);
    }
    node.copy = null;
  }
}

/** Returns what the playbook would report about every node, with its copies and the room on its volume. */
export function observeCopies(cluster: ModelCluster): NodeObservation[] {
  return observeModel(cluster).map((observation) => {
    const { copies } = cluster;
    const node = cluster.get(observation.name);
    const { data } = observation.storage;
    if (copies === null || data === null) return observation;
    const hasData = node.data === 'complete' || node.data === 'unrecorded';
    const done = isAlive(node.copy)
      ? (copies.size * GIB * (copies.rounds - node.copy.left)) / copies.rounds
      : 0;
    const usedBytes = (hasData ? copies.size * GIB : 0) + done;
    return {
      ...observation,
      storage: {
        ...observation.storage,
        data: {
          ...data,
          ...{ usedBytes, freeBytes: Math.max(0, data.capacityBytes - usedBytes) },
        },
      },
      work: node.copy && observeCopy(cluster, node.copy, done),
    };
  });
}

function observeCopy(
  cluster: ModelCluster,
  { source, state, problem }: ModelCopy,
  doneBytes: number,
): WorkObservation {
  const address = cluster.nodes.get(source)?.address ?? '10.9.9.9';
  return {
    ...{ kind: 'clone', state, source: address, problem, seconds: 1 },
    ...{ doneBytes, totalBytes: null },
  };
}
