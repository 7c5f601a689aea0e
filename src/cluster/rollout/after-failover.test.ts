import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRefusals } from '../testing/rollout-fixtures.ts';
import { rolloutAfterFailover } from './after-failover.ts';
import { type Rollout, rollout } from './rollout.ts';

const GIB = 1024 ** 3;
const desired = createDesired();
const used = (gib: number): Pick<NodeObservation, 'storage'> => ({
  storage: {
    data: {
      ...{ deviceBytes: 20 * GIB, filesystemBytes: 20 * GIB, capacityBytes: 20 * GIB },
      ...{ usedBytes: gib * GIB, freeBytes: (20 - gib) * GIB },
    },
    root: null,
    kept: [],
  },
});

const listSteps = (decision: Rollout): string[] =>
  decision.kind === 'refused'
    ? [...decision.refusals]
    : decision.steps.map(({ kind, nodes }) => `${kind} ${nodes.join(' ')}`);

/** node-2 took over from node-1, which crashed; node-3 does not follow it yet. */
function observe(gib: number): NodeObservation[] {
  const promoted = changeNode(createHealthy(desired), 'node-2', ({ postgres }) => ({
    ...used(gib),
    standby: false,
    postgres: postgres && {
      ...postgres,
      inRecovery: false,
      timeline: 2,
      receiver: null,
      history: [{ timeline: 1, switchLsn: postgres.lsn }],
    },
  }));
  const fenced = changeNode(promoted, 'node-1', ({ postgres }) => ({
    ...used(gib),
    standby: true,
    postgres: null,
    container: null,
    control: { state: 'in production', timeline: 1, lsn: postgres?.lsn ?? '0/0' },
  }));
  return changeNode(fenced, 'node-3', ({ postgres }) => ({
    postgres: postgres && { ...postgres, receiver: null },
  }));
}

describe('after a failover', () => {
  test('the former primary is cloned where it has room', () => {
    const { decision, leftOut } = rolloutAfterFailover(observe(5), desired);
    expect(listSteps(decision)).toContain('clone node-1');
    expect(leftOut).toEqual([]);
  });

  test('the others follow the new primary even if the former one has no room for a copy', () => {
    const observed = observe(15);
    expect(listRefusals(rollout(observed, desired))).toHaveLength(1);
    const { decision, leftOut } = rolloutAfterFailover(observed, desired);
    const steps = listSteps(decision);
    expect(steps).toContain('reload node-3');
    expect(steps.join()).not.toMatch(/clone|restart|node-1/);
    expect(leftOut).toEqual([expect.stringMatching(/^node-1: a copy of node-2 takes up to/)]);
  });

  test('a volume that takes no writes is left out', () => {
    const observed = changeNode(observe(5), 'node-1', ({ volume }) => ({
      volume: { ...volume, readOnly: true },
    }));
    const steps = listSteps(rolloutAfterFailover(observed, desired).decision);
    expect(steps).toContain('reload node-3');
    expect(steps.join()).not.toContain('node-1');
  });
});
