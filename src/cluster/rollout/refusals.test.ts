import { describe, expect, test } from 'vitest';
import { buildFreshObservation, type NodeObservation } from '../observation.ts';
import { alterSystem, createDesired, createHealthy } from '../testing/fixtures.ts';
import {
  changeNode,
  listRefusals,
  listRolloutSteps,
  stopped,
} from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

describe('refuses, touching nothing, when', () => {
  const desired = createDesired();
  const healthy = createHealthy(desired);
  const onTimeline = (node: NodeObservation, timeline: number): NodeObservation => ({
    ...node,
    postgres: { ...postgresOf(node), timeline, receiver: null },
  });
  const postgresOf = (node: NodeObservation) => {
    if (!node.postgres) throw new Error('stopped');
    return node.postgres;
  };
  test.each<[string, NodeObservation[], RegExp]>([
    [
      'two nodes are primary',
      changeNode(healthy, 'node-2', (node) => ({
        postgres: { ...postgresOf(node), inRecovery: false },
        standby: false,
      })),
      /node-1 and node-2 are both primary/,
    ],
    [
      "a replica's data volume has turned read-only",
      changeNode(healthy, 'node-2', ({ volume }) => ({ volume: { ...volume, readOnly: true } })),
      /^node-2: its data volume \(\/dev\/nvme1n1\) takes no writes\. .*journalctl -k.*reboot.*clones it again\.$/,
    ],
    [
      "the primary's data volume has turned read-only",
      changeNode(healthy, 'node-1', ({ volume }) => ({ volume: { ...volume, readOnly: true } })),
      /^node-1: its data volume .*takes no writes\. .*command: failover\.$/,
    ],
    [
      'an xfs has shut itself down, so that nothing of the node can be read',
      changeNode(healthy, 'node-2', ({ volume }) => ({
        volume: { ...volume, filesystem: 'xfs', ready: false, readOnly: true },
        ...{ data: 'absent', postgres: null, record: null, container: null, standby: false },
      })),
      /^node-2: its data volume \(\/dev\/nvme1n1\) takes no writes\. xfs .*reboot.*xfs_repair.*command: failover\.$/,
    ],
    [
      'a stopped node would be a second primary',
      changeNode(healthy, 'node-2', (node) => ({ ...stopped(node), standby: false })),
      /node-1 is primary, and node-2, which does not answer, holds a primary's data/,
    ],
    [
      'two stopped nodes hold a primary',
      changeNode(
        changeNode(changeNode(healthy, 'node-1', stopped), 'node-2', (node) => ({
          ...stopped(node),
          standby: false,
        })),
        'node-3',
        stopped,
      ),
      /node-1 and node-2 each hold the data of a primary/,
    ],
    [
      // node-2 was primary after node-1, and a switchover from it was interrupted.
      'a stopped primary is older than what a replica received',
      changeNode(
        changeNode(changeNode(healthy, 'node-1', stopped), 'node-2', (node) =>
          stopped(onTimeline(node, 2)),
        ),
        'node-3',
        (node) => onTimeline(node, 2),
      ),
      /node-1, which does not answer, holds a primary's data of timeline 1, and node-2 and node-3 received changes of timeline 2: .*command: failover/,
    ],
    [
      'or than what a stopped replica had received',
      changeNode(changeNode(healthy, 'node-1', stopped), 'node-3', (node) =>
        stopped(onTimeline(node, 2)),
      ),
      /node-1, which does not answer, holds a primary's data of timeline 1, and node-3 received changes of timeline 2/,
    ],
    [
      'only replicas are left',
      changeNode(healthy, 'node-1', () => ({ ...buildFreshObservation('node-1') })),
      /No node is primary/,
    ],
    [
      'a node belongs to another cluster',
      changeNode(healthy, 'node-3', (node) => ({
        postgres: { ...postgresOf(node), systemIdentifier: '1' },
      })),
      /different database clusters .*node-3 1/,
    ],
    [
      'a replica was promoted once',
      changeNode(healthy, 'node-3', (node) => ({ postgres: { ...postgresOf(node), timeline: 2 } })),
      /node-3 is on timeline 2, ahead of the primary's 1/,
    ],
    [
      'ALTER SYSTEM holds a replica below its primary',
      changeNode(healthy, 'node-2', (node) =>
        alterSystem(node, { name: 'max_connections', value: '50' }),
      ),
      /node-2: ALTER SYSTEM holds max_connections at 50 there, below the rest of the cluster: its replay/,
    ],
    [
      'the primary, which may be a replica tomorrow, will start below the others',
      changeNode(healthy, 'node-1', (node) =>
        alterSystem(node, { name: 'max_worker_processes', value: '2', running: '8' }),
      ),
      /node-1: ALTER SYSTEM holds max_worker_processes at 2 there, below .* once it is a replica/,
    ],
  ])('%s', (_, observed, reason) => {
    const result = rollout(observed, desired);
    expect(listRefusals(result).join('\n')).toMatch(reason);
    expect(result).not.toHaveProperty('steps');
  });

  test('ALTER SYSTEM keeps the wanted primary above the others', () => {
    const observed = changeNode(healthy, 'node-2', (node) =>
      alterSystem(node, { name: 'max_connections', value: '500' }),
    );
    expect(listRefusals(rollout(observed, desired))).toEqual([]);
    expect(listRefusals(rollout(observed, { ...desired, primary: 'node-2' })).join()).toMatch(
      /node-2: ALTER SYSTEM holds max_connections at 500 there, above .*RESET max_connections on node-2/,
    );
  });

  test('a record whose data was moved aside causes no refusal', () => {
    const other = createHealthy(desired)[2]?.record;
    const observed = changeNode(healthy, 'node-3', () => ({
      ...buildFreshObservation('node-3'),
      record: other ? { ...other, systemIdentifier: '1', major: 15 } : null,
    }));
    expect(listRolloutSteps(observed)).toEqual(['prepare node-3', 'clone node-3']);
  });

  test('the major version changes', () => {
    const result = rollout(healthy, createDesired({ image: 'postgres:18' }));
    expect(listRefusals(result)).toEqual([
      expect.stringMatching(/asks for PostgreSQL 18.*is PostgreSQL 17/),
    ]);
  });
});

