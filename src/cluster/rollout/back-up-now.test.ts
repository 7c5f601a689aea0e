import { expect, test } from 'vitest';
import type { BackupObservation } from '../observation.ts';
import { createRepository } from '../testing/backup-fixtures.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { planBackup } from './back-up-now.ts';

const desired = createDesired({
  backup: {
    bucket: 'acme-backups',
    prefix: '',
    retentionDays: 14,
    schedule: { time: '02:30', fullOn: 'sunday' },
    endpoint: null,
    kmsKey: null,
    cipher: 'none',
    permissionsBoundary: null,
  },
});

const EMPTY = createRepository({ backups: [] });
const FULL = createRepository();

const observe = (backup: BackupObservation | null) =>
  createHealthy(desired).map((node) =>
    node.name === 'node-1'
      ? { ...node, backup, files: { ...node.files, pgbackrestConf: '[global]\n' } }
      : node,
  );

test.each([
  ['the first one is full', EMPTY, 'incremental', 'full'],
  ['later ones as asked for', FULL, 'incremental', 'incremental'],
  ['a full one as asked for', FULL, 'full', 'full'],
] as const)('%s', (_, backup, type, made) => {
  expect(planBackup(observe(backup), { desired, type })).toMatchObject({
    kind: 'steps',
    primary: 'node-1',
    steps: [{ kind: 'backup', nodes: ['node-1'], type: made }],
    observeAgain: false,
  });
});

test('replicas need not answer', () => {
  const [primary] = observe(FULL);
  expect(planBackup(primary ? [primary] : [], { desired, type: 'full' }).kind).toBe('steps');
});

test.each([
  ['without a primary', observe(FULL).slice(1), /^No node answers as the primary/],
  ['before archiving has begun', createHealthy(desired), /^node-1 does not archive yet/],
  [
    'while the backups cannot be read',
    observe({ ...EMPTY, problem: 'acme-backups does not answer.' }),
    /^The backups of node-1 cannot be read: acme-backups does not answer\.$/,
  ],
])('is refused %s', (_, observed, reason) => {
  expect(planBackup(observed, { desired, type: 'full' })).toEqual({
    kind: 'refused',
    refusals: [expect.stringMatching(reason)],
  });
});
