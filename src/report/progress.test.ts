import { describe, expect, test } from 'vitest';
import type { MeasuredProgress } from '../cluster/progress.ts';
import { describeWork, explainContinuing } from './progress.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

const copy: MeasuredProgress = {
  node: 'node-2',
  kind: 'copy',
  done: 212.4 * GIB,
  total: 500 * GIB,
  started: 0,
  updated: 60,
  working: true,
  rate: 118 * MIB,
  left: 2_496,
};

describe('the line of a node', () => {
  test.each<[string, Partial<MeasuredProgress>]>([
    ['node-2 has copied 212.4 GiB of 500.0 GiB (42 %), 118.0 MiB/s, 42 min left', {}],
    ['node-2 has copied 212.4 GiB of 500.0 GiB (42 %)', { rate: null, left: null }],
    ['node-2 has copied 212.4 GiB of 500.0 GiB (42 %), 0 B/s', { rate: 0, left: null }],
    ['node-2 has copied 212.4 GiB so far, 118.0 MiB/s', { total: null, left: null }],
    ['node-2 has copied 212.4 GiB so far', { total: 200 * GIB, left: null, rate: null }],
    ['node-2 has copied 0 B so far', { done: 0, total: 0, left: null, rate: null }],
    [
      'node-2 has backed up 212.4 GiB of 500.0 GiB (42 %), 118.0 MiB/s, 42 min left',
      { kind: 'backup' },
    ],
    [
      'node-2 has verified 212.4 GiB of 500.0 GiB (42 %), 118.0 MiB/s, 42 min left',
      { kind: 'verification' },
    ],
    [
      'node-2 has backed up 0 B so far',
      { kind: 'backup', done: 0, total: null, rate: null, left: null },
    ],
    [
      'node-2 replays 1.2 GiB of WAL, 80.0 MiB/s, 15 s left',
      { kind: 'replay', done: 0, total: 1.2 * GIB, rate: 80 * MIB, left: 15.36 },
    ],
    [
      'node-2 recovers with 512.0 MiB of WAL',
      { kind: 'recovery', done: 512 * MIB, total: GIB, rate: null, left: null },
    ],
    [
      'node-2 replays WAL, 512.0 MiB so far',
      { kind: 'replay', done: 512 * MIB, total: null, rate: null, left: null },
    ],
    [
      'node-2 has restored 212.4 GiB of 500.0 GiB (42 %) of a backup, 118.0 MiB/s, 42 min left',
      { kind: 'restore' },
    ],
    [
      'node-2 recovers with WAL, 512.0 MiB so far, and has reached 2026-11-27 00:46:03 UTC',
      {
        ...{ kind: 'recovery', done: 512 * MIB, total: null, rate: null, left: null },
        reached: 1_795_740_363,
      },
    ],
  ])('%s', (line, changes) => {
    expect(describeWork([{ ...copy, ...changes }])).toEqual([line]);
  });

  test('a node that has reported nothing is named with its step', () => {
    expect(describeWork([{ kind: 'step', node: 'node-2', step: 'clone' }])).toEqual([
      'node-2 goes on with the step clone',
    ]);
  });
});

test('a repair is not repeated, as it would begin anew', () => {
  expect(explainContinuing('repair')).toMatch(
    /next deploy finds it.*Do not give this command again/,
  );
  expect(explainContinuing('backup')).toMatch(
    /ends on the node by itself.* give this command again/,
  );
  expect(explainContinuing('operation')).toMatch(/run the job again\.$/);
  expect(explainContinuing('deploy')).toMatch(/run the job again; a scheduled run/);
});
