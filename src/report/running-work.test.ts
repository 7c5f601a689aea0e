import { expect, test } from 'vitest';
import type { WorkObservation } from '../cluster/observation.ts';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { changeNode } from '../cluster/testing/rollout-fixtures.ts';
import { describeRunningWork } from './running-work.ts';

const GIB = 1024 ** 3;
const desired = createDesired();
const describeOn = (change: Partial<WorkObservation>) => {
  const work: WorkObservation = {
    ...{ kind: 'clone', state: 'running', source: '10.42.0.11', seconds: 4320, problem: null },
    ...{ doneBytes: 212 * GIB, totalBytes: 500 * GIB },
    ...change,
  };
  return describeRunningWork(
    changeNode(createHealthy(desired), 'node-3', () => ({ work })),
    desired,
  );
};

test.each<[string, Partial<WorkObservation>, RegExp]>([
  [
    'how far it is',
    {},
    /^node-3 is being copied from node-1: 212\.0 GiB of 500\.0 GiB \(42 %\) after 1 h 12 min\./,
  ],
  ['no share of an unknown total', { totalBytes: null }, /: 212\.0 GiB so far after 1 h 12 min\./],
  ['no share of a total that was exceeded', { totalBytes: 200 * GIB }, /: 212\.0 GiB so far after/],
  ['the address of an unknown node', { source: '10.9.9.9' }, /copied from 10\.9\.9\.9:/],
  [
    'that it is complete',
    { state: 'done' },
    /^node-3: a copy of node-1 is complete \(212\.0 GiB\), and a deploy puts it in place\.$/,
  ],
])('a copy: %s', (_, change, text) => {
  expect(describeOn(change)).toEqual([expect.stringMatching(text)]);
});

test.each<[string, Partial<WorkObservation>, RegExp]>([
  [
    'how far it is',
    {},
    /^node-3 is being restored from \/production\/orders: 212\.0 GiB of 500\.0 GiB \(42 %\) after 1 h 12 min\./,
  ],
  [
    'that it is complete',
    { state: 'done' },
    /^node-3: a restore of \/production\/orders is complete, and a deploy puts it in place\.$/,
  ],
])('a restore: %s', (_, change, text) => {
  const source = '/production/orders';
  expect(describeOn({ kind: 'restore', source, ...change })).toEqual([expect.stringMatching(text)]);
});

test('a copy that failed does not run', () => {
  expect(describeOn({ state: 'failed' })).toEqual([]);
});
