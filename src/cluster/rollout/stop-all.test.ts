import { expect, test } from 'vitest';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { planStops } from './stop-all.ts';

const desired = createDesired();

test('the primary stops first, whatever its number, so that its replicas get its last WAL', () => {
  expect(planStops(createHealthy(desired, 'node-2'))).toEqual([
    { kind: 'stop', nodes: ['node-2'], primary: 'node-2' },
    { kind: 'stop', nodes: ['node-1', 'node-3'], primary: 'node-2' },
  ]);
});

test('a removal that was interrupted stops the rest', () => {
  const [primary, second, third] = createHealthy(desired);
  if (!primary || !second || !third) throw new Error('three nodes');
  const stopped = { ...primary, postgres: null, container: null };
  expect(planStops([stopped, second, third])).toEqual([
    { kind: 'stop', nodes: ['node-2', 'node-3'], primary: 'node-1' },
  ]);
  const idle = [second, third].map((node) => ({ ...node, postgres: null, container: null }));
  expect(planStops([stopped, ...idle])).toEqual([]);
  expect(planStops([])).toEqual([]);
});

test('a server that does not answer is stopped as well', () => {
  const nodes = createHealthy(createDesired({ size: 1 })).map((node) => ({
    ...node,
    postgres: null,
  }));
  expect(planStops(nodes)).toEqual([{ kind: 'stop', nodes: ['node-1'], primary: 'node-1' }]);
});
