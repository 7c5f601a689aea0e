import { describe, expect, test } from 'vitest';
import type { BackupSpec } from '../backup.ts';
import type { NodeObservation } from '../observation.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { explainBackupLoss } from './backup-loss.ts';
import type { Step } from './step.ts';

const BACKUP: BackupSpec = {
  bucket: 'acme-backups',
  prefix: 'production',
  retentionDays: 14,
  schedule: { time: '02:30', fullOn: 'sunday' },
  endpoint: null,
  kmsKey: null,
  cipher: 'none',
  permissionsBoundary: null,
};
const CONF =
  'repo1-path=/production/postgres\nrepo1-s3-bucket=acme-backups\nrepo1-retention-full=14\n';
const ARCHIVE: Step = { kind: 'archive', nodes: ['node-1', 'node-2'], primary: 'node-1' };

const observe = (pgbackrestConf: string | null): NodeObservation[] =>
  createHealthy(createDesired()).map((node) => ({
    ...node,
    files: { ...node.files, pgbackrestConf },
  }));
const explain = (
  backup: BackupSpec | null,
  { conf = CONF, steps = [ARCHIVE] }: { conf?: string | null; steps?: readonly Step[] } = {},
) => explainBackupLoss(observe(conf), { steps, desired: createDesired({ backup }) });

describe('a loss of backups', () => {
  test.each<[string, BackupSpec | null, string | null]>([
    ['the same policy', BACKUP, null],
    ['a longer retention', { ...BACKUP, retentionDays: 30 }, null],
    ['another schedule', { ...BACKUP, schedule: { time: '04:00', fullOn: 'monday' } }, null],
    [
      'a shorter retention',
      { ...BACKUP, retentionDays: 7 },
      'backup.retention_days: 7 instead of 14 days are kept, so older backups and their WAL are deleted.',
    ],
    [
      'no backups any more',
      null,
      'backup is removed: archiving to s3://acme-backups/production/postgres and the backups there end. What is committed after that cannot be restored; what is stored there is not deleted.',
    ],
    [
      'another bucket',
      { ...BACKUP, bucket: 'other-backups', retentionDays: 7 },
      'backup goes to s3://other-backups/production/postgres instead of s3://acme-backups/production/postgres. What the former place holds is not deleted and gets no more WAL, so it reaches no further.',
    ],
    [
      'another service',
      { ...BACKUP, endpoint: 's3.example.com' },
      'backup goes to s3://acme-backups/production/postgres at s3.example.com instead of s3://acme-backups/production/postgres. What the former place holds is not deleted and gets no more WAL, so it reaches no further.',
    ],
  ])('%s', (_, backup, expected) => {
    expect(explain(backup)).toBe(expected);
  });

  test.each([
    ['the first backups', explain(BACKUP, { conf: null })],
    ['no backups, and none before', explain(null, { conf: null })],
    ['steps that write no policy', explain(null, { steps: [] })],
    [
      'a retention that is not known',
      explain({ ...BACKUP, retentionDays: 1 }, { conf: CONF.replace('full=14', 'full=') }),
    ],
  ])('none: %s', (_, found) => {
    expect(found).toBeNull();
  });

  test('the files of a stopped primary count as well', () => {
    const observed = observe(CONF).map((node) =>
      node.name === 'node-1' ? { ...node, postgres: null, standby: false } : node,
    );
    const desired = createDesired({ backup: { ...BACKUP, retentionDays: 1 } });
    expect(explainBackupLoss(observed, { steps: [ARCHIVE], desired })).toContain('1 instead of 14');
  });

  test('what the primary archives to counts, not what a replica would', () => {
    const observed = observe(CONF).map((node) =>
      node.name === 'node-1'
        ? node
        : { ...node, files: { ...node.files, pgbackrestConf: CONF.replace('full=14', 'full=30') } },
    );
    const desired = createDesired({ backup: BACKUP });
    expect(explainBackupLoss(observed, { steps: [ARCHIVE], desired })).toBeNull();
  });
});
