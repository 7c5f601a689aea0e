import { describe, expect, test } from 'vitest';
import type { BackupSpec } from '../backup.ts';
import { renderBackupFiles } from '../backup-configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import type { BackupObservation, BackupRecord, NodeObservation } from '../observation.ts';
import { createBackup, createDesired, createHealthy, createSource } from '../testing/fixtures.ts';
import {
  changeNode,
  listRefusals,
  listRolloutSteps,
  stopped,
} from '../testing/rollout-fixtures.ts';
import { planFailover } from './failover.ts';
import { predict } from './predict.ts';
import { rollout } from './rollout.ts';

const SYSTEM = '7300000000000000001';
const FULL: BackupRecord = {
  label: '20261122-023000F',
  type: 'full',
  ...{ started: 1_000, ended: 1_060, databaseBytes: 1, repositoryBytes: 1 },
  ...{ damaged: false, missingSince: null },
};

function createRepository(overrides: Partial<BackupObservation> = {}): BackupObservation {
  return {
    problem: null,
    systemIdentifier: SYSTEM,
    backups: [FULL],
    oldestWal: null,
    newestWal: null,
    walBytes: null,
    archivedAt: null,
    dropped: null,
    running: null,
    last: null,
    ...overrides,
  };
}

const withBackup = (overrides: Partial<BackupSpec> = {}, size = 3): DesiredCluster =>
  createDesired({ size, backup: createBackup(overrides), allowsBackupLoss: true });

/** A cluster that makes backups as `desired` asks for. */
function createArchiving(
  desired: DesiredCluster,
  repository: Partial<BackupObservation> = {},
): NodeObservation[] {
  return createHealthy(desired).map((node) => ({
    ...node,
    host: { ...node.host, backupTools: 'ready' },
    files: { ...node.files, ...renderBackupFiles(desired) },
    backup: node.standby ? null : createRepository(repository),
  }));
}

