import { expect, test } from 'vitest';
import { createSource } from '../testing/fixtures.ts';
import { estimateDuration, formatRange } from './duration.ts';
import type { Step } from './step.ts';

const NOTHING = { nodes: 0, endpoint: false, natGateway: false };
const GIB = 1024 ** 3;
const clone = (neededBytes: Record<string, number>, maxRate: number | null = null): Step => ({
  kind: 'clone',
  nodes: ['node-4'],
  primary: 'node-1',
  settings: {},
  source: 'node-1',
  maxRate,
  neededBytes,
});
const RELOAD: Step = { kind: 'reload', nodes: ['node-1'], primary: 'node-1', settings: {} };
const INITIALISE: Step = { kind: 'initialise', nodes: ['node-1'], primary: 'node-1', settings: {} };

test('every step adds its time', () => {
  const one = estimateDuration([RELOAD], NOTHING);
  const two = estimateDuration([RELOAD, RELOAD], NOTHING);
  expect(two?.most).toBe((one?.most ?? 0) + 10);
});

test('a new endpoint takes longer than the nodes beside it, and a gateway comes before them', () => {
  const nodes = estimateDuration([], { ...NOTHING, nodes: 3 });
  const endpoint = estimateDuration([], { ...NOTHING, nodes: 3, endpoint: true });
  const both = estimateDuration([], { nodes: 3, endpoint: true, natGateway: true });
  expect(endpoint?.most).toBeGreaterThan(nodes?.most ?? 0);
  expect(both?.least).toBeGreaterThan(endpoint?.least ?? 0);
});

test('a copy takes as long as its data and its limit allow', () => {
  const free = estimateDuration([clone({ 'node-4': 200 * GIB })], NOTHING);
  const limited = estimateDuration([clone({ 'node-4': 200 * GIB }, 20 * 1024)], NOTHING);
  expect(free?.least).toBeGreaterThan(1_000);
  // 200 GiB at 20 MiB/s.
  expect(limited?.least).toBeGreaterThan(10_240);
  expect(limited?.least).toBeLessThan(10_400);
});

test('a copy of data of unknown size has no estimate, unless the cluster is new and empty', () => {
  expect(estimateDuration([clone({})], NOTHING)).toBeNull();
  expect(estimateDuration([INITIALISE, clone({})], NOTHING)).not.toBeNull();
});

const BACKUP: Step = { kind: 'backup', nodes: ['node-1'], primary: 'node-1', type: 'full' };

test('a backup takes as long as its data, and the one of a new cluster next to nothing', () => {
  const large = estimateDuration([BACKUP], { ...NOTHING, dataBytes: 200 * GIB });
  const empty = estimateDuration([INITIALISE, BACKUP], NOTHING);
  expect(large?.least).toBeGreaterThan(1_300);
  expect(large?.most).toBeGreaterThan(10_000);
  expect(empty?.most).toBeLessThan(300);
  expect(estimateDuration([BACKUP], NOTHING)).toBeNull();
});

test('a restore has no estimate', () => {
  const restore: Step = {
    ...{ kind: 'restore', nodes: ['node-1'], primary: 'node-1', settings: {} },
    source: createSource({ cluster: 'orders' }),
    time: null,
  };
  expect(estimateDuration([restore], { ...NOTHING, dataBytes: GIB })).toBeNull();
});

test.each([
  [10, 50, 'about a minute'],
  [200, 240, 'about 3 to 4 minutes'],
  [230, 240, 'about 4 minutes'],
  [7_200, 15_000, 'about 2 to 5 hours'],
])('a range of %d to %d s is %s', (least, most, expected) => {
  expect(formatRange({ least, most })).toBe(expected);
});
