import { describe, expect, test } from 'vitest';
import { buildFreshObservation } from '../observation.ts';
import { createDesired, createFileSystem, createHealthy } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { planReplacement } from './replacement.ts';

const desired = createDesired();
const healthy = createHealthy(desired);
const without = (name: string) => healthy.filter((node) => node.name !== name);

function plan(
  observed = healthy,
  {
    node = 'node-2',
    unreachable = [] as string[],
    withVolume = false,
    isReplaced = false,
    of = desired,
  }: {
    node?: string;
    unreachable?: string[];
    withVolume?: boolean;
    isReplaced?: boolean;
    of?: typeof desired;
  } = {},
): string[] {
  const found = planReplacement(
    { observed, unreachable },
    { desired: of, node, withVolume, isReplaced },
  );
  if (found.kind !== 'steps') return [...found.refusals];
  return [
    ...found.steps.map(({ kind, nodes }) => `${kind} ${nodes.join(' ')}`),
    ...(found.observeAgain ? ['look'] : []),
  ];
}

describe('a replica gets another instance', () => {
  test('an unreachable node is replaced without a stop', () => {
    expect(plan(without('node-2'), { unreachable: ['node-2'] })).toEqual([
      'replace node-2',
      'look',
    ]);
  });

  test('a node that is copied to is not replaced again: that would end the copy', () => {
    // E.g. an earlier replacement whose run ended at wait-minutes.
    const copying = (state: 'running' | 'done' | 'failed') =>
      changeNode(healthy, 'node-2', (node) => ({
        ...stopped(node),
        data: 'partial' as const,
        work: {
          ...{ kind: 'clone' as const, state, source: '10.42.0.11', problem: null },
          ...{ doneBytes: 1, totalBytes: 2, seconds: 1 },
        },
      }));
    for (const state of ['running', 'done'] as const) {
      expect(plan(copying(state))).toEqual([
        expect.stringMatching(/^node-2 is being copied to.*was not replaced.*Deploy/),
      ]);
    }
    expect(plan(copying('failed'))).toEqual(['replace node-2', 'look']);
  });

  test('a node that answers is stopped first', () => {
    expect(plan()).toEqual(['stop node-2', 'replace node-2', 'look']);
    expect(plan(changeNode(healthy, 'node-2', stopped))).toEqual(['replace node-2', 'look']);
  });

  test('the new instance starts as a replica, also with a blank volume', () => {
    const blank = [...without('node-2'), buildFreshObservation('node-2')];
    expect(plan(blank, { isReplaced: true })).toEqual(['prepare node-2', 'clone node-2']);
    expect(plan(changeNode(healthy, 'node-2', stopped), { isReplaced: true })).toEqual([
      'start node-2',
    ]);
  });

  test.each(['node-1', 'node-2'])(
    'a blank volume of %s is refused before anything stops if the data does not fit on it',
    (node) => {
      const storage = { data: createFileSystem(500), root: null, kept: [] };
      const large = healthy.map((one) => ({ ...one, storage }));
      expect(plan(large, { node, withVolume: true })).toEqual([
        expect.stringMatching(
          `^data-volume-size: a blank data volume of 20 GiB is too small for ${node}\\. A copy of node-1 takes up to 125\\.0 GiB.* Nothing was changed\\..* at least 134\\.$`,
        ),
      ]);
      const begins = expect.stringMatching(node === 'node-1' ? '^switchover ' : '^stop ');
      const of = createDesired({ storage: { dataGib: 134, rootGib: 16 } });
      expect(plan(large, { node, withVolume: true, of })[0]).toEqual(begins);
      // A volume that stays is as large as it is.
      expect(plan(large, { node })[0]).toEqual(begins);
    },
  );

  // A change that was refused, and is on the default branch nevertheless.
  const changed = createDesired({ settings: { ...desired.settings, shared_buffers: '1GB' } });

  test('other changes in the values are left to a deploy, and not checked', () => {
    const back = changeNode(healthy, 'node-2', stopped);
    expect(plan(back, { isReplaced: true, of: changed })).toEqual(['start node-2']);
    const found = planReplacement(
      { observed: back, unreachable: [] },
      { desired: changed, node: 'node-2', withVolume: false, isReplaced: true },
    );
    expect(found).toMatchObject({ primary: 'node-1', observeAgain: false });
  });

  test('other changes in the values are refused for a primary before anything stops', () => {
    expect(plan(healthy, { node: 'node-1', of: changed })).toEqual([
      expect.stringMatching(
        /ask for more than another instance \(restart of node-2, restart of node-3\).*node-1 was not replaced\. Deploy first/,
      ),
    ]);
  });

  test('an instance that does not answer is not taken for one that does', () => {
    expect(plan(without('node-2'), { unreachable: ['node-2'], isReplaced: true })).toEqual([
      expect.stringMatching(/^node-2 got another instance, which does not answer SSH/),
    ]);
  });
});

describe('the primary', () => {
  test('is replaced only after a switchover and another observation', () => {
    const steps = plan(healthy, { node: 'node-1' });
    expect(steps).toContain('switchover node-1 node-2');
    expect(steps.at(-1)).toBe('look');
    expect(steps.join()).not.toMatch(/replace/);
    expect(plan(createHealthy(desired, 'node-2'), { node: 'node-1' })).toEqual([
      'stop node-1',
      'replace node-1',
      'look',
    ]);
  });

  test('is not replaced without a replica', () => {
    const one = createDesired({ size: 1 });
    expect(plan(createHealthy(one), { node: 'node-1', of: one })).toEqual([
      expect.stringMatching(/no replica can take over/),
    ]);
  });
});

describe('nothing is replaced', () => {
  test('while another node cannot be reached', () => {
    expect(plan(without('node-3'), { unreachable: ['node-3'] })).toEqual([
      expect.stringMatching(/^node-3 cannot be reached, and only one node may be down/),
    ]);
  });

  test('while another replica does not stream', () => {
    expect(plan(changeNode(healthy, 'node-3', stopped))).toEqual([
      expect.stringMatching(/^node-3 does not follow the primary node-1/),
    ]);
  });

  test('while no primary answers, as the node may be the primary', () => {
    expect(plan(without('node-1'), { node: 'node-1', unreachable: ['node-1'] })).toEqual([
      expect.stringMatching(/command: failover/),
    ]);
  });

  test('while there are two primaries', () => {
    const two = changeNode(healthy, 'node-3', ({ postgres }) => ({
      standby: false,
      postgres: postgres && { ...postgres, inRecovery: false },
    }));
    expect(plan(two).join()).toMatch(/both primary/);
  });
});
