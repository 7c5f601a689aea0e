import { renderFiles } from '../desired.ts';
import { slotName } from '../node.ts';
import type { Step, StepOf } from '../rollout/step.ts';
import { HOT_STANDBY_SENSITIVE, type Settings } from '../settings/settings.ts';
import { DEFAULTS } from './fixtures.ts';
import type { ModelCluster } from './model.ts';
import {
  requireLeastBehind,
  requireOnlyPrimary,
  requireOthersUp,
  requireRemovable,
  requireReplicasAbove,
  requireSlotsKept,
  requireUnused,
} from './model-checks.ts';
import { collectCopy, endCopies, isAlive } from './model-copies.ts';
import { discard } from './model-discard.ts';
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
import { growFileSystems, mountVolume } from './model-storage.ts';

// What each step of a rollout does to the model, and the rules that it must not break.

/** What the configuration of a node is written from. */
type Configured = Pick<StepOf<'start'>, 'primary' | 'settings'>;

/** Executes one step; throws Violation when that breaks a rule. */
export function executeStep(cluster: ModelCluster, step: Step): void {
  for (const name of step.nodes) if (step.kind !== 'provision') cluster.get(name);
  endCopies(cluster, step);
  act(cluster, step);
  cluster.advance();
  if (cluster.primaries.length > 1) throw new Violation('two primaries');
}

function act(cluster: ModelCluster, step: Step): void {
  switch (step.kind) {
    case 'provision':
      for (const name of step.nodes) cluster.provision(name);
      return;
    case 'halt':
    case 'replace':
      throw new Violation(`${step.kind} is a failover's`);
    case 'discard':
      discard(cluster, step);
      return;
    case 'fence': {
      const node = cluster.get(step.nodes[0]);
      if (cluster.primary) throw new Violation(`${node.name} fenced beside the primary`);
      halt(node);
      node.standbySignal = true;
      return;
    }
    case 'prepare':
      for (const node of step.nodes.map((name) => cluster.get(name))) {
        node.hostReady = true;
        mountVolume(node);
        if (step.fenced) node.standbySignal = true;
      }
      return;
    case 'grow':
      growFileSystems(cluster, step);
      return;
    case 'check':
      return;
    case 'initialise': {
      const node = cluster.get(step.nodes[0]);
      if (node.data === 'complete' || holdsData(cluster))
        throw new Violation('data initialised over');
      if (!node.hostReady || !node.mounted) throw new Violation(`${node.name} is not prepared`);
      Object.assign(node, {
        data: 'complete',
        standbySignal: false,
        timeline: 1,
        lsn: 100,
        history: [],
      });
      node.image = cluster.desired.image;
      configure(cluster, node, step);
      start(cluster, node);
      return;
    }
    case 'admit': {
      const node = cluster.get(step.nodes[0]);
      if (node !== cluster.primary) throw new Violation(`${node.name} is not the primary`);
      requireUnused(cluster, step.retiredSlots);
      const kept = node.slots.filter(
        ({ name, lost }) => !lost && !step.retiredSlots.includes(name),
      );
      const added = step.slots.filter((name) => !kept.some((slot) => slot.name === name));
      node.slots = [...kept, ...added.map((name) => ({ name, lost: false }))];
      configure(cluster, node, step);
      load(node);
      return;
    }
    case 'clone':
      for (const name of step.nodes) clone(cluster, cluster.get(name), step);
      return;
    case 'start':
      for (const name of step.nodes) bringUp(cluster, cluster.get(name), step);
      return;
    case 'restart':
      restart(cluster, cluster.get(step.nodes[0]), step);
      return;
    case 'reload':
      for (const node of step.nodes.map((name) => cluster.get(name))) {
        if (node.container !== 'running') throw new Violation(`${node.name} is down`);
        configure(cluster, node, step);
        load(node);
        if (node.inRecovery) settle(node);
        else node.standbySignal = false;
      }
      return;
    case 'stop':
      for (const node of step.nodes.map((name) => cluster.get(name))) {
        requireOthersUp(cluster, node, 'stopped');
        halt(node);
        node.container = 'none';
      }
      return;
    case 'switchover':
      switchOver(cluster, step);
      return;
    case 'promote': {
      const node = cluster.get(step.nodes[0]);
      if (cluster.primary) throw new Violation('promoted beside a primary');
      const best = Math.max(
        ...[...cluster.nodes.values()].map(({ data, lsn }) => (data === 'complete' ? lsn : 0)),
      );
      if (node.lsn < best) throw new Violation('commits are lost');
      if (node.container !== 'running') {
        configure(cluster, node, step);
        start(cluster, node);
      }
      promote(cluster, node, step);
      return;
    }
    case 'resize': {
      const node = cluster.get(step.nodes[0]);
      if (node.container === 'running') throw new Violation(`${node.name} resized while it runs`);
      node.instanceType = step.instanceType;
      return;
    }
    case 'destroy':
      for (const node of step.nodes.map((name) => cluster.get(name))) {
        requireRemovable(cluster, node);
        cluster.nodes.delete(node.name);
      }
      return;
  }
}

function holdsData(cluster: ModelCluster): boolean {
  return [...cluster.nodes.values()].some(({ data }) => data === 'complete');
}

function configure(cluster: ModelCluster, node: ModelNode, step: Configured): void {
  if (cluster.major < 17 && 'sync_replication_slots' in step.settings) {
    throw new Violation(`${node.name} does not know sync_replication_slots`);
  }
  node.file = step.settings;
  node.upstream = step.primary === node.name ? null : step.primary;
  node.files = renderFiles(cluster.desired, { node: node.name, ...step });
  node.loaded = false;
}

function start(cluster: ModelCluster, node: ModelNode): void {
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

function bringUp(cluster: ModelCluster, node: ModelNode, step: Configured): void {
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

function restart(cluster: ModelCluster, node: ModelNode, step: Configured): void {
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

function clone(
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

function switchOver(cluster: ModelCluster, step: Extract<Step, { kind: 'switchover' }>): void {
  const from = cluster.get(step.nodes[0]);
  const to = cluster.get(step.nodes[1]);
  if (from !== cluster.primary) throw new Violation(`${from.name} is not the primary`);
  if (!cluster.isStreaming(to)) throw new Violation(`${to.name} does not stream`);
  requireLeastBehind(cluster, { from, to });
  requireOthersUp(cluster, from, 'switched over from');
  from.standbySignal = true;
  cluster.advance();
  halt(from);
  configure(cluster, from, step);
  if (to.lsn < from.lsn) throw new Violation('commits are lost');
  if (!cluster.desired.allowsSlotLoss) requireSlotsKept(from, to);
  promote(cluster, to, step);
}

function promote(
  cluster: ModelCluster,
  node: ModelNode,
  step: { primary: string; settings: Settings; slots: readonly string[] },
): void {
  node.history = [...node.history, { timeline: node.timeline, end: node.lsn }];
  node.timeline += 1;
  node.replayed = node.lsn;
  node.replaySpeed = null;
  node.standbySignal = false;
  node.inRecovery = false;
  node.oldest = Math.max(0, node.lsn - 5);
  node.slots = step.slots.map((name) => ({ name, lost: false }));
  writeCheckpoint(node);
  configure(cluster, node, step);
  load(node);
}
