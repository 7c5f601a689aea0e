import { describe, expect, test } from 'vitest';
import { rollout } from '../cluster/rollout/rollout.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { findWait, listSteps, summarizeSteps, warnSynchronous } from './steps.ts';

function planSteps(from: Parameters<typeof createDesired>[0], to: typeof from): readonly Step[] {
  const before = createDesired(from);
  const after = createDesired(to);
  const leaving = before.nodes.slice(after.nodes.length);
  const result = rollout(createHealthy(before), { ...after, leaving });
  if (result.kind !== 'steps') throw new Error(result.refusals.join());
  return result.steps;
}

describe('synchronous replication without a replica to spare', () => {
  const one = { synchronousReplicas: 1, replicas: 1 };

  test('waits for minutes while its only replica is resized, and the headline says so', () => {
    const larger = { size: 2, synchronousReplicas: 1, instanceType: 't3.large', memoryMib: 8192 };
    const steps = planSteps({ size: 2, synchronousReplicas: 1 }, larger);
    expect(findWait(one, steps)).toBe('for minutes, while an instance is resized');
    expect(summarizeSteps(steps, findWait(one, steps))).toMatch(/ · writes wait for minutes/);
    expect(warnSynchronous(one, steps)).toContain('in this change they wait for minutes');
  });

  test('waits while its only replica restarts', () => {
    const settings = { max_connections: '100', shared_buffers: '1GB' };
    const from = { size: 2, synchronousReplicas: 1 };
    expect(findWait(one, planSteps(from, { ...from, settings }))).toBe('while a replica restarts');
  });

  test.each([
    [
      'a node that leaves',
      { size: 3, synchronousReplicas: 1 },
      { size: 2, synchronousReplicas: 1 },
    ],
    ['a future node', { size: 1 }, { size: 2, synchronousReplicas: 1 }],
    ['a reload', { size: 2 }, { size: 2, synchronousReplicas: 1 }],
  ])('does not wait for %s', (_, from, to) => {
    expect(findWait(one, planSteps(from, to))).toBeNull();
  });

  test('does not wait with a replica to spare, or if it is off', () => {
    const steps = planSteps({}, { settings: { shared_buffers: '1GB' } });
    expect(findWait({ synchronousReplicas: 1, replicas: 2 }, steps)).toBeNull();
    expect(findWait({ synchronousReplicas: 0, replicas: 2 }, steps)).toBeNull();
  });
});

test('file systems that grow are announced with their sizes before and after, and without a pause', () => {
  const steps = planSteps({}, { storage: { dataGib: 40, rootGib: 24 } });
  const why = 'Why: data 20 GiB → 40 GiB; root 16 GiB → 24 GiB.';
  expect(listSteps(steps).slice(0, 2)).toEqual([
    `1. Grow the file systems of node-2, node-3 into their volumes, no pause: PostgreSQL keeps running. ${why}`,
    `2. Grow the file systems of node-1 into their volumes, no pause: PostgreSQL keeps running. ${why}`,
  ]);
  expect(summarizeSteps(steps, null)).toBe('reload');
});

describe('an update of access', () => {
  const admit = (slots: readonly string[], retiredSlots: readonly string[]) =>
    listSteps([
      { kind: 'admit', nodes: ['node-1'], primary: 'node-1', settings: {}, slots, retiredSlots },
    ])[0];
  const names = (count: number) => Array.from({ length: count }, (_, index) => `node_${index + 2}`);

  test('names its slots', () => {
    expect(admit(names(4), names(4))).toContain(
      ', slots node_2, node_3, node_4, node_5, drop the retired node_2, node_3, node_4, node_5, who',
    );
  });

  test('names four slots of any number, as a node may report 1,000', () => {
    expect(admit(names(15), names(1_000))).toContain(
      ', slots node_2, node_3, node_4, node_5 and 11 more, drop the retired node_2, node_3, node_4, node_5 and 996 more, who',
    );
  });
});
