import { describe, expect, test } from 'vitest';
import { buildFreshObservation } from '../observation.ts';
import { mergeSettings } from '../settings/settings.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

describe('rollout', () => {
  test('a first deploy makes node 1 the primary because no node holds data', () => {
    const desired = createDesired();
    const observed = desired.nodes.map(({ name }) => buildFreshObservation(name));
    expect(listRolloutSteps(observed)).toEqual([
      'prepare node-1 node-2 node-3',
      'initialise node-1',
      'admit node-1',
      'clone node-2 node-3',
    ]);
    // The same on the pull request, where no instance exists yet.
    expect(listRolloutSteps([])).toEqual([
      'provision node-1 node-2 node-3',
      'prepare node-1 node-2 node-3',
      'initialise node-1',
      'admit node-1',
      'clone node-2 node-3',
    ]);
  });

  test('an unmounted volume is mounted and observed before anything is initialised', () => {
    const observed = createDesired().nodes.map(({ name }) => buildFreshObservation(name));
    const covered = changeNode(observed, 'node-2', (node) => ({
      volume: { ...node.volume, filesystem: 'ext4' },
    }));
    expect(rollout(covered, createDesired())).toMatchObject({
      steps: [{ kind: 'prepare', nodes: ['node-2'] }],
      observeAgain: true,
    });
  });

  test('an unmounted volume is fenced before Docker starts if another node is the primary', () => {
    const healthy = createHealthy(createDesired());
    const fresh = buildFreshObservation('node-2');
    const covered = changeNode(healthy, 'node-2', () => ({
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
    expect(listRolloutSteps([buildFreshObservation('node-1')], desired)).toEqual([
      'prepare node-1',
      'initialise node-1',
    ]);
  });

  test('nothing is done where everything is as desired', () => {
    const desired = createDesired();
    expect(listRolloutSteps(createHealthy(desired), desired)).toEqual([]);
  });

  test('the primary is the node whose database is primary', () => {
    const desired = createDesired();
    expect(listRolloutSteps(createHealthy(desired, 'node-2'), desired)).toEqual([]);
    expect(rollout(createHealthy(desired, 'node-2'), desired)).toMatchObject({ primary: 'node-2' });
  });

  test('a third replica: only pg_hba.conf is reread elsewhere', () => {
    const desired = createDesired({ size: 4 });
    const observed = [
      ...createHealthy(createDesired({ size: 3 })),
      buildFreshObservation('node-4'),
    ];
    expect(listRolloutSteps(observed, desired)).toEqual([
      'prepare node-4',
      'admit node-1',
      'clone node-4',
      'reload node-2 node-3',
    ]);
  });

  test('an interrupted first deploy continues where it stopped', () => {
    const desired = createDesired();
    const fresh = desired.nodes.map(({ name }) => buildFreshObservation(name));
    const unfinished = changeNode(fresh, 'node-1', () => ({ data: 'unrecorded' }));
    expect(listRolloutSteps(unfinished)).toContain('initialise node-1');
    const half = changeNode(createHealthy(desired), 'node-3', () => ({
      data: 'partial',
      postgres: null,
      container: null,
      record: null,
    }));
    expect(listRolloutSteps(half)).toEqual(['clone node-3']);
  });

  test('stopped nodes are started, the primary first', () => {
    const desired = createDesired();
    let observed = createHealthy(desired);
    observed = changeNode(observed, 'node-1', stopped);
    observed = changeNode(observed, 'node-3', stopped);
    // What its replicas lack only the primary can tell, once it answers.
    expect(rollout(observed, desired)).toMatchObject({
      steps: [{ kind: 'start', nodes: ['node-1'] }],
      observeAgain: true,
    });
    const answering = changeNode(createHealthy(desired), 'node-3', stopped);
    expect(listRolloutSteps(answering)).toEqual(['start node-3']);
  });

  test('rotated passwords reach the primary first, then the passfiles of its replicas', () => {
    const observed = createHealthy(createDesired()).map((node) => ({
      ...node,
      postgres: node.postgres && { ...node.postgres, passwordsCurrent: false },
    }));
    expect(listRolloutSteps(observed)).toEqual(['admit node-1', 'reload node-2 node-3']);
  });

  test('a replica whose slot lost its WAL is cloned again', () => {
    const observed = changeNode(createHealthy(createDesired()), 'node-1', (node) => ({
      postgres: node.postgres && {
        ...node.postgres,
        slots: node.postgres.slots.map((slot) =>
          slot.name === 'node_3' ? { ...slot, active: false, walStatus: 'lost' } : slot,
        ),
      },
    }));
    expect(listRolloutSteps(observed)).toEqual(['admit node-1', 'clone node-3']);
  });

  test('the next run accepts what admitting wrote', () => {
    const desired = createDesired();
    const observed = createHealthy(desired).map((node) => ({
      ...node,
      postgres: node.postgres && { ...node.postgres, passwordsCurrent: false },
    }));
    const plan = rollout(observed, desired);
    const admit =
      plan.kind === 'steps' ? plan.steps.find(({ kind }) => kind === 'admit') : undefined;
    expect(admit).toHaveProperty('settings', mergeSettings(desired.settings, desired.storage));
  });

  test('the slot of a removed node is dropped, and the slot of another tool is not', () => {
    const desired = createDesired({ size: 2 });
    const observed = changeNode(createHealthy(desired), 'node-1', (node) => ({
      postgres: node.postgres && {
        ...node.postgres,
        slots: [
          ...node.postgres.slots,
          { name: 'node_3', active: false, walStatus: 'reserved', retainedBytes: 0 },
          { name: 'debezium', active: false, walStatus: 'reserved', retainedBytes: 0 },
        ],
      },
    }));
    expect(rollout(observed, desired)).toMatchObject({
      steps: [{ kind: 'admit', slots: ['node_2'], retiredSlots: ['node_3'] }],
    });
  });
});
