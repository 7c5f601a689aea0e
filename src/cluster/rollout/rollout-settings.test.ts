import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { alterSystem, createDesired, createHealthy, createNode } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

describe('settings that need a restart', () => {
  const before = createDesired();
  const withSettings = (settings: Record<string, string>) =>
    createDesired({ settings: { ...before.settings, ...settings } });

  const restarts = (steps: readonly string[]) =>
    steps.filter((step) => /^(restart|switchover|start)/.test(step));

  test('reach replicas one by one, then one of them takes over', () => {
    const steps = listRolloutSteps(
      createHealthy(before),
      withSettings({ shared_buffers: '512MB' }),
    );
    expect(steps.map((step) => step.split(' (')[0])).toEqual([
      'check node-2',
      'restart node-2',
      'restart node-3',
      'switchover node-1 node-2',
      'reload node-3',
      'start node-1',
    ]);
  });

  test('need no clone of nodes that were observed one after the other while clients wrote', () => {
    const at = (lsn: string) => (node: NodeObservation) => ({
      postgres: node.postgres && { ...node.postgres, lsn },
    });
    const observed = [
      ['node-1', '0/3000100'],
      ['node-2', '0/3000080'],
      ['node-3', '0/3000200'],
    ].reduce(
      (nodes, [name, lsn]) => changeNode(nodes, name as string, at(lsn as string)),
      createHealthy(before),
    );
    const steps = listRolloutSteps(observed, withSettings({ shared_buffers: '512MB' }));
    expect(restarts(steps).slice(-2)).toEqual(['switchover node-1 node-2', 'start node-1']);
  });

  // The primary is at 0/3000148.
  test.each([
    ['level replicas: the lowest number', ['0/3000100', '0/3000148'], 'node-2'],
    ['16 MiB count as level', ['0/2000148', '0/3000148'], 'node-2'],
    ['a replica that is further behind: the other one', ['0/2000147', '0/3000100'], 'node-3'],
    ['both are far behind: the one that is less so', ['0/1000000', '0/1500000'], 'node-3'],
    [
      'one that has yet to say how far it is: it has only just connected',
      [null, '0/3000148'],
      'node-2',
    ],
  ] as const)('the successor, %s', (_, [second, third], successor) => {
    const sender = (name: string, replayLsn: string | null) => ({
      ...{ applicationName: name, state: 'streaming', syncState: 'async', replayLsn },
    });
    const observed = changeNode(createHealthy(before), 'node-1', ({ postgres }) => ({
      postgres: postgres && {
        ...postgres,
        senders: [sender('node_2', second), sender('node_3', third)],
      },
    }));
    const steps = listRolloutSteps(observed, withSettings({ shared_buffers: '512MB' }));
    expect(steps).toContain(`switchover node-1 ${successor}`);
    const wanted = { ...withSettings({ shared_buffers: '512MB' }), primary: 'node-2' };
    expect(listRolloutSteps(observed, wanted)).toContain('switchover node-1 node-2');
  });

  test('two switchovers in a row need no clone', () => {
    const desired = createDesired({
      primary: 'node-1',
      instanceType: 't3.large',
      memoryMib: 8192,
    });
    const steps = listRolloutSteps(createHealthy(createDesired()), desired);
    expect(steps.filter((step) => step.startsWith('switchover'))).toHaveLength(2);
    expect(steps.filter((step) => step.startsWith('clone'))).toEqual([]);
  });

  test('raising max_connections: replicas first', () => {
    const steps = listRolloutSteps(createHealthy(before), withSettings({ max_connections: '200' }));
    expect(restarts(steps)).toEqual([
      'restart node-2 (max_connections 200)',
      'restart node-3 (max_connections 200)',
      'switchover node-1 node-2',
      'start node-1',
    ]);
  });

  test('lowering max_connections: the primary first, in place', () => {
    const steps = listRolloutSteps(createHealthy(before), withSettings({ max_connections: '50' }));
    expect(restarts(steps)).toEqual([
      'restart node-1 (max_connections 50)',
      'restart node-2 (max_connections 50)',
      'restart node-3 (max_connections 50)',
    ]);
  });

  test('one raised, one lowered: the replicas restart twice', () => {
    const mixed = withSettings({ max_connections: '50', max_worker_processes: '16' });
    expect(restarts(listRolloutSteps(createHealthy(before), mixed))).toEqual([
      'restart node-2 (max_connections 100)',
      'restart node-3 (max_connections 100)',
      'restart node-1 (max_connections 50)',
      'restart node-2 (max_connections 50)',
      'restart node-3 (max_connections 50)',
    ]);
  });

  test('a removed setting goes back to its default', () => {
    const raised = withSettings({ max_worker_processes: '16' });
    expect(restarts(listRolloutSteps(createHealthy(raised), before))).toEqual([
      'restart node-1 (max_connections 100)',
      'restart node-2 (max_connections 100)',
      'restart node-3 (max_connections 100)',
    ]);
    const reloaded = withSettings({ work_mem: '64MB' });
    expect(listRolloutSteps(createHealthy(reloaded), before)).toEqual([
      'reload node-1 node-2 node-3',
    ]);
  });

  test('a wanted primary restarts in place', () => {
    const pinned = {
      ...withSettings({ shared_buffers: '512MB' }),
      primary: 'node-1',
    };
    const steps = listRolloutSteps(createHealthy(before), pinned);
    expect(steps.map((step) => step.split(' (')[0])).toEqual([
      'check node-2',
      'restart node-2',
      'restart node-3',
      'restart node-1',
    ]);
  });

  test('an interrupted raise continues with what is left', () => {
    const raised = withSettings({ max_connections: '200' });
    const done = createHealthy(raised);
    const observed = changeNode(createHealthy(before), 'node-2', () => done[1] as NodeObservation);
    expect(restarts(listRolloutSteps(observed, raised))).toEqual([
      'restart node-3 (max_connections 200)',
      'switchover node-1 node-2',
      'start node-1',
    ]);
  });

  test('an interrupted lowering continues with what is left', () => {
    const lowered = withSettings({ max_connections: '50' });
    const done = createHealthy(lowered);
    const observed = changeNode(createHealthy(before), 'node-1', () => done[0] as NodeObservation);
    expect(restarts(listRolloutSteps(observed, lowered))).toEqual([
      'restart node-2 (max_connections 50)',
      'restart node-3 (max_connections 50)',
    ]);
  });

  test('replicas follow once what ALTER SYSTEM raised on the primary', () => {
    const observed = changeNode(createHealthy(before), 'node-1', (node) =>
      alterSystem(node, { name: 'max_connections', value: '500' }),
    );
    const steps = listRolloutSteps(observed, before);
    expect(restarts(steps)).toEqual([
      'restart node-2 (max_connections 500)',
      'restart node-3 (max_connections 500)',
    ]);
    const healed = changeNode(
      createHealthy(withSettings({ max_connections: '500' })),
      'node-1',
      (node) => alterSystem(node, { name: 'max_connections', value: '500' }),
    );
    expect(listRolloutSteps(healed, before)).toEqual([]);
  });

  test('replicas follow what ALTER SYSTEM wrote for the next start of the primary before that start', () => {
    const observed = changeNode(createHealthy(before), 'node-1', (node) =>
      alterSystem(node, { name: 'max_connections', value: '500', running: '100' }),
    );
    expect(restarts(listRolloutSteps(observed, before))).toEqual([
      'restart node-2 (max_connections 500)',
      'restart node-3 (max_connections 500)',
    ]);
  });

  test('a replica that ALTER SYSTEM keeps above the others does not become the primary', () => {
    const grown = createDesired({
      ...before,
      settings: { ...before.settings, shared_buffers: '512MB' },
    });
    const observed = changeNode(createHealthy(before), 'node-2', (node) =>
      alterSystem(node, { name: 'max_connections', value: '500' }),
    );
    expect(listRolloutSteps(observed, grown)).toContain('switchover node-1 node-3');
  });

  test('a setting that ALTER SYSTEM overrides causes no endless restarts', () => {
    const observed = createHealthy(before).map((node) =>
      alterSystem(node, { name: 'shared_buffers', value: '1GB' }),
    );
    expect(listRolloutSteps(observed, before)).toEqual([]);
  });
});

