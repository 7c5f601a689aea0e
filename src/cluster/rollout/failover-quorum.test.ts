import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { createFailed, RUNNING } from '../testing/failover-fixtures.ts';
import { createDesired, createSettingsInForce } from '../testing/fixtures.ts';
import { listRefusals } from '../testing/rollout-fixtures.ts';
import { planFailover } from './failover.ts';

test('a failover with quorum commit is refused when acknowledged rows may be on unreachable nodes only', () => {
  const synchronous = createDesired({ synchronousReplicas: 1 });
  const { observed } = createFailed({ reachable: true }, synchronous);
  const without = observed.filter(({ name }) => name !== 'node-3');
  const result = planFailover(
    { observed: without, unreachable: ['node-3'], terminated: [], states: RUNNING },
    { desired: synchronous, fenced: null },
  );
  expect(listRefusals(result).join()).toMatch(
    /Commits waited for 1 replica, and what node-3 received/,
  );
  const all = planFailover(
    { observed, unreachable: [], terminated: [], states: RUNNING },
    { desired: synchronous, fenced: null },
  );
  expect(listRefusals(all)).toEqual([]);
});

describe('a failover with quorum commit, where node-3 is', () => {
  const synchronous = createDesired({ synchronousReplicas: 1 });
  const { observed } = createFailed({ reachable: true }, synchronous);
  const planWith = (overrides: Partial<NodeObservation>) =>
    planFailover(
      {
        observed: observed.map((node) =>
          node.name === 'node-3' ? { ...node, ...overrides } : node,
        ),
        unreachable: [],
        terminated: [],
        states: RUNNING,
      },
      { desired: synchronous, fenced: null },
    );
  const streamed = observed[2]?.postgres ?? null;

  test.each<[string, Partial<NodeObservation>, RegExp | null]>([
    [
      'an unfinished copy',
      { data: 'partial', standby: false, postgres: null },
      /what node-3 received cannot be seen.*\(unfinished copies, which are not promoted: node-3\)/,
    ],
    [
      'a stopped copy without a record',
      { data: 'unrecorded', postgres: null },
      /what node-3 received cannot be seen/,
    ],
    [
      'a copy that answers and is ahead',
      { data: 'unrecorded', postgres: streamed && { ...streamed, lsn: '0/4000000' } },
      /what node-3 received cannot be seen/,
    ],
    ['a copy that answers and has nothing more', { data: 'unrecorded' }, null],
    ['a node that never held anything', { data: 'absent', standby: false, postgres: null }, null],
  ])('%s', (_, overrides, reason) => {
    const refusals = listRefusals(planWith(overrides));
    if (reason === null) expect(refusals).toEqual([]);
    else expect(refusals.join()).toMatch(reason);
  });
});

describe('the quorum of a failover', () => {
  /** node-3 is unreachable; `had` says for how many replicas commits waited on each other node. */
  const planWith = (
    { asked, had }: { asked: number; had: Readonly<Record<string, number>> },
    change: (node: NodeObservation) => NodeObservation = (node) => node,
  ) => {
    const cluster = createDesired({ synchronousReplicas: asked });
    const { observed } = createFailed({ reachable: true }, createDesired());
    const told = observed.slice(0, 2).map((node): NodeObservation => {
      const value = had[node.name] ? `ANY ${had[node.name]} (node_1, node_2, node_3)` : '';
      const postgresqlConf = `${node.files.postgresqlConf}`.replace(
        /^synchronous_standby_names = .*$/m,
        `synchronous_standby_names = '${value}'`,
      );
      const { postgres } = node;
      const settings = postgres && createSettingsInForce({ synchronous_standby_names: value });
      return change({
        ...node,
        files: { ...node.files, postgresqlConf },
        postgres: postgres && settings && { ...postgres, settings },
      });
    });
    const observation = { observed: told, unreachable: ['node-3'], terminated: [], states: {} };
    return planFailover(observation, { desired: cluster, fenced: null });
  };
  const waited = /Commits waited for 1 replica, and what node-3 received/;

  test('is the requested number if the replica that would be promoted has none', () => {
    expect(listRefusals(planWith({ asked: 1, had: {} })).join()).toMatch(waited);
    expect(listRefusals(planWith({ asked: 0, had: {} }))).toEqual([]);
  });

  test('is what any node has: the former primary acknowledged the commits', () => {
    expect(listRefusals(planWith({ asked: 0, had: { 'node-1': 1 } })).join()).toMatch(waited);
    expect(listRefusals(planWith({ asked: 0, had: { 'node-2': 1 } })).join()).toMatch(waited);
  });

  test('is what ALTER SYSTEM set on a node', () => {
    const hold = (node: NodeObservation): NodeObservation =>
      node.name === 'node-1'
        ? { ...node, overrides: { synchronous_standby_names: 'node_2, node_3' } }
        : node;
    expect(listRefusals(planWith({ asked: 0, had: {} }, hold)).join()).toMatch(waited);
  });

  test('is the lowest of several: an acknowledged row may be on that many replicas only', () => {
    expect(listRefusals(planWith({ asked: 2, had: { 'node-1': 1, 'node-2': 2 } })).join()).toMatch(
      waited,
    );
    expect(listRefusals(planWith({ asked: 1, had: { 'node-1': 2, 'node-2': 2 } })).join()).toMatch(
      waited,
    );
    // One of the two replicas answers.
    expect(listRefusals(planWith({ asked: 2, had: { 'node-1': 2, 'node-2': 2 } }))).toEqual([]);
  });
});
