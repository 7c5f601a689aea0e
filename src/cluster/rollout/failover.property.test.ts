import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDesired, createNode } from '../testing/fixtures.ts';
import { ModelCluster, type ModelNode } from '../testing/model.ts';
import { observeModel } from '../testing/model-observation.ts';
import { planFailover } from './failover.ts';
import { rollout } from './rollout.ts';

// `planFailover` against the model: with synchronous replicas whoever is promoted has every acknowledged commit,
// whatever the replicas went through before their primary was lost (invariant 8).

const RUNS = 3_000;

/** What happens to a replica while the primary still writes. */
const event = fc.record({
  node: fc.integer({ min: 2, max: 4 }),
  what: fc.constantFrom('delayed', 'caught up', 'stopped', 'started', 'copied', 'in place'),
});

const scenario = fc.record({
  size: fc.integer({ min: 2, max: 4 }),
  synchronousReplicas: fc.integer({ min: 1, max: 2 }),
  events: fc.array(event, { maxLength: 8 }),
  /** Nodes that nobody can log in to once the primary is lost. */
  away: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  /** Copies that count as replicas, as those did that earlier versions began. */
  copiesAcknowledge: fc.boolean(),
});

function create(size: number, synchronousReplicas: number): ModelCluster {
  const nodes = Array.from({ length: size }, (_, index) => createNode(index + 1));
  const desired = createDesired({ nodes, synchronousReplicas });
  const model = new ModelCluster(desired);
  for (let round = 0; round < 9; round += 1) {
    const plan = rollout(observeModel(model), desired);
    if (plan.kind !== 'steps') throw new Error(plan.refusals.join(' '));
    for (const step of plan.steps) model.execute(step);
  }
  return model;
}

function happen(node: ModelNode, what: string): void {
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
      // It streams before its record is written.
      if (node.copied === null) return;
      Object.assign(node, { container: 'running', data: 'unrecorded', standbySignal: true });
      Object.assign(node, { lsn: node.copied, copied: null, delayed: false });
      return;
  }
}

/** Loses the primary and fails over; gives the promoted node, or null for a refusal. */
function failOver(model: ModelCluster, away: readonly string[]): ModelNode | null {
  const primary = model.get('node-1');
  Object.assign(primary, { container: 'stopped', state: 'in production' });
  const states: Record<string, string> = {};
  for (let round = 0; round < 4; round += 1) {
    const observed = observeModel(model).filter(({ name }) => !away.includes(name));
    const plan = planFailover(
      { observed, unreachable: away, gone: [], states, old: 'node-1' },
      { desired: model.desired, fenced: null },
    );
    if (plan.kind !== 'steps') return null;
    const [step] = plan.steps;
    if (step?.kind === 'promote') return model.get(step.nodes[0]);
    if (step?.kind === 'halt') states[step.nodes[0]] = 'stopped';
    else if (step) model.execute(step);
  }
  throw new Error('no end');
}

test('whoever is promoted has every acknowledged commit', () => {
  let promoted = 0;
  fc.assert(
    fc.property(scenario, ({ size, synchronousReplicas, events, away, copiesAcknowledge }) => {
      const model = create(size, Math.min(synchronousReplicas, size - 1));
      model.copiesAcknowledge = copiesAcknowledge;
      for (const { node, what } of events) {
        const replica = model.nodes.get(`node-${node}`);
        if (replica) happen(replica, what);
        model.advance();
      }
      const names = away.map((number) => `node-${number}`).filter((name) => model.nodes.has(name));
      const node = failOver(model, names);
      if (node === null) return;
      promoted += 1;
      expect(node.lsn).toBeGreaterThanOrEqual(model.acknowledged);
    }),
    { seed: 17, numRuns: RUNS },
  );
  // Refusing everything would lose nothing as well.
  expect(promoted).toBeGreaterThan(RUNS / 4);
}, 300_000);
