import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeName, nodeNumber } from '../node.ts';
import { createDesired, createNode } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
import type { ModelNode } from '../testing/model-node.ts';
import { observeModel } from '../testing/model-observation.ts';
import {
  buildModelDesired,
  createRequests,
  cycle,
  drive,
  type Request,
  SCENARIOS,
  SEED,
  segmentLengths,
  TIMEOUT_MS,
} from '../testing/model-scenarios.ts';
import { executeStep } from '../testing/model-steps.ts';
import { planFailover } from './failover.ts';
import { rollout } from './rollout.ts';

// `planFailover` against the model: with synchronous replicas the promoted node has every acknowledged commit, whatever
// the replicas went through before their primary was lost (invariant 8).

const RUNS = 1_000;

/** Something that happens to a replica while the primary still writes. */
const events = fc.record({
  node: fc.integer({ min: 2, max: 4 }),
  what: fc.constantFrom('delayed', 'caught up', 'stopped', 'started', 'copied', 'in place'),
});

const scenarios = fc.record({
  size: fc.integer({ min: 2, max: 4 }),
  synchronousReplicas: fc.integer({ min: 1, max: 2 }),
  list: fc.array(events, { maxLength: 8 }),
  /** Nodes that cannot be reached once the primary is lost. */
  unreachable: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  /** Whether copies count as replicas, as those of earlier versions did. */
  copiesAcknowledge: fc.boolean(),
});

function createModel(size: number, synchronousReplicas: number): ModelCluster {
  const nodes = Array.from({ length: size }, (_, index) => createNode(index + 1));
  const desired = createDesired({ nodes, synchronousReplicas });
  const model = new ModelCluster(desired);
  for (let round = 0; round < 9; round += 1) {
    const result = rollout(observeModel(model), desired);
    if (result.kind === 'refused') throw new Error(result.refusals.join(' '));
    for (const step of result.steps) executeStep(model, step);
  }
  return model;
}

function applyEvent(node: ModelNode, what: string): void {
  switch (what) {
    case 'delayed':
    case 'caught up':
      node.delayed = what === 'delayed';
      return;
    case 'stopped':
      node.container = 'stopped';
      node.state = 'in archive recovery';
      return;
    case 'started':
      if (node.data === 'complete') node.container = 'running';
      return;
    case 'copied':
      Object.assign(node, { container: 'none', data: 'partial', standbySignal: false, copied: 0 });
      return;
    case 'in place':
      // A finished copy streams before its record is written.
      if (node.copied === null) return;
      Object.assign(node, { container: 'running', data: 'unrecorded', standbySignal: true });
      Object.assign(node, { lsn: node.copied, copied: null, delayed: false });
      return;
  }
}

/** Loses the primary and fails over; returns the promoted node, or null for a refusal. */
function loseAndFailOver(model: ModelCluster, unreachable: readonly string[]): ModelNode | null {
  const primary = model.get('node-1');
  Object.assign(primary, { container: 'stopped', state: 'in production' });
  const states: Record<string, string> = {};
  for (let round = 0; round < 4; round += 1) {
    const observed = observeModel(model).filter(({ name }) => !unreachable.includes(name));
    const result = planFailover(
      { observed, unreachable, terminated: [], states, formerPrimary: 'node-1' },
      { desired: model.desired, fenced: null },
    );
    if (result.kind === 'refused') return null;
    const [step] = result.steps;
    if (step?.kind === 'promote') return model.get(step.nodes[0]);
    if (step?.kind === 'halt') states[step.nodes[0]] = 'stopped';
    else if (step) executeStep(model, step);
  }
  throw new Error('no end');
}

/** Executes the next steps of a failover; returns false for the refusal of a cluster whose stopped nodes may have more. */
function failOver(model: ModelCluster, request: Request): boolean {
  model.desired = buildModelDesired(model, request);
  const result = planFailover(
    { observed: observeModel(model), unreachable: [], terminated: [], states: {} },
    { desired: model.desired, fenced: null },
  );
  if (result.kind === 'steps') {
    for (const step of result.steps) executeStep(model, step);
    return true;
  }
  expect(result.refusals.join()).toMatch(/^Commits waited for /);
  return false;
}

describe('a failover', () => {
  test(
    'promotes a node that has every acknowledged commit',
    () => {
      let promoted = 0;
      fc.assert(
        fc.property(scenarios, (scenario) => {
          const { size, synchronousReplicas, list, copiesAcknowledge } = scenario;
          const model = createModel(size, Math.min(synchronousReplicas, size - 1));
          model.copiesAcknowledge = copiesAcknowledge;
          for (const { node, what } of list) {
            const replica = model.nodes.get(nodeName(node));
            if (replica) applyEvent(replica, what);
            model.advance();
          }
          const unreachable = scenario.unreachable
            .map(nodeName)
            .filter((name) => model.nodes.has(name));
          const node = loseAndFailOver(model, unreachable);
          if (node === null) return;
          promoted += 1;
          expect(node.lsn).toBeGreaterThanOrEqual(model.acknowledged);
        }),
        { seed: 17, numRuns: RUNS },
      );
      // A planner that refuses everything loses nothing either.
      expect(promoted).toBeGreaterThan(RUNS / 4);
    },
    TIMEOUT_MS,
  );

  test(
    'promotes the most advanced replica, and its other replicas follow, whatever the control files say',
    () => {
      const requests = createRequests({ min: 1, primaries: 4 });
      /** Some replicas are behind when the primary is lost, or never followed it. */
      const losses = fc.record({
        list: fc.tuple(requests, requests),
        happenings: fc.array(disturbances, { maxLength: 2 }),
        what: fc.constantFrom('crashed' as const, 'container removed' as const),
        lengths: segmentLengths,
      });
      let failovers = 0;
      fc.assert(
        fc.property(losses, ({ list, happenings, what, lengths }) => {
          const segments = cycle(lengths);
          const model = new ModelCluster(createDesired());
          for (const request of list) drive(model, request, { segments });
          for (const one of happenings) disturb(model, one);
          model.advance();
          const { primary } = model;
          const followers = [...model.nodes.values()].filter((node) => model.isStreaming(node));
          // Where no replica has everything, something is lost, and a person decides.
          if (!primary || followers.length === 0) return;
          disturb(model, { node: Number(nodeNumber(primary.name)), what });
          const movedAside = new Map(followers.map((node) => [node, node.movedAside]));
          const [, request] = list;
          while (!model.primary) if (!failOver(model, request)) return;
          failovers += 1;
          drive(model, { ...request, primary: null }, { segments });
          for (const [node, before] of movedAside) expect(node.movedAside).toBe(before);
        }),
        { ...SEED, numRuns: Math.ceil(SCENARIOS / 3) },
      );
      expect(failovers).toBeGreaterThan(SCENARIOS / 12);
    },
    TIMEOUT_MS,
  );
});
