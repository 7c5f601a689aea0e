import { renderFiles } from '../desired.ts';
import { slotName } from '../node.ts';
import type { Step, StepOf } from '../rollout/step.ts';
import { HOT_STANDBY_SENSITIVE } from '../settings/settings.ts';
import { DEFAULTS } from './fixtures.ts';
import type { ModelCluster } from './model.ts';
import { takeFromArchive } from './model-backups.ts';
import { requireOnlyPrimary, requireOthersUp, requireReplicasAbove } from './model-checks.ts';
import { collectCopy, isAlive } from './model-copies.ts';
import {
  halt,
  load,
  type ModelNode,
  raise,
  requireLogical,
  requireNotBelow,
  sensitiveOf,
  settle,
  Violation,
  writeCheckpoint,
} from './model-node.ts';

// How a server of the model is configured, started, restarted and cloned.

/** What the configuration of a node is written from. */
type Configured = Pick<StepOf<'start'>, 'primary' | 'settings' | 'fromArchive'>;

/** Writes the configuration of a node. */
export function configure(cluster: ModelCluster, node: ModelNode, step: Configured): void {
  if (cluster.major < 17 && 'sync_replication_slots' in step.settings) {
    throw new Violation(`${node.name} does not know sync_replication_slots`);
  }
  node.file = step.settings;
  node.upstream = step.primary === node.name ? null : step.primary;
  const files = renderFiles(cluster.desired, { node: node.name, ...step });
  node.files = { ...node.files, ...files };
  node.loaded = false;
}

/** Starts the server of a node with its data and its configuration. */
export function start(cluster: ModelCluster, node: ModelNode): void {
  if (node.data === 'absent' || node.data === 'partial')
    throw new Violation(`${node.name} has no data`);
  if (!node.mounted) throw new Violation(`${node.name} started without its volume`);
  node.settings = { ...DEFAULTS, ...node.file, ...node.auto };
  node.fileAtStart = Object.keys({ ...node.file, ...node.auto });
  node.loaded = true;
  node.container = 'running';
  node.containerCurrent = true;
  node.inRecovery = node.standbySignal;
  requireLogical(node);
  if (node.inRecovery) requireNotBelow(node);
  else {
    writeCheckpoint(node);
    node.required = sensitiveOf(node.settings);
    requireOnlyPrimary(cluster, node);
  }
}

/** Starts a server that is down, and clones it where it does not follow then. */
export function bringUp(cluster: ModelCluster, node: ModelNode, step: Configured): void {
  if (isAlive(node.copy)) {
    clone(cluster, node, step);
    return;
  }
  const wasUp = node.container === 'running';
  configure(cluster, node, step);
  if (step.primary !== node.name) node.standbySignal = true;
  if (wasUp) load(node);
  else if (node.standbySignal) startReplica(cluster, node);
  else start(cluster, node);
  if (node.inRecovery) settle(node);
  if (node.inRecovery && step.fromArchive) takeFromArchive(cluster, node);
  // A node that does not start streaming is cloned in the same step.
  if (node.inRecovery && !cluster.isStreaming(node)) clone(cluster, node, step);
}

/**
 * Starts a replica with its primary's former settings where it has yet to replay that they were lowered; then restarts
 * it with its own.
 */
function startReplica(cluster: ModelCluster, node: ModelNode): void {
  const { file } = node;
  node.file = raise(file, node.required);
  start(cluster, node);
  catchUp(cluster, node);
  const isRaised = HOT_STANDBY_SENSITIVE.some((name) => node.file[name] !== file[name]);
  node.file = file;
  if (isRaised && cluster.isStreaming(node)) start(cluster, node);
}

/** A step on a replica ends when it has replayed what its primary had written. */
function catchUp(cluster: ModelCluster, node: ModelNode): void {
  const upstream = cluster.upstreamOf(node);
  node.replaySpeed = null;
  node.replayed = node.lsn;
  if (cluster.isStreaming(node) && upstream) node.required = sensitiveOf(upstream.settings);
}

/** Restarts the server of a node, or starts it. */
export function restart(cluster: ModelCluster, node: ModelNode, step: Configured): void {
  node.image = cluster.desired.image;
  if (node.container !== 'running') {
    bringUp(cluster, node, step);
    return;
  }
  requireOthersUp(cluster, node, 'restarted');
  if (node.inRecovery) catchUp(cluster, node);
  halt(node);
  configure(cluster, node, step);
  if (!node.inRecovery && step.primary === node.name) {
    requireReplicasAbove(cluster, node, { ...DEFAULTS, ...step.settings, ...node.auto });
  }
  start(cluster, node);
}

/** Replaces the data of a node by a copy once that is complete, and starts it as a replica. */
export function clone(
  cluster: ModelCluster,
  node: ModelNode,
  step: Configured & { source?: string; kind?: Step['kind'] },
): void {
  const { primary } = cluster;
  if (!primary || primary.name !== step.primary) throw new Violation('cloned without the primary');
  if (node === primary) throw new Violation('the primary cloned over');
  if (!node.hostReady || !node.mounted) throw new Violation(`${node.name} is not prepared`);
  const slot = primary.slots.find(({ name }) => name === slotName(node.name));
  if (!slot || slot.lost) throw new Violation(`${node.name} cloned without a slot`);
  const copied = collectCopy(cluster, node, {
    source: step.source ?? step.primary,
    isPlanned: step.kind === 'clone',
  });
  if (copied === null) return;
  if (node.data === 'complete') node.movedAside += 1;
  const { timeline, lsn, image, auto, history, settings } = copied;
  Object.assign(node, {
    data: 'complete',
    standbySignal: true,
    timeline,
    lsn,
    image,
    slots: [],
    logicalSlots: [],
  });
  Object.assign(node, { replayed: lsn, replaySpeed: null });
  writeCheckpoint(node);
  node.copied = null;
  node.auto = { ...auto };
  node.history = structuredClone(history);
  node.required = sensitiveOf(settings);
  configure(cluster, node, step);
  start(cluster, node);
  // The step fails where the copy does not stream, and what follows it is not done.
  if (cluster.copies !== null && !cluster.isStreaming(node)) cluster.copies.pending = true;
}
