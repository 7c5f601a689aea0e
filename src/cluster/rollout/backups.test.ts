import { describe, expect, test } from 'vitest';
import type { BackupRecord, NodeObservation } from '../observation.ts';
import { createArchiving, createWithBackup, FULL } from '../testing/backup-fixtures.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const without = createDesired({ allowsBackupLoss: true });
const desired = createWithBackup();

describe('backups begin', () => {
  test('without a restart: programs, archive from the primary on, and a full backup last', () => {
    expect(listRolloutSteps(createHealthy(without), desired)).toEqual([
      'prepare node-1 node-2 node-3',
      'archive node-1 node-2 node-3',
      'backup node-1',
    ]);
  });

  test('with reasons', () => {
    const result = rollout(createHealthy(without), desired);
    const steps = result.kind === 'steps' ? result.steps : [];
    const reasons = steps.map((step) => step.reasons?.['node-1']);
    expect(reasons).toEqual([
      [{ kind: 'host', parts: ['backup-tools'] }],
      [{ kind: 'archive', change: 'begins' }],
      [{ kind: 'no-backup' }],
    ]);
    expect(steps[0]).toHaveProperty('tools', 'install');
    expect(steps[2]).toHaveProperty('type', 'full');
  });

  test('on whichever node is the primary', () => {
    expect(listRolloutSteps(createHealthy(without, 'node-2'), desired).slice(1)).toEqual([
      'archive node-2 node-1 node-3',
      'backup node-2',
    ]);
  });

  test('in a new cluster', () => {
    expect(listRolloutSteps([], createWithBackup({}, { size: 2 }))).toEqual([
      'provision node-1 node-2',
      'prepare node-1 node-2',
      'initialise node-1',
      'admit node-1',
      'clone node-2',
      'archive node-1 node-2',
      'backup node-1',
    ]);
  });

  test('after the restarts that they need', () => {
    const old = createHealthy(without).map((node) => ({
      ...node,
      container: { state: 'running', current: false },
    }));
    const steps = listRolloutSteps(old, desired);
    expect(steps.filter((step) => /^(restart|switchover)/.test(step))).toHaveLength(3);
    expect(steps.slice(-2)).toEqual(['archive node-2 node-1 node-3', 'backup node-2']);
  });

  test('before nodes that leave are removed, which takes long', () => {
    const smaller = createWithBackup({}, { size: 2 });
    const leaving = { ...smaller, leaving: without.nodes.slice(2) };
    expect(listRolloutSteps(createHealthy(without), leaving).slice(-3)).toEqual([
      'archive node-1 node-2',
      'destroy node-3',
      'backup node-1',
    ]);
  });

  test('and an interrupted beginning goes on', () => {
    const archiving = createArchiving(desired, { repository: { backups: [] } });
    expect(listRolloutSteps(archiving, desired)).toEqual(['backup node-1']);
    const half = changeNode(archiving, 'node-3', ({ files }) => ({
      files: { ...files, pgbackrestConf: null, backupJson: null },
    }));
    expect(listRolloutSteps(half, desired)).toEqual(['archive node-3', 'backup node-1']);
  });
});

