import { describe, expect, test } from 'vitest';
import { buildFreshObservation, type NodeObservation } from '../observation.ts';
import { createDesired, createHealthy, createNode } from '../testing/fixtures.ts';
import {
  changeNode,
  listRefusals,
  listRolloutSteps,
  stopped,
} from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

describe('another image', () => {
  const before = createDesired();

  test('reaches a node that is cloned in the same run, before the primary', () => {
    const desired = createDesired({ size: 4, image: 'postgres:17.6' });
    const observed = [...createHealthy(before), buildFreshObservation('node-4')];
    const steps = listRolloutSteps(observed, desired).map((step) => step.split(' (')[0]);
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

  test('is checked on a node that does not run it yet, also after an interruption', () => {
    const image = 'postgres:17.6';
    const observed = changeNode(createHealthy(before), 'node-2', ({ record }) => ({
      record: record && { ...record, image },
    }));
    expect(listRolloutSteps(observed, createDesired({ image }))[0]).toBe('check node-3');
  });
});

describe('containers that an earlier version created', () => {
  const desired = createDesired();
  const observed = createHealthy(desired).map((node) => ({
    ...node,
    container: { state: 'running', current: false },
  }));

  test('are re-created: a check first, replicas one by one, the primary last', () => {
    expect(listRolloutSteps(observed, desired)).toEqual([
      'check node-2',
      'restart node-2 (max_connections 100)',
      'restart node-3 (max_connections 100)',
      'switchover node-1 node-2',
      'reload node-3',
      // It is down, and starts in a current container.
      'start node-1',
    ]);
  });
});

describe('another instance type', () => {
  const desired = createDesired({ instanceType: 't3.large', memoryMib: 8192 });
  const observed = createHealthy(desired);

  test('is rolled out to replicas one by one, then to the primary after a switchover', () => {
    expect(listRolloutSteps(observed, desired)).toEqual([
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

  test('is followed by a switchover back to the wanted primary', () => {
    const steps = listRolloutSteps(observed, { ...desired, primary: 'node-1' });
    expect(steps.filter((step) => step.startsWith('switchover'))).toEqual([
      'switchover node-1 node-2',
      'switchover node-2 node-1',
    ]);
  });

  test('new settings come after more memory and before less', () => {
    const settings = { ...desired.settings, shared_buffers: '1GB' };
    const grown = listRolloutSteps(observed, { ...desired, settings });
    expect(grown.indexOf('start node-2')).toBeGreaterThan(grown.indexOf('resize node-2'));
    const small = createDesired({ instanceType: 't3.small', memoryMib: 2048, settings });
    const shrunk = listRolloutSteps(createHealthy(createDesired()), small).map(
      (step) => step.split(' (')[0],
    );
    expect(shrunk.indexOf('restart node-2')).toBeLessThan(shrunk.indexOf('resize node-2'));
  });

  test('settings that need more memory are not checked on a node with less', () => {
    const settings = {
      ...desired.settings,
      shared_buffers: '4GB',
    };
    const result = rollout(observed, { ...desired, settings });
    const check =
      result.kind === 'steps' ? result.steps.find(({ kind }) => kind === 'check') : null;
    const running = observed[1]?.postgres?.settings.shared_buffers?.setting;
    expect(check).toMatchObject({
      settings: { shared_buffers: running },
    });
  });

  test('does not stop a primary that does not answer', () => {
    const silent = changeNode(observed, 'node-1', () => ({ postgres: null }));
    expect(listRolloutSteps(silent, desired)[0]).toBe('start node-1');
  });

  test('stops the primary where there is no replica', () => {
    const alone = createDesired({ size: 1, instanceType: 't3.large', memoryMib: 8192 });
    expect(listRolloutSteps(createHealthy(alone), alone)).toEqual([
      'stop node-1',
      'resize node-1',
      'start node-1',
    ]);
  });
});

describe('fewer replicas', () => {
  const desired = createDesired({ size: 2, leaving: [createNode(3)] });

  test('the leaving node is stopped, its slot is dropped, then it is destroyed', () => {
    expect(listRolloutSteps(createHealthy(desired), desired)).toEqual([
      'stop node-3',
      'admit node-1',
      'destroy node-3',
    ]);
  });

  test('another node takes over first if the primary leaves', () => {
    const steps = listRolloutSteps(createHealthy(desired, 'node-3'), desired);
    expect(steps.indexOf('switchover node-3 node-1')).toBeGreaterThanOrEqual(0);
    expect(steps.indexOf('destroy node-3')).toBe(steps.length - 1);
  });
});

describe('the primary', () => {
  test('moves to the wanted node', () => {
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

  test('stays where it is if an interrupted switchover fenced it and it still runs', () => {
    const desired = createDesired();
    const observed = changeNode(createHealthy(desired), 'node-1', () => ({ standby: true }));
    expect(listRolloutSteps(observed)).toEqual(['reload node-1']);
  });

  test('is the most advanced node after an interrupted switchover, if all nodes answer', () => {
    const desired = createDesired();
    const observed = changeNode(createHealthy(desired), 'node-1', (node) => ({
      ...stopped(node),
      standby: true,
      files: (createHealthy(desired, 'node-2')[0] as NodeObservation).files,
    }));
    const ahead = changeNode(observed, 'node-3', (node) => ({
      postgres: node.postgres && { ...node.postgres, lsn: '0/4000000' },
    }));
    expect(rollout(ahead, desired)).toMatchObject({
      steps: [{ kind: 'promote', nodes: ['node-3'] }],
      observeAgain: true,
    });
    // It hangs, and may still accept writes.
    const running = { state: 'running', current: true };
    const hanging = changeNode(ahead, 'node-1', () => ({ container: running }));
    expect(rollout(hanging, desired)).toMatchObject({
      steps: [
        { kind: 'fence', nodes: ['node-1'] },
        { kind: 'promote', nodes: ['node-3'] },
      ],
      observeAgain: true,
    });
  });
});

describe('a node whose instance is stopped in EC2', () => {
  const desired = createDesired({ instanceType: 't3.large', stopped: ['node-2'] });
  const healthy = createHealthy(createDesired());
  const without = (name: string) => healthy.filter((node) => node.name !== name);

  test('is started before anything else is done', () => {
    const boot = {
      kind: 'boot',
      nodes: ['node-2'],
      instanceType: 't3.large',
      reasons: { 'node-2': [{ kind: 'instance-stopped' }] },
    };
    expect(rollout(without('node-2'), desired)).toEqual({
      kind: 'steps',
      primary: 'node-1',
      steps: [boot],
      observeAgain: true,
    });
  });

  test('is started even if it may be the primary, or if nothing runs', () => {
    const primary = createDesired({ stopped: ['node-1'] });
    const all = createDesired({ stopped: ['node-1', 'node-2', 'node-3'] });
    expect(rollout(without('node-1'), primary)).toMatchObject({
      steps: [{ kind: 'boot', nodes: ['node-1'] }],
      observeAgain: true,
    });
    expect(rollout([], all)).toMatchObject({ steps: [{ kind: 'boot', nodes: all.stopped }] });
  });

  test('is started after new nodes are created', () => {
    const four = createDesired({ size: 4, stopped: ['node-2'] });
    expect(rollout(without('node-2'), four)).toMatchObject({
      steps: [
        { kind: 'provision', nodes: ['node-4'] },
        { kind: 'boot', nodes: ['node-2'] },
      ],
    });
  });

  test('does not hide refusals', () => {
    const foreign = createDesired({ image: 'postgres:16', stopped: ['node-2'] });
    expect(listRefusals(rollout(without('node-2'), foreign))).toEqual([
      expect.stringMatching(/PostgreSQL 16/),
    ]);
  });
});
