import { expect, test } from 'vitest';
import { renderBackupFiles } from '../backup-configuration.ts';
import type { BackupObservation, BackupRecord, NodeObservation } from '../observation.ts';
import { createBackup, createDesired, createHealthy } from '../testing/fixtures.ts';
import { planCanary, planRecord } from './rehearse.ts';

const desired = createDesired({ size: 2, backup: createBackup() });
const moved = createDesired({ size: 2, backup: createBackup({ bucket: 'acme-old' }) });
const [primary, replica] = createHealthy(desired);
if (primary === undefined || replica === undefined) throw new Error('two nodes are expected');

const FULL: BackupRecord = {
  ...{ label: '20261126-023001F', type: 'full', started: 10, ended: 20 },
  ...{ databaseBytes: 100, repositoryBytes: 50, damaged: false, missingSince: null },
};
const REPOSITORY: BackupObservation = {
  ...{ problem: null, systemIdentifier: '7300000000000000001', oldestWal: null, newestWal: null },
  ...{
    walBytes: null,
    archivedAt: null,
    dropped: null,
    running: null,
    last: null,
    backups: [FULL],
  },
};
const archiving = {
  ...primary,
  files: { ...primary.files, ...renderBackupFiles(desired) },
  backup: REPOSITORY,
};

test('the canary is written by the proof alone', () => {
  expect(planCanary([archiving, replica], desired)).toEqual({
    ...{ kind: 'steps', primary: 'node-1', steps: [], observeAgain: false },
  });
});

test.each<[string, NodeObservation[], string]>([
  ['a primary', [replica], 'No node answers as the primary'],
  ['an archive', [primary, replica], 'node-1 does not archive yet'],
  [
    'an archive in the same place',
    [{ ...archiving, files: { ...primary.files, ...renderBackupFiles(moved) } }],
    'archives to another place',
  ],
  [
    'a repository that can be read',
    [{ ...archiving, backup: { ...REPOSITORY, problem: 'access was denied' } }],
    'access was denied',
  ],
  ['a backup', [{ ...archiving, backup: { ...REPOSITORY, backups: [] } }], 'no backup yet'],
])('there is no canary without %s', (_, observed, reason) => {
  const result = planCanary(observed, desired);
  expect(result.kind === 'refused' && result.refusals.join()).toContain(reason);
});

test('every node that answers remembers the rehearsal', () => {
  const rehearsal = { ended: 30, restoredTo: 20, seconds: 5, bytes: 100, commitAge: 1 };
  expect(planRecord([primary, replica], rehearsal)).toMatchObject({
    steps: [{ kind: 'record', nodes: ['node-1', 'node-2'], primary: 'node-1', rehearsal }],
  });
  expect(planRecord([], rehearsal)).toMatchObject({ kind: 'refused' });
});