describe('a cluster with backups', () => {
  test('needs nothing', () => {
    expect(listRolloutSteps(createArchiving(desired), desired)).toEqual([]);
  });

  test('that cannot be read needs nothing', () => {
    const repository = { problem: 'no answer', systemIdentifier: null, backups: [] };
    expect(listRolloutSteps(createArchiving(desired, { repository }), desired)).toEqual([]);
  });

  test('makes a full backup after WAL was dropped', () => {
    // The node says so, by the names of the files: when the backup began is of no interest.
    const dropped = { files: 3, since: 999 };
    const increment: BackupRecord = { ...FULL, type: 'incr', started: 2_000, ended: 2_001 };
    const observed = createArchiving(desired, {
      repository: { dropped, backups: [FULL, increment] },
    });
    const result = rollout(observed, desired);
    expect(result).toMatchObject({
      kind: 'steps',
      steps: [{ kind: 'backup', reasons: { 'node-1': [{ kind: 'wal-dropped', files: 3 }] } }],
    });
  });

  test('updates its programs', () => {
    const observed = changeNode(createArchiving(desired), 'node-2', ({ host }) => ({
      host: { ...host, backupTools: 'outdated' },
    }));
    expect(listRolloutSteps(observed, desired)).toEqual(['prepare node-2']);
  });

  test('changes options and schedule without a new backup', () => {
    const schedule = { time: '04:00', fullOn: 'monday' } as const;
    const changed = createWithBackup({ retentionDays: 30, schedule });
    const steps = ['archive node-1 node-2 node-3'];
    expect(listRolloutSteps(createArchiving(desired), changed)).toEqual(steps);
    expect(listRolloutSteps(createArchiving(desired), createWithBackup({ schedule }))).toEqual(
      steps,
    );
  });

  test('begins anew in another repository', () => {
    const result = rollout(createArchiving(desired), {
      ...createWithBackup({ prefix: 'elsewhere' }),
      allowsBackupLoss: true,
    });
    expect(result).toMatchObject({
      steps: [
        { kind: 'archive', reasons: { 'node-1': [{ kind: 'archive', change: 'repository' }] } },
        { kind: 'backup', type: 'full' },
      ],
    });
  });

  test('keeps its backups over a switchover', () => {
    const moved = { ...desired, primary: 'node-2' };
    const steps = listRolloutSteps(createArchiving(desired), moved);
    expect(steps[0]).toBe('switchover node-1 node-2');
    expect(steps.join()).not.toMatch(/archive|backup/);
  });

  test('gives its files to a new node', () => {
    const larger = { ...createWithBackup({}, { size: 4 }) };
    expect(listRolloutSteps(createArchiving(desired), larger)).toContain('archive node-4');
  });

  test('gives them to a node once its container can archive', () => {
    const observed = changeNode(createArchiving(desired), 'node-2', ({ files }) => ({
      files: { ...files, pgbackrestConf: null, backupJson: null },
      container: { state: 'running', current: false },
    }));
    const steps = ['check node-2', 'restart node-2 (max_connections 100)', 'archive node-2'];
    expect(listRolloutSteps(observed, desired)).toEqual(steps);
  });

  test('gives them to a new node before it becomes the primary', () => {
    const larger = { ...createWithBackup({}, { size: 4 }), primary: 'node-4' };
    const steps = listRolloutSteps(createArchiving(desired), larger);
    const archived = steps.indexOf('archive node-4');
    expect(archived).toBeGreaterThan(steps.findIndex((step) => step.startsWith('clone node-4')));
    expect(steps.indexOf('switchover node-1 node-4')).toBeGreaterThan(archived);
  });

  test('ends: first the archive, then the programs go', () => {
    const result = rollout(createArchiving(desired), { ...without, allowsBackupLoss: true });
    expect(result).toMatchObject({
      steps: [
        {
          kind: 'archive',
          nodes: ['node-1', 'node-2', 'node-3'],
          reasons: { 'node-1': [{ kind: 'archive', change: 'ends' }] },
        },
        { kind: 'prepare', nodes: ['node-1', 'node-2', 'node-3'], tools: 'remove' },
      ],
    });
  });
});

describe('while a node cannot be reached', () => {
  const around = { ...desired, unreachable: ['node-3'] };
  const others = (nodes: NodeObservation[]) => nodes.filter(({ name }) => name !== 'node-3');

  test('backups begin on the others', () => {
    expect(listRolloutSteps(others(createHealthy(without)), around)).toEqual([
      'prepare node-1 node-2',
      'archive node-1 node-2',
      'backup node-1',
    ]);
  });

  test('they wait for the restart of the primary', () => {
    const old = createHealthy(without).map((node) => ({
      ...node,
      container: { state: 'running', current: false },
    }));
    const result = rollout(others(old), around);
    expect(result).toMatchObject({
      kind: 'steps',
      steps: [{ kind: 'prepare' }],
      deferral: { deferred: [{ kind: 'restart' }, { kind: 'archive' }] },
    });
  });
});
