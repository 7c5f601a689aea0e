import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy, createSettingsInForce } from './fixtures.ts';
import { describeFreshNode, type NodeObservation } from './observation.ts';
import { rollout, type Step } from './rollout.ts';
import { mergeSettings } from './settings.ts';

/** `prepare node-1 node-2`, `restart node-3 (max_connections 200)`. */
function describeSteps(steps: readonly Step[]): string[] {
  return steps.map((step) => {
    const connections =
      step.kind === 'restart' ? ` (max_connections ${step.settings.max_connections})` : '';
    return `${step.kind} ${step.nodes.join(' ')}${connections}`;
  });
}

function planSteps(observed: readonly NodeObservation[], desired = createDesired()): string[] {
  const result = rollout(observed, desired);
  if (!('steps' in result)) throw new Error(result.refusals.join('\n'));
  return describeSteps(result.steps);
}

function bend(
  observed: readonly NodeObservation[],
  name: string,
  change: (node: NodeObservation) => Partial<NodeObservation>,
): NodeObservation[] {
  return observed.map((node) => (node.name === name ? { ...node, ...change(node) } : node));
}

const stopped = (node: NodeObservation): Partial<NodeObservation> => ({
  postgres: null,
  container: node.container && { ...node.container, state: 'exited' },
});

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

  test('a cluster of one needs no replica', () => {
    const desired = createDesired({ size: 1 });
    expect(planSteps([describeFreshNode('node-1')], desired)).toEqual([
      'prepare node-1',
      'initialise node-1',
      'admit node-1',
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
    expect(planSteps(half)).toEqual(['prepare node-3', 'clone node-3']);
  });

  test('stopped nodes are started, the primary first', () => {
    const desired = createDesired();
    let observed = createHealthy(desired);
    observed = bend(observed, 'node-1', stopped);
    observed = bend(observed, 'node-3', stopped);
    expect(planSteps(observed)).toEqual(['start node-1', 'admit node-1', 'start node-3']);
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
    const others = { setting: '8', unit: null, context: 'postmaster', overridden: false };
    const observed = createHealthy(desired).map((node) => ({
      ...node,
      postgres: node.postgres && {
        ...node.postgres,
        passwordsCurrent: false,
        settings: { ...node.postgres.settings, max_worker_processes: others },
      },
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

    test('an ordinary one: replicas one by one, then the primary', () => {
      const steps = planSteps(createHealthy(before), withSettings({ shared_buffers: '512MB' }));
      expect(steps.map((step) => step.split(' (')[0])).toEqual([
        'restart node-2',
        'restart node-3',
        'restart node-1',
      ]);
    });

    test('raising max_connections: replicas first', () => {
      expect(planSteps(createHealthy(before), withSettings({ max_connections: '200' }))).toEqual([
        'restart node-2 (max_connections 200)',
        'restart node-3 (max_connections 200)',
        'restart node-1 (max_connections 200)',
      ]);
    });

    test('lowering max_connections: primary first', () => {
      expect(planSteps(createHealthy(before), withSettings({ max_connections: '50' }))).toEqual([
        'restart node-1 (max_connections 50)',
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('one up, one down: the replicas take two rounds', () => {
      const mixed = withSettings({ max_connections: '50', max_worker_processes: '16' });
      const observed = createHealthy({
        ...before,
        settings: { ...before.settings, max_worker_processes: '8' },
      }).map((node) => ({
        ...node,
        postgres: node.postgres && {
          ...node.postgres,
          settings: {
            ...node.postgres.settings,
            max_worker_processes: {
              setting: '8',
              unit: null,
              context: 'postmaster',
              overridden: false,
            },
          },
        },
      }));
      expect(planSteps(observed, mixed)).toEqual([
        'restart node-2 (max_connections 100)',
        'restart node-3 (max_connections 100)',
        'restart node-1 (max_connections 50)',
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('an interrupted raise continues with what is left', () => {
      const raised = withSettings({ max_connections: '200' });
      const done = createHealthy(raised);
      const observed = bend(createHealthy(before), 'node-2', () => done[1] as NodeObservation);
      expect(planSteps(observed, raised)).toEqual([
        'restart node-3 (max_connections 200)',
        'restart node-1 (max_connections 200)',
      ]);
    });

    test('an interrupted lowering continues with what is left', () => {
      const lowered = withSettings({ max_connections: '50' });
      const done = createHealthy(lowered);
      const observed = bend(createHealthy(before), 'node-1', () => done[0] as NodeObservation);
      expect(planSteps(observed, lowered)).toEqual([
        'restart node-2 (max_connections 50)',
        'restart node-3 (max_connections 50)',
      ]);
    });

    test('what ALTER SYSTEM raises on the primary the replicas follow once, not for ever', () => {
      const overridden = {
        setting: '500',
        unit: null,
        context: 'postmaster',
        overridden: true,
      };
      const observed = bend(createHealthy(before), 'node-1', (node) => ({
        postgres: node.postgres && {
          ...node.postgres,
          settings: { ...node.postgres.settings, max_connections: overridden },
        },
      }));
      expect(planSteps(observed, before)).toEqual([
        'restart node-2 (max_connections 500)',
        'restart node-3 (max_connections 500)',
        'reload node-1',
      ]);
    });

    test('a new image reaches a node that is cloned in the same run, before the primary', () => {
      const desired = createDesired({ size: 4, image: 'postgres:17.6' });
      const observed = [...createHealthy(before), describeFreshNode('node-4')];
      const restarts = planSteps(observed, desired).filter((step) => step.startsWith('restart'));
      expect(restarts.map((step) => step.split(' (')[0])).toEqual([
        'restart node-2',
        'restart node-3',
        'restart node-4',
        'restart node-1',
      ]);
    });

    test('what ALTER SYSTEM overrides is not restarted for ever', () => {
      const observed = createHealthy(before).map((node) => ({
        ...node,
        postgres: node.postgres && {
          ...node.postgres,
          settings: {
            ...createSettingsInForce(before.settings),
            shared_buffers: {
              setting: '1GB',
              unit: null,
              context: 'postmaster',
              overridden: true,
            },
          },
        },
      }));
      expect(planSteps(observed, before)).toEqual([]);
    });
  });

  describe('refuses, touching nothing, when', () => {
    const desired = createDesired();
    const healthy = createHealthy(desired);
    const postgresOf = (node: NodeObservation) => {
      if (!node.postgres) throw new Error('stopped');
      return node.postgres;
    };
    test.each<[string, NodeObservation[], RegExp]>([
      [
        'two nodes are primary',
        bend(healthy, 'node-2', (node) => ({
          postgres: { ...postgresOf(node), inRecovery: false },
          standby: false,
        })),
        /node-1 and node-2 are both primary/,
      ],
      [
        'a stopped node would be a second primary',
        bend(healthy, 'node-2', (node) => ({ ...stopped(node), standby: false })),
        /node-1 is primary, and node-2, which does not answer, holds a primary's data/,
      ],
      [
        'two stopped nodes hold a primary',
        bend(
          bend(bend(healthy, 'node-1', stopped), 'node-2', (node) => ({
            ...stopped(node),
            standby: false,
          })),
          'node-3',
          stopped,
        ),
        /node-1 and node-2 each hold the data of a primary/,
      ],
      [
        'only replicas are left',
        bend(healthy, 'node-1', () => ({ ...describeFreshNode('node-1') })),
        /No node is primary/,
      ],
      [
        'a node belongs to another cluster',
        bend(healthy, 'node-3', (node) => ({
          postgres: { ...postgresOf(node), systemIdentifier: '1' },
        })),
        /different database clusters .*node-3 1/,
      ],
      [
        'a replica was promoted once',
        bend(healthy, 'node-3', (node) => ({ postgres: { ...postgresOf(node), timeline: 2 } })),
        /node-3 is on timeline 2, ahead of the primary's 1/,
      ],
    ])('%s', (_, observed, reason) => {
      const result = rollout(observed, desired);
      expect(result.refusals.join('\n')).toMatch(reason);
      expect(result).not.toHaveProperty('steps');
    });

    test('but not because of a record whose data was moved aside', () => {
      const other = createHealthy(desired)[2]?.record;
      const observed = bend(healthy, 'node-3', () => ({
        ...describeFreshNode('node-3'),
        record: other ? { ...other, systemIdentifier: '1', major: 15 } : null,
      }));
      expect(planSteps(observed)).toEqual(['prepare node-3', 'clone node-3']);
    });

    test('the major version changes', () => {
      const result = rollout(healthy, createDesired({ image: 'postgres:18' }));
      expect(result.refusals).toEqual([
        expect.stringMatching(/asks for PostgreSQL 18.*is PostgreSQL 17/),
      ]);
    });
  });
});
