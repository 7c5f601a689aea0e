import { describe, expect, test } from 'vitest';
import type { BackupObservation } from '../cluster/observation.ts';
import { describeBackupFaults } from './backup-faults.ts';
import { describeArchiver } from './faults.ts';
import { at, createRecord, FOUND } from './fixtures/backup-reports.ts';

const NOW = at('2026-11-22T09:04:00Z');
const find = (backup: BackupObservation | null) =>
  describeBackupFaults({ name: 'node-1', backup }, NOW);

const DROPPED = { files: 12, since: at('2026-11-21T22:10:00Z') };
const RUNNING = { type: 'full', started: NOW - 600, doneBytes: 1, totalBytes: 2 } as const;
const FAILED = { ended: at('2026-11-22T02:33:00Z'), problem: 'acme-backups does not answer.' };

describe('backups', () => {
  test.each<[string, BackupObservation | null]>([
    ['a cluster without backups', null],
    ['backups as they should be', FOUND],
    ['no backup yet', { ...FOUND, backups: [], last: null }],
    ['a late backup that runs', { ...FOUND, backups: FOUND.backups.slice(0, 1), running: RUNNING }],
    ['a failure before the newest backup', { ...FOUND, last: { ...FAILED, ended: 0 } }],
    ['a failed backup that runs again', { ...FOUND, last: FAILED, running: RUNNING }],
    [
      'damage in an older backup',
      { ...FOUND, backups: [createRecord('2026-11-15', { damaged: true }), ...FOUND.backups] },
    ],
  ])('no fault: %s', (_, backup) => {
    expect(find(backup)).toEqual([]);
  });

  test.each<[string, Partial<BackupObservation>, RegExp]>([
    [
      'a repository that cannot be read',
      { problem: 'acme-backups does not exist', backups: [], last: FAILED },
      /^node-1: the backups cannot be read: acme-backups does not exist\.$/,
    ],
    [
      'dropped WAL',
      { dropped: DROPPED },
      /^node-1: WAL is missing from the archive since 21 Nov 22:10 UTC \(12 files\): .* What was committed after 21 Nov 22:10 UTC cannot be restored until the next backup, which is a full one, is complete: .* command: backup/,
    ],
    [
      'dropped WAL while a full backup runs',
      { dropped: DROPPED, running: RUNNING },
      /until the full backup that runs now is complete\.$/,
    ],
    [
      'dropped WAL without a backup',
      { dropped: { ...DROPPED, files: 1 }, backups: [] },
      /\(1 file\): .* Nothing after 21 Nov 22:10 UTC can be restored until/,
    ],
    [
      'a failure',
      { last: FAILED },
      /^node-1: the last backup failed \(02:33 UTC\) and is tried again by itself: acme-backups does not answer\.$/,
    ],
    [
      'a newest backup older than 36 h',
      { backups: [createRecord('2026-11-20', { ended: NOW - 36 * 3600 - 60 })] },
      /^node-1: the newest backup is of 20 Nov 21:03 UTC \(36 h ago\), and one is due every day\./,
    ],
    [
      'damaged pages',
      { backups: [createRecord('2026-11-22', { damaged: true })] },
      /^node-1: the newest backup \(20261122-023000F, 02:31 UTC\) has pages whose checksum is wrong/,
    ],
  ])('%s', (_, change, expected) => {
    expect(find({ ...FOUND, ...change })).toEqual([expect.stringMatching(expected)]);
  });

  test('a backup that ended 36 h ago is not late', () => {
    const backups = [createRecord('2026-11-20', { ended: NOW - 36 * 3600 })];
    expect(find({ ...FOUND, backups })).toEqual([]);
  });

  test('dropped WAL is reported although the repository cannot be read', () => {
    expect(find({ ...FOUND, backups: [], problem: 'It is down.', dropped: DROPPED })).toHaveLength(
      2,
    );
  });
});

test.each([
  ['failing', /resumes by itself once the bucket answers\.$/],
  ['archiving', /See whether the bucket is too slow for what is written\.$/],
] as const)('WAL that pgBackRest does not get rid of is dropped in the end: %s', (state, end) => {
  const archiver = {
    state,
    failed: 2,
    lastFailed: null,
    waiting: 70,
    waitingBytes: 2 ** 30,
    waitingSince: 0,
  };
  const [said = '', ...others] = describeArchiver('node-1', archiver, { isBounded: true });
  expect(others).toEqual([]);
  expect(said).toMatch(/Once it is a tenth of the volume .*, WAL is dropped/);
  expect(said).not.toContain('PostgreSQL stops');
  expect(said).toMatch(end);
});