const without = createDesired({ allowsBackupLoss: true });
const desired = withBackup();

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
    expect(listRolloutSteps([], withBackup({}, 2))).toEqual([
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
    const smaller = withBackup({}, 2);
    const leaving = { ...smaller, leaving: without.nodes.slice(2) };
    expect(listRolloutSteps(createHealthy(without), leaving).slice(-3)).toEqual([
      'archive node-1 node-2',
      'destroy node-3',
      'backup node-1',
    ]);
  });

  test('and an interrupted beginning goes on', () => {
    const archiving = createArchiving(desired, { backups: [] });
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
    expect(listRolloutSteps(createArchiving(desired, repository), desired)).toEqual([]);
  });

  test('makes a full backup after WAL was dropped', () => {
    // The node says so, by the names of the files: when the backup began is of no interest.
    const dropped = { files: 3, since: 999 };
    const increment: BackupRecord = { ...FULL, type: 'incr', started: 2_000, ended: 2_001 };
    const observed = createArchiving(desired, { dropped, backups: [FULL, increment] });
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
    const changed = withBackup({ retentionDays: 30, schedule });
    const steps = ['archive node-1 node-2 node-3'];
    expect(listRolloutSteps(createArchiving(desired), changed)).toEqual(steps);
    expect(listRolloutSteps(createArchiving(desired), withBackup({ schedule }))).toEqual(steps);
  });

  test('begins anew in another repository', () => {
    const result = rollout(createArchiving(desired), {
      ...withBackup({ prefix: 'elsewhere' }),
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
    const larger = { ...withBackup({}, 4) };
    expect(listRolloutSteps(createArchiving(desired), larger)).toContain('archive node-4');
  });

  test('gives them to a new node before it becomes the primary', () => {
    const larger = { ...withBackup({}, 4), primary: 'node-4' };
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

describe('without the label', () => {
  test.each<[string, DesiredCluster, RegExp]>([
    ['a shorter retention', withBackup({ retentionDays: 7 }), /^backup\.retention_days: 7 instead/],
    ['another repository', withBackup({ prefix: 'elsewhere' }), /^backup goes to s3:/],
    ['the end of backups', without, /^backup is removed: /],
  ])('%s is refused', (_, wanted, reason) => {
    const refusals = listRefusals(
      rollout(createArchiving(desired), { ...wanted, allowsBackupLoss: false }),
    );
    expect(refusals).toEqual([expect.stringMatching(reason)]);
    expect(refusals[0]).toMatch(/carries the label of allow-destroy-label\.$/);
  });

  test('a repair changes nothing about backups, and is not refused for them', () => {
    const repair = { ...withBackup({ retentionDays: 7 }), keepsStorage: true };
    expect(listRolloutSteps(createArchiving(desired), repair)).toEqual([]);
    expect(listRolloutSteps(createArchiving(desired), { ...without, keepsStorage: true })).toEqual(
      [],
    );
  });
});

describe('a new primary', () => {
  const former = createArchiving(withBackup({ retentionDays: 7 }));
  /** As the last deploy left them, but for a node that was out of reach. */
  const missed = (name: string) =>
    createArchiving(desired).map((node) =>
      node.name === name ? { ...node, files: former[0]?.files ?? node.files } : node,
    );
  const moves = { ...desired, primary: 'node-2', keepsStorage: true };

  test.each([
    ['with the files of the cluster deletes what expired', createArchiving(desired), false],
    ['with the files of an earlier deploy keeps it', missed('node-2'), true],
    ['does not look at those of others', missed('node-3'), false],
  ])('%s', (_, nodes, isHeld) => {
    const moved = rollout(nodes, moves);
    const lost = nodes.filter(({ name }) => name !== 'node-1');
    const promoted = planFailover(
      { observed: lost, unreachable: ['node-1'], terminated: ['node-1'], states: {} },
      { desired, fenced: null },
    );
    const interrupted = nodes.map((node) => ({
      ...node,
      ...stopped(node),
      control: { state: 'shut down', timeline: 1, lsn: node.standby ? '0/3000148' : '0/2000000' },
      standby: true,
    }));
    for (const [kind, result] of [
      ['switchover', moved],
      ['promote', promoted],
      ['promote', rollout(interrupted, moves)],
    ] as const) {
      const steps = result.kind === 'steps' ? result.steps : [];
      const step = steps.find((one) => one.kind === kind);
      expect(step?.nodes.at(-1)).toBe('node-2');
      expect(step !== undefined && 'holdsExpiry' in step).toBe(isHeld);
    }
  });

  test('gets its files from the next deploy', () => {
    const held = createArchiving(desired).map((node) => {
      const { pgbackrestConf } = node.files;
      const conf = pgbackrestConf?.replace('[global]\n', '[global]\nexpire-auto=n\n') ?? null;
      return node.standby ? node : { ...node, files: { ...node.files, pgbackrestConf: conf } };
    });
    expect(listRolloutSteps(held, desired)).toEqual(['archive node-1']);
    expect(listRolloutSteps(held, { ...desired, keepsStorage: true })).toEqual([]);
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

describe('a repair', () => {
  const repair = (cluster: DesiredCluster) => ({ ...cluster, keepsStorage: true });
  /** The new instance of a node whose data volume was kept. */
  const replaced = (nodes: NodeObservation[]) =>
    changeNode(nodes, 'node-3', (node) => ({
      ...stopped(node),
      container: null,
      host: { ...node.host, authorizedKeysCurrent: false, backupTools: 'absent' },
    }));

  test('begins and ends no backups', () => {
    expect(listRolloutSteps(createHealthy(without), repair(desired))).toEqual([]);
    expect(listRolloutSteps(createArchiving(desired), repair(without))).toEqual([]);
    const empty = createArchiving(desired, { backups: [] });
    expect(listRolloutSteps(empty, repair(desired))).toEqual([]);
    const moved = repair(withBackup({ prefix: 'elsewhere' }));
    expect(listRolloutSteps(createArchiving(desired), moved)).toEqual([]);
  });

  test('gives a new instance what the primary has', () => {
    const bare = replaced(createArchiving(desired)).map((node) =>
      node.name === 'node-3'
        ? { ...node, files: { ...node.files, pgbackrestConf: null, backupJson: null } }
        : node,
    );
    const result = rollout(bare, repair(desired));
    expect(result).toMatchObject({
      steps: [
        { kind: 'prepare', nodes: ['node-3'], tools: 'install' },
        { kind: 'start', nodes: ['node-3'] },
        { kind: 'archive', nodes: ['node-3'] },
      ],
    });
  });

  test('needs no programs where backups have not begun', () => {
    const result = rollout(replaced(createHealthy(without)), repair(desired));
    expect(result.kind === 'steps' && result.steps[0]).not.toHaveProperty('tools');
  });

  test('works on a host that cannot make backups', () => {
    const old = createHealthy(without).map((node) => ({
      ...node,
      host: { ...node.host, debian: 12 },
    }));
    expect(rollout(old, repair(desired)).kind).toBe('steps');
  });
});

describe('refused', () => {
  const onDebian = (debian: number | null) =>
    changeNode(createHealthy(without), 'node-2', ({ host }) => ({ host: { ...host, debian } }));

  test.each([
    [12, /^node-2 runs Debian 12, .* command: replace and replace: node-2, /],
    [null, /^node-2 runs another system than Debian, /],
  ])('on Debian %s', (debian, reason) => {
    expect(listRefusals(rollout(onDebian(debian), desired))).toEqual([
      expect.stringMatching(reason),
    ]);
    expect(rollout(onDebian(debian), without).kind).toBe('steps');
  });

  test('into the repository of another cluster', () => {
    const observed = createArchiving(desired, { systemIdentifier: '7300000000000000009' });
    expect(listRefusals(rollout(observed, desired))).toEqual([
      expect.stringMatching(
        /^backup: s3:\/\/acme-backups\/production\/postgres has the backups of another .* 7300000000000000009; node-1 has 7300000000000000001/,
      ),
    ]);
  });

  test('where ALTER SYSTEM archives without backups, unless the settings say how', () => {
    const observed = changeNode(createHealthy(without), 'node-2', () => ({
      overrides: { archive_command: 'cp %p /archive' },
    }));
    const refuse = (of: DesiredCluster) => {
      const result = rollout(observed, of);
      return result.kind === 'refused' ? result.refusals.join(' ') : null;
    };
    expect(refuse(without)).toMatch(
      /^node-2: ALTER SYSTEM holds archive_command there, .*ALTER SYSTEM RESET archive_command on node-2/,
    );
    const settings = { ...without.settings, archive_command: 'cp %p /archive' };
    expect(refuse({ ...without, settings })).toBeNull();
  });

  test('where ALTER SYSTEM archives elsewhere', () => {
    const overrides = { archive_command: 'cp %p secret', archive_mode: 'on' };
    const observed = changeNode(createArchiving(desired), 'node-2', () => ({ overrides }));
    const [reason, ...more] = listRefusals(rollout(observed, desired));
    expect(more).toEqual([]);
    expect(reason).toMatch(/^node-2: ALTER SYSTEM holds archive_command there/);
    expect(reason).not.toContain('secret');
    expect(rollout(observed, { ...desired, keepsStorage: true }).kind).toBe('steps');
  });
});

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
