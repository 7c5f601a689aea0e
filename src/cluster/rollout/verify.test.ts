import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import type { Canary } from '../rehearsal.ts';
import { createDesired, createHealthy, createSource } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const CANARY: Canary = {
  token: '6d3c0f5e-0000-4000-8000-000000000001',
  written: '2026-11-26T02:30:00.000001Z',
  roles: 14,
  databases: 5,
  names: 'a'.repeat(64),
};
const restore = { from: createSource(), time: CANARY.written };
const rehearsal = createDesired({ size: 1, restore, rehearsal: CANARY });
const restored = createHealthy(rehearsal);
const withWork = (state: 'running' | 'done' | 'failed'): NodeObservation[] =>
  changeNode(restored, 'node-1', () => ({
    work: {
      ...{ kind: 'verify', state, source: '/sales', doneBytes: 1, totalBytes: 2, seconds: 3 },
      problem: state === 'failed' ? 'it cannot be read' : null,
    },
  }));

describe('a rehearsal', () => {
  test.each<[string, readonly NodeObservation[], readonly string[]]>([
    [
      'without an instance',
      [],
      ['provision node-1', 'prepare node-1', 'restore node-1', 'admit node-1', 'verify node-1'],
    ],
    ['whose data is complete', restored, ['verify node-1']],
    ['that verifies', withWork('running'), ['verify node-1']],
    ['that has verified', withWork('done'), ['verify node-1']],
    ['that could not verify', withWork('failed'), ['verify node-1']],
  ])('%s ends with a verification', (_, observed, expected) => {
    expect(listRolloutSteps(observed, rehearsal)).toEqual(expected);
  });

  test('is verified against its canary', () => {
    expect(rollout(restored, rehearsal)).toMatchObject({
      steps: [{ kind: 'verify', nodes: ['node-1'], primary: 'node-1', canary: CANARY }],
      observeAgain: false,
    });
  });

  test('whose server is down is observed again first', () => {
    const down = changeNode(restored, 'node-1', stopped);
    expect(rollout(down, rehearsal)).toMatchObject({
      steps: [{ kind: 'start' }],
      observeAgain: true,
    });
  });
});

test('no other cluster is verified, restored or not', () => {
  const desired = { ...rehearsal, rehearsal: null };
  expect(listRolloutSteps(restored, desired)).toEqual([]);
  expect(listRolloutSteps([], desired).at(-1)).toBe('admit node-1');
});