describe('synchronous replication', () => {
  test('is switched on once the replicas stream, without a restart', () => {
    const desired = createDesired({ synchronousReplicas: 1 });
    const plan = rollout(createHealthy(createDesired()), desired);
    expect(plan).toMatchObject({
      steps: [
        {
          kind: 'reload',
          settings: { synchronous_standby_names: 'ANY 1 (node_1, node_2, node_3)' },
        },
      ],
    });
    const fresh = rollout([], desired);
    const steps = fresh.kind === 'steps' ? fresh.steps : [];
    expect(steps.at(-1)).toMatchObject({ kind: 'reload', nodes: ['node-1'] });
    expect(steps.find(({ kind }) => kind === 'initialise')).toMatchObject({
      settings: { synchronous_standby_names: '' },
    });
  });

  test('is switched off after the other settings were checked', () => {
    const before = createDesired({ synchronousReplicas: 1 });
    const desired = createDesired({ settings: { ...before.settings, shared_buffers: '512MB' } });
    expect(listRolloutSteps(createHealthy(before), desired).slice(0, 2)).toEqual([
      'check node-2',
      'reload node-1',
    ]);
  });

  test('does not let commits wait for a node that leaves', () => {
    const before = createDesired({ synchronousReplicas: 2 });
    const desired = createDesired({
      size: 2,
      leaving: [createNode(3)],
      synchronousReplicas: 1,
    });
    const steps = listRolloutSteps(createHealthy(before), desired);
    expect(steps.indexOf('reload node-1')).toBeLessThan(steps.indexOf('stop node-3'));
    expect(steps.indexOf('reload node-1')).toBeGreaterThanOrEqual(0);
  });
});