describe('a setting that ALTER SYSTEM holds and this action writes', () => {
  const desired = createDesired();
  const hold = (node: string, name: string, value = '') =>
    changeNode(createHealthy(desired), node, ({ overrides }) => ({
      overrides: { ...overrides, [name]: value },
    }));
  const refuse = (observed: NodeObservation[], wanted = desired) =>
    listRefusals(rollout(observed, wanted)).join('\n');

  test.each<[string, string, RegExp]>([
    ['primary_conninfo', '', /follows what that says instead of the primary/],
    ['primary_slot_name', 'other', /follows what that says instead of the primary/],
    ['restore_command', 'cp /secret/%f %p', /replays what that says/],
    ['recovery_target_time', '2026-01-01', /replays what that says/],
    ['recovery_min_apply_delay', '1h', /replays what that says/],
    ['port', '5433', /after its next start/],
    ['listen_addresses', 'localhost', /after its next start/],
  ])('%s is refused on any node', (name, value, why) => {
    for (const node of ['node-1', 'node-2']) {
      const refusals = refuse(hold(node, name, value));
      expect(refusals).toMatch(
        new RegExp(`^${node}: ALTER SYSTEM holds ${name} there, .*${why.source}`),
      );
      expect(refusals).toContain(`Run ALTER SYSTEM RESET ${name} on ${node} and then this again`);
      expect(refusals).not.toContain('secret');
    }
  });

  test.each([
    ['restore_command', ''],
    ['recovery_target_timeline', 'latest'],
    ['port', '5432'],
    ['work_mem', '5MB'],
  ])('%s = %s changes nothing', (name, value) => {
    expect(refuse(hold('node-2', name, value))).toBe('');
  });

  test('does not keep a primary down, nor a single node from its settings', () => {
    const down = changeNode(hold('node-2', 'primary_conninfo'), 'node-1', stopped);
    expect(refuse(down)).toBe('');
    const lone = createDesired({ size: 1 });
    const [primary] = createHealthy(lone);
    const held = { ...(primary as NodeObservation), overrides: { primary_conninfo: '' } };
    expect(refuse([held], lone)).toBe('');
  });
});
