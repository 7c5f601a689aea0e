import { describe, expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { createBackup, createDesired, createHealthy, createSource } from '../testing/fixtures.ts';
import {
  changeNode,
  listRefusals,
  listRolloutSteps,
  stopped,
} from '../testing/rollout-fixtures.ts';
import { predict } from './predict.ts';
import { rollout } from './rollout.ts';

describe('a restore', () => {
  const from = createSource();
  const restore = { from, time: '2026-11-26T05:12:00Z' };
  const restoring = createDesired({ size: 2, restore });

  test('comes in place of an empty database', () => {
    const result = rollout([], restoring);
    expect(result).toMatchObject({
      steps: [
        { kind: 'provision' },
        { kind: 'prepare', tools: 'install' },
        { kind: 'restore', nodes: ['node-1'], source: from, time: restore.time },
        { kind: 'admit', nodes: ['node-1'] },
        { kind: 'clone', nodes: ['node-2'] },
      ],
    });
  });

  test('is followed by backups of the new cluster', () => {
    const steps = listRolloutSteps([], { ...restoring, backup: createBackup() });
    expect(steps.slice(-2)).toEqual(['archive node-1 node-2', 'backup node-1']);
  });

  test('sets the passwords also of a single node', () => {
    expect(listRolloutSteps([], createDesired({ size: 1, restore })).slice(2)).toEqual([
      'restore node-1',
      'admit node-1',
    ]);
  });

  test('is not done where data is, running or not', () => {
    const healthy = createHealthy(createDesired({ size: 2 }));
    expect(listRolloutSteps(healthy, restoring)).toEqual([]);
    const down = changeNode(healthy, 'node-1', stopped);
    expect(listRolloutSteps(down, restoring).join()).not.toContain('restore');
  });

  const running = (desiredNow: DesiredCluster) => {
    const nodes = predict(
      new Map(),
      { kind: 'provision', nodes: ['node-1', 'node-2'] },
      desiredNow,
    );
    const prepared = predict(
      nodes,
      { kind: 'prepare', nodes: ['node-1', 'node-2'], tools: 'install' },
      desiredNow,
    );
    const work = { kind: 'restore', state: 'running', source: '/sales', problem: null } as const;
    return [...prepared.values()].map((node): NodeObservation => {
      const host = { ...node.host, debian: 13 };
      if (node.name !== 'node-1') return { ...node, host };
      const sizes = { doneBytes: 1, totalBytes: 2, seconds: 3 };
      return { ...node, host, data: 'partial', work: { ...work, ...sizes } };
    });
  };

  test('that runs goes on', () => {
    expect(listRolloutSteps(running(restoring), restoring)[0]).toBe('restore node-1');
  });

  test('that runs and is not asked for any more is not given up for an empty database', () => {
    const empty = createDesired({ size: 2 });
    expect(listRefusals(rollout(running(empty), empty))).toEqual([
      expect.stringMatching(/^node-1 is being restored from \/sales, .* Put restore back/),
    ]);
  });
});
