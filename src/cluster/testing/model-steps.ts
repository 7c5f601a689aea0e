import type { Step, StepOf } from '../rollout/step.ts';
import type { ModelCluster } from './model.ts';
import { archive, backUp, changeTools, requireSource, takeOverBackups } from './model-backups.ts';
import {
  requireLeastBehind,
  requireOthersUp,
  requireRemovable,
  requireSlotsKept,
  requireUnused,
} from './model-checks.ts';
import { endCopies } from './model-copies.ts';
import { discard } from './model-discard.ts';
import { halt, load, type ModelNode, settle, Violation, writeCheckpoint } from './model-node.ts';
import { bringUp, clone, configure, restart, start } from './model-servers.ts';
import { growFileSystems, mountVolume } from './model-storage.ts';

// What each step of a rollout does to the model, and the rules that it must not break.

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
        changeTools(node, step);
      }
      return;
    case 'grow':
      growFileSystems(cluster, step);
      return;
    case 'check':
      return;
    case 'archive':
      archive(cluster, step);
      return;
    case 'backup':
      backUp(cluster, step);
      return;
    case 'initialise':
    case 'restore': {
      const node = cluster.get(step.nodes[0]);
      requireSource(cluster, node, step);
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
  step: Pick<StepOf<'promote'>, 'primary' | 'settings' | 'slots' | 'holdsExpiry'>,
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
  takeOverBackups(cluster, node, step);
}
