import { describe, expect, test } from 'vitest';
import { alterSystem, createDesired, createHealthy, createNode } from './fixtures.ts';
import { describeFreshNode, type NodeObservation } from './observation.ts';
import { rollout } from './rollout.ts';
import { bend, planSteps, stopped } from './rollout-fixtures.ts';
import { mergeSettings } from './settings.ts';

describe('rollout', () => {
  test('a first deploy makes node 1 the primary because no node holds data', () => {
    const desired = createDesired();
    const observed = desired.nodes.map(({ name }) => describeFreshNode(name));
    expect(planSteps(observed)).toEqual([
      'prepare node-1 node-2 node-3',
      'initialise node-1',
      'admit node-1',
      'clone node-2 node-3',
    ]);
    // The same on the pull request, where no instance stands yet.
    expect(planSteps([])).toEqual([
      'provision node-1 node-2 node-3',
      'prepare node-1 node-2 node-3',
      'initialise node-1',
      'admit node-1',
      'clone node-2 node-3',
    ]);
  });

  test('a volume that is not mounted is looked into before anything is initialised', () => {
    const observed = createDesired().nodes.map(({ name }) => describeFreshNode(name));
    const covered = bend(observed, 'node-2', (node) => ({
      volume: { ...node.volume, filesystem: 'ext4' },
    }));
    expect(rollout(covered, createDesired())).toMatchObject({
      steps: [{ kind: 'prepare', nodes: ['node-2'] }],
      observeAgain: true,
    });
  });

  test('beside a primary it is fenced before its Docker starts', () => {
    const healthy = createHealthy(createDesired());
    const fresh = describeFreshNode('node-2');
    const covered = bend(healthy, 'node-2', () => ({
      ...fresh,
      volume: { ...fresh.volume, filesystem: 'ext4' },
    }));
    expect(rollout(covered, createDesired())).toMatchObject({
      steps: [{ kind: 'prepare', nodes: ['node-2'], fenced: true }],
      observeAgain: true,
    });
  });

  test('a cluster of one needs no replica', () => {
    const desired = createDesired({ size: 1 });
    expect(planSteps([describeFreshNode('node-1')], desired)).toEqual([
      'prepare node-1',
      'initialise node-1',
    ]);
  });

  test('where everything is as desired nothing is done', () => {
    const desired = createDesired();
    expect(planSteps(createHealthy(desired), desired)).toEqual([]);
  });

  test('the primary is found, not assumed', () => {
    const desired = createDesired();
    expect(planSteps(createHealthy(desired, 'node-2'), desired)).toEqual([]);
    expect(rollout(createHealthy(desired, 'node-2'), desired)).toMatchObject({ primary: 'node-2' });
  });

  test('a third replica: only pg_hba.conf is reread elsewhere', () => {
    const desired = createDesired({ size: 4 });
    const observed = [...createHealthy(createDesired({ size: 3 })), describeFreshNode('node-4')];
    expect(planSteps(observed, desired)).toEqual([
      'prepare node-4',
      'admit node-1',
      'clone node-4',
      'reload node-2 node-3',
    ]);
  });

  test('an interrupted first deploy goes on where it stopped', () => {
    const desired = createDesired();
    const fresh = desired.nodes.map(({ name }) => describeFreshNode(name));
    const unfinished = bend(fresh, 'node-1', () => ({ data: 'unrecorded' }));
    expect(planSteps(unfinished)).toContain('initialise node-1');
    const half = bend(createHealthy(desired), 'node-3', () => ({
      data: 'partial',
      postgres: null,
      container: null,
      record: null,
    }));
    expect(planSteps(half)).toEqual(['clone node-3']);
  });

  test('stopped nodes are started, the primary first', () => {
    const desired = createDesired();
    let observed = createHealthy(desired);
    observed = bend(observed, 'node-1', stopped);
    observed = bend(observed, 'node-3', stopped);
    // What its replicas lack only the primary can tell, once it answers.
    expect(rollout(observed, desired)).toMatchObject({
      steps: [{ kind: 'start', nodes: ['node-1'] }],
      observeAgain: true,
    });
    const answering = bend(createHealthy(desired), 'node-3', stopped);
    expect(planSteps(answering)).toEqual(['start node-3']);
  });

  test('rotated passwords reach the primary first, then the passfiles of its replicas', () => {
    const observed = createHealthy(createDesired()).map((node) => ({
      ...node,
      postgres: node.postgres && { ...node.postgres, passwordsCurrent: false },
    }));
    expect(planSteps(observed)).toEqual(['admit node-1', 'reload node-2 node-3']);
  });

  test('a replica whose slot lost its WAL is cloned again', () => {
    const observed = bend(createHealthy(createDesired()), 'node-1', (node) => ({
      postgres: node.postgres && {
        ...node.postgres,
        slots: node.postgres.slots.map((slot) =>
          slot.name === 'node_3' ? { ...slot, active: false, walStatus: 'lost' } : slot,
        ),
      },
    }));
    expect(planSteps(observed)).toEqual(['admit node-1', 'clone node-3']);
  });

  test('what admitting wrote is what the next run expects', () => {
    const desired = createDesired();
    const observed = createHealthy(desired).map((node) => ({
      ...node,
      postgres: node.postgres && { ...node.postgres, passwordsCurrent: false },
    }));
    const plan = rollout(observed, desired);
    const admit = 'steps' in plan ? plan.steps.find(({ kind }) => kind === 'admit') : undefined;
    expect(admit).toHaveProperty('settings', mergeSettings(desired.settings));
  });

  test('the slot of a node that is gone is retired, a foreign one is left alone', () => {
    const desired = createDesired({ size: 2 });
    const observed = bend(createHealthy(desired), 'node-1', (node) => ({
      postgres: node.postgres && {
        ...node.postgres,
        slots: [
          ...node.postgres.slots,
          { name: 'node_3', active: false, walStatus: 'reserved' },
          { name: 'debezium', active: false, walStatus: 'reserved' },
        ],
      },
    }));
    expect(rollout(observed, desired)).toMatchObject({
      steps: [{ kind: 'admit', slots: ['node_2'], retiredSlots: ['node_3'] }],
    });
  });

  describe('settings that need a restart', () => {
    const before = createDesired();
    const withSettings = (settings: Record<string, string>) =>
      createDesired({ settings: { ...before.settings, ...settings } });

    const restarts = (steps: readonly string[]) =>
      steps.filter((step) => /^(restart|switchover|start)/.test(step));

    test('an ordinary one: replicas one by one, then one of them takes over', () => {
      const steps = planSteps(createHealthy(before), withSettings({ shared_buffers: '512MB' }));
      expect(steps.map((step) => step.split(' (')[0])).toEqual([
        'check node-2',
        'restart node-2',
        'restart node-3',
        'switchover node-1 node-2',
        'reload node-3',
        'start node-1',
      ]);
    });

    test('nodes that were looked at one after the other while writes went on need no clone', () => {
      const at = (lsn: string) => (node: NodeObservation) => ({
        postgres: node.postgres && { ...node.postgres, lsn },
      });
      const observed = [
        ['node-1', '0/3000100'],
        ['node-2', '0/3000080'],
        ['node-3', '0/3000200'],
      ].reduce(
        (nodes, [name, lsn]) => bend(nodes, name as string, at(lsn as string)),
        createHealthy(before),
      );
      const steps = planSteps(observed, withSettings({ shared_buffers: '512MB' }));
      expect(restarts(steps).slice(-2)).toEqual(['switchover node-1 node-2', 'start node-1']);
    });

    test('two switchovers in a row need no clone', () => {
      const desired = createDesired({
        primary: 'node-1',
        instanceType: 't3.large',
        memoryMib: 8192,
      });
      const steps = planSteps(createHealthy(createDesired()), desired);
      expect(steps.filter((step) => step.startsWith('switchover'))).toHaveLength(2);
      expect(steps.filter((step) => step.startsWith('clone'))).toEqual([]);
    });

    test('raising max_connections: replicas first', () => {
      const steps = planSteps(createHealthy(before), withSettings({ max_connections: '200' }));
      expect(restarts(steps)).toEqual([
        'restart node-2 (max_connections 200)',
        'restart node-3 (max_connections 200)',
        'switchover node-1 node-2',
        'start node-1',
      ]);
    });

    test('lowering max_connections: primary first, where nobody can stand in for it', () => {
      const steps = planSteps(createHealthy(before), withSettings({ max_connections: '50' }));
      expect(restarts(steps)).toEqual([
        'restart node-1 (max_connections 50)',
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('one up, one down: the replicas take two rounds', () => {
      const mixed = withSettings({ max_connections: '50', max_worker_processes: '16' });
      expect(restarts(planSteps(createHealthy(before), mixed))).toEqual([
        'restart node-2 (max_connections 100)',
        'restart node-3 (max_connections 100)',
        'restart node-1 (max_connections 50)',
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('a setting that is no longer asked for goes back to its default', () => {
      const raised = withSettings({ max_worker_processes: '16' });
      expect(restarts(planSteps(createHealthy(raised), before))).toEqual([
        'restart node-1 (max_connections 100)',
        'restart node-2 (max_connections 100)',
        'restart node-3 (max_connections 100)',
      ]);
      const reloaded = withSettings({ work_mem: '64MB' });
      expect(planSteps(createHealthy(reloaded), before)).toEqual(['reload node-1 node-2 node-3']);
    });

    test('a primary that shall stay where it is restarts in its place', () => {
      const pinned = {
        ...withSettings({ shared_buffers: '512MB' }),
        primary: 'node-1',
      };
      const steps = planSteps(createHealthy(before), pinned);
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
      const observed = bend(createHealthy(before), 'node-2', () => done[1] as NodeObservation);
      expect(restarts(planSteps(observed, raised))).toEqual([
        'restart node-3 (max_connections 200)',
        'switchover node-1 node-2',
        'start node-1',
      ]);
    });

    test('an interrupted lowering continues with what is left', () => {
      const lowered = withSettings({ max_connections: '50' });
      const done = createHealthy(lowered);
      const observed = bend(createHealthy(before), 'node-1', () => done[0] as NodeObservation);
      expect(restarts(planSteps(observed, lowered))).toEqual([
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('what ALTER SYSTEM raises on the primary the replicas follow once, not for ever', () => {
      const observed = bend(createHealthy(before), 'node-1', (node) =>
        alterSystem(node, { name: 'max_connections', value: '500' }),
      );
      const steps = planSteps(observed, before);
      expect(restarts(steps)).toEqual([
        'restart node-2 (max_connections 500)',
        'restart node-3 (max_connections 500)',
      ]);
      const healed = bend(
        createHealthy(withSettings({ max_connections: '500' })),
        'node-1',
        (node) => alterSystem(node, { name: 'max_connections', value: '500' }),
      );
      expect(planSteps(healed, before)).toEqual([]);
    });

    test('and what it wrote for the next start of the primary they follow before that', () => {
      const observed = bend(createHealthy(before), 'node-1', (node) =>
        alterSystem(node, { name: 'max_connections', value: '500', running: '100' }),
      );
      expect(restarts(planSteps(observed, before))).toEqual([
        'restart node-2 (max_connections 500)',
        'restart node-3 (max_connections 500)',
      ]);
    });

    test('a replica that ALTER SYSTEM holds above the others does not become the primary', () => {
      const grown = createDesired({
        ...before,
        settings: { ...before.settings, shared_buffers: '512MB' },
      });
      const observed = bend(createHealthy(before), 'node-2', (node) =>
        alterSystem(node, { name: 'max_connections', value: '500' }),
      );
      expect(planSteps(observed, grown)).toContain('switchover node-1 node-3');
    });

    test('what ALTER SYSTEM overrides is not restarted for ever', () => {
      const observed = createHealthy(before).map((node) =>
        alterSystem(node, { name: 'shared_buffers', value: '1GB' }),
      );
      expect(planSteps(observed, before)).toEqual([]);
    });
  });

  describe('another image', () => {
    const before = createDesired();

    test('reaches a node that is cloned in the same run, before the primary', () => {
      const desired = createDesired({ size: 4, image: 'postgres:17.6' });
      const observed = [...createHealthy(before), describeFreshNode('node-4')];
      const steps = planSteps(observed, desired).map((step) => step.split(' (')[0]);
      expect(steps.slice(steps.indexOf('restart node-2'))).toEqual([
        'restart node-2',
        'restart node-3',
        'restart node-4',
        'switchover node-1 node-2',
        'reload node-3 node-4',
        // It comes back with the new image at once.
        'restart node-1',
      ]);
    });
  });

  describe('another instance type', () => {
    const desired = createDesired({ instanceType: 't3.large', memoryMib: 8192 });
    const observed = createHealthy(desired);

    test('is rolled: replicas one by one, the primary last, after a switchover', () => {
      expect(planSteps(observed, desired)).toEqual([
        'stop node-2',
        'resize node-2',
        'start node-2',
        'stop node-3',
        'resize node-3',
        'start node-3',
        'switchover node-1 node-2',
        'reload node-3',
        'resize node-1',
        'start node-1',
      ]);
    });

    test('a primary that shall stay is switched back to', () => {
      const steps = planSteps(observed, { ...desired, primary: 'node-1' });
      expect(steps.filter((step) => step.startsWith('switchover'))).toEqual([
        'switchover node-1 node-2',
        'switchover node-2 node-1',
      ]);
    });

    test('new settings come after more memory and before less', () => {
      const settings = { ...desired.settings, shared_buffers: '1GB' };
      const grown = planSteps(observed, { ...desired, settings });
      expect(grown.indexOf('start node-2')).toBeGreaterThan(grown.indexOf('resize node-2'));
      const small = createDesired({ instanceType: 't3.small', memoryMib: 2048, settings });
      const shrunk = planSteps(createHealthy(createDesired()), small).map(
        (step) => step.split(' (')[0],
      );
      expect(shrunk.indexOf('restart node-2')).toBeLessThan(shrunk.indexOf('resize node-2'));
    });

    test('what needs more memory is not tried where there is less', () => {
      const settings = {
        ...desired.settings,
        shared_buffers: '4GB',
      };
      const result = rollout(observed, { ...desired, settings });
      const check = 'steps' in result ? result.steps.find(({ kind }) => kind === 'check') : null;
      const running = observed[1]?.postgres?.settings.shared_buffers?.setting;
      expect(check).toMatchObject({
        settings: { shared_buffers: running },
      });
    });

    test('a primary that only does not answer is not stopped for it', () => {
      const silent = bend(observed, 'node-1', () => ({ postgres: null }));
      expect(planSteps(silent, desired)[0]).toBe('start node-1');
    });

    test('without a replica the primary stops for it', () => {
      const alone = createDesired({ size: 1, instanceType: 't3.large', memoryMib: 8192 });
      expect(planSteps(createHealthy(alone), alone)).toEqual([
        'stop node-1',
        'resize node-1',
        'start node-1',
      ]);
    });
  });

  describe('fewer replicas', () => {
    const desired = createDesired({ size: 2, leaving: [createNode(3)] });

    test('the one that leaves is stopped, its slot dropped, then it is destroyed', () => {
      expect(planSteps(createHealthy(desired), desired)).toEqual([
        'stop node-3',
        'admit node-1',
        'destroy node-3',
      ]);
    });

    test('the primary is never the one: another node takes over first', () => {
      const steps = planSteps(createHealthy(desired, 'node-3'), desired);
      expect(steps.indexOf('switchover node-3 node-1')).toBeGreaterThanOrEqual(0);
      expect(steps.indexOf('destroy node-3')).toBe(steps.length - 1);
    });
  });

  describe('the primary', () => {
    test('moves where it is asked to', () => {
      const desired = createDesired({ primary: 'node-3' });
      const plan = rollout(createHealthy(desired), desired);
      expect(plan).toMatchObject({
        primary: 'node-3',
        steps: [
          { kind: 'switchover', nodes: ['node-1', 'node-3'], slots: ['node_1', 'node_2'] },
          { kind: 'reload', nodes: ['node-2'] },
          { kind: 'start', nodes: ['node-1'] },
        ],
      });
    });

    test('that was fenced by an interrupted switchover and still runs stays the primary', () => {
      const desired = createDesired();
      const observed = bend(createHealthy(desired), 'node-1', () => ({ standby: true }));
      expect(planSteps(observed)).toEqual(['reload node-1']);
    });

    test('of a switchover that stopped in between: the most advanced node, as all are there', () => {
      const desired = createDesired();
      const observed = bend(createHealthy(desired), 'node-1', (node) => ({
        ...stopped(node),
        standby: true,
        files: (createHealthy(desired, 'node-2')[0] as NodeObservation).files,
      }));
      const ahead = bend(observed, 'node-3', (node) => ({
        postgres: node.postgres && { ...node.postgres, lsn: '0/4000000' },
      }));
      expect(rollout(ahead, desired)).toMatchObject({
        steps: [{ kind: 'promote', nodes: ['node-3'] }],
        observeAgain: true,
      });
    });
  });

  describe('synchronous replication', () => {
    test('is switched on when the replicas stream, and without a restart', () => {
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
      const steps = 'steps' in fresh ? fresh.steps : [];
      expect(steps.at(-1)).toMatchObject({ kind: 'reload', nodes: ['node-1'] });
      expect(steps.find(({ kind }) => kind === 'initialise')).toMatchObject({
        settings: { synchronous_standby_names: '' },
      });
    });

    test('is switched off after the other settings were tried', () => {
      const before = createDesired({ synchronousReplicas: 1 });
      const desired = createDesired({ settings: { ...before.settings, shared_buffers: '512MB' } });
      expect(planSteps(createHealthy(before), desired).slice(0, 2)).toEqual([
        'check node-2',
        'reload node-1',
      ]);
    });

    test('no commit waits for a node that is about to go', () => {
      const before = createDesired({ synchronousReplicas: 2 });
      const desired = createDesired({
        size: 2,
        leaving: [createNode(3)],
        synchronousReplicas: 1,
      });
      const steps = planSteps(createHealthy(before), desired);
      expect(steps.indexOf('reload node-1')).toBeLessThan(steps.indexOf('stop node-3'));
      expect(steps.indexOf('reload node-1')).toBeGreaterThanOrEqual(0);
    });
  });
});
