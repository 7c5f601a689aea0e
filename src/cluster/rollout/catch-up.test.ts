import { describe, expect, test } from 'vitest';
import type { BackupObservation, NodeObservation } from '../observation.ts';
import { createArchiving, createRepository } from '../testing/backup-fixtures.ts';
import { createBackup, createDesired } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const desired = createDesired({ size: 3, backup: createBackup() });
const GIB = 1024 ** 3;

const REPOSITORY = createRepository({
  oldestWal: '000000010000000000000003',
  newestWal: '000000010000000100000010',
  archivedAt: 1_060,
});

/** node-1 is the primary, at 1/12000000; node-3 stopped streaming at 1/5000000, and its slot is lost. */
function createBehind(
  change: (node: NodeObservation) => NodeObservation = (node) => node,
): NodeObservation[] {
  const nodes = createArchiving(desired, { repository: REPOSITORY }).map(
    (node): NodeObservation => {
      const { postgres } = node;
      if (postgres === null || node.name !== 'node-1') return node;
      return {
        ...node,
        postgres: {
          ...postgres,
          lsn: '1/12000000',
          oldestLsn: '1/10000000',
          archiver: {
            state: 'archiving',
            failed: 0,
            lastFailed: null,
            waiting: 0,
            waitingBytes: 0,
            waitingSince: null,
          },
          slots: postgres.slots.map((slot) =>
            slot.name === 'node_3' ? { ...slot, active: false, walStatus: 'lost' } : slot,
          ),
        },
      };
    },
  );
  const behind = changeNode(nodes, 'node-3', (node) => ({
    ...node,
    postgres: node.postgres && { ...node.postgres, receiver: null, lsn: '1/5000000' },
  }));
  return behind.map(change);
}

/** Changes one node. */
const on =
  (name: string, change: (node: NodeObservation) => NodeObservation) => (node: NodeObservation) =>
    node.name === name ? change(node) : node;

const withPrimary = (change: (postgres: NonNullable<NodeObservation['postgres']>) => object) =>
  on('node-1', (node) => ({
    ...node,
    postgres: node.postgres && { ...node.postgres, ...change(node.postgres) },
  }));
const withRepository = (change: Partial<BackupObservation>) =>
  on('node-1', (node) => ({ ...node, backup: { ...REPOSITORY, ...change } }));

describe('a replica whose slot is lost', () => {
  test('catches up from the archive', () => {
    const result = rollout(createBehind(), desired);
    const steps = result.kind === 'steps' ? result.steps : [];
    expect(steps.map(({ kind, nodes }) => `${kind} ${nodes.join(' ')}`)).toEqual([
      'admit node-1',
      'start node-3',
    ]);
    expect(steps[1]).toMatchObject({
      fromArchive: true,
      source: 'node-1',
      reasons: {
        'node-3': [{ kind: 'slot-lost' }, { kind: 'wal-archived', bytes: 0xd000000 }],
      },
    });
  });

  test('catches up after a run that ended once its slot was new', () => {
    const observed = createBehind(
      withPrimary(({ slots }) => ({
        slots: slots.map((slot) => ({ ...slot, walStatus: 'reserved' })),
      })),
    );
    expect(listRolloutSteps(observed, desired)).toEqual(['start node-3']);
  });

  test('catches up across a switchover that it has missed', () => {
    const history = [{ timeline: 1, switchLsn: '1/6000000' }];
    expect(
      listRolloutSteps(createBehind(withPrimary(() => ({ timeline: 2, history }))), desired),
    ).toEqual(['admit node-1', 'start node-3']);
  });

  test('catches up although its server is down', () => {
    const observed = createBehind(on('node-3', (node) => ({ ...node, ...stopped(node) })));
    expect(listRolloutSteps(observed, desired)).toEqual(['admit node-1', 'start node-3']);
  });

  test('a server that is down asks for the archive, as its slot may be new', () => {
    const observed = createBehind((node) => {
      const slots = (node.postgres?.slots ?? []).map((slot) => ({
        ...slot,
        walStatus: 'reserved',
      }));
      const up = { ...node, postgres: node.postgres && { ...node.postgres, slots } };
      return node.name === 'node-3' ? { ...up, ...stopped(up) } : up;
    });
    const result = rollout(observed, desired);
    expect(result.kind === 'steps' && result.steps).toMatchObject([
      {
        kind: 'start',
        nodes: ['node-3'],
        fromArchive: true,
        reasons: { 'node-3': [{ kind: 'down' }] },
      },
    ]);
  });

  // In each case the first attempt would fail, cost more than a clone, or replay WAL that is not the primary's.
  const clones: [string, (node: NodeObservation) => NodeObservation][] = [
    ['an archive that begins later', withRepository({ oldestWal: '000000010000000100000006' })],
    ['an archive without WAL', withRepository({ oldestWal: null })],
    ['an archive with a gap', withRepository({ dropped: { files: 1, since: 1 } })],
    ['an archive that does not answer', withRepository({ problem: 'it does not answer' })],
    [
      'an archive that does not receive',
      withPrimary(({ archiver }) => ({ archiver: archiver && { ...archiver, state: 'failing' } })),
    ],
    ['another history', withPrimary(() => ({ timeline: 3, history: [] }))],
    [
      'changes that the primary does not have',
      withPrimary(() => ({ timeline: 2, history: [{ timeline: 1, switchLsn: '1/4FFFFFF' }] })),
    ],
    [
      'another repository on the node',
      on('node-3', (node) => ({ ...node, files: { ...node.files, pgbackrestConf: 'other' } })),
    ],
    [
      'no programs on the node',
      on('node-3', (node) => ({ ...node, container: { state: 'running', current: false } })),
    ],
    ['more WAL than data', withPrimary(() => ({ lsn: '4/12000000' }))],
  ];
  test.each(clones)('is cloned with %s', (_, change) => {
    const observed = createBehind(change).map((node) => ({
      ...node,
      storage: {
        ...node.storage,
        data: node.storage.data && { ...node.storage.data, usedBytes: 2 * GIB },
      },
    }));
    const steps = listRolloutSteps(observed, desired).filter((step) => step.endsWith('node-3'));
    expect(steps[0]).toMatch(/^clone .*node-3$/);
  });
});

test('a lost slot without backups means a clone', () => {
  const without = createDesired({ size: 3, allowsBackupLoss: true });
  expect(listRolloutSteps(createBehind(), without)).toContain('clone node-3');
});
