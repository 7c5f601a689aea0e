import { describe, expect, test } from 'vitest';
import type { BackupObservation } from '../cluster/observation.ts';
import type { RehearsalRecord } from '../cluster/rehearsal.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { createBackup, createDesired, createSource } from '../cluster/testing/fixtures.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { describeBackupFaults } from './backup-faults.ts';
import { renderBackupState, renderBackupsAfter, summarizeBackups } from './backups.ts';
import { renderDeployComment, renderDeployTitle } from './deploy-comment.ts';
import type { DeployReport } from './deploy-report.ts';
import { renderDriftIssue, renderDriftSummary } from './drift-issue.ts';
import {
  at,
  buildBackupReport,
  createRecord,
  FOUND,
  observeBackups,
  REHEARSED,
} from './fixtures/backup-reports.ts';
import { createPlan } from './fixtures/plan.ts';
import { createDeployReport, createProof, RUN } from './fixtures/report.ts';
import { drifted } from './fixtures/state-reports.ts';

// Regenerate the golden files with `vitest run --project unit src/report -u`.

const NOW = at('2026-11-22T03:04:05Z');
const POLICY = createBackup();
const ARCHIVE: Step = {
  ...{ kind: 'archive', nodes: ['node-1', 'node-2'], primary: 'node-1' },
  reasons: { 'node-1': [{ kind: 'archive', change: 'begins' }] },
};
const FULL: Step = { kind: 'backup', nodes: ['node-1'], primary: 'node-1', type: 'full' };
const RESTORE: Step = {
  ...{ kind: 'restore', nodes: ['node-1'], primary: 'node-1', settings: {} },
  source: createSource({ prefix: 'production', cluster: 'orders' }),
  time: null,
};

const summarize = (
  before: typeof POLICY | null,
  after: typeof POLICY | null,
  found: Partial<BackupObservation> = {},
) =>
  summarizeBackups(observeBackups(before, { found: { ...FOUND, ...found } }), {
    ...createDesired({ backup: after }),
    snapshots: null,
  });

const PROOF = [createProof(1, { archivedWal: '000000010000000000000043' }), createProof(2)];
const deploy = (
  steps: readonly Step[],
  backups: ReturnType<typeof summarize>,
  rest: Partial<DeployReport> = {},
) =>
  createDeployReport(
    {
      state: 'done',
      connectionString: 'postgresql://postgres@10.42.0.10:5432/postgres',
      changes: 3,
    },
    { proof: PROOF, plan: summarizePlan(createPlan([])), steps, backups, ...rest },
  );

const DROPPED = { files: 12, since: at('2026-11-21T22:10:00Z') };

const GAP = FOUND.backups.map((one) =>
  one.label === '20261115-023000F' ? { ...one, missingSince: at('2026-11-14T22:10:00Z') } : one,
);

const DEPLOYS: Readonly<Record<string, DeployReport>> = {
  'backup-deploy-first': deploy([ARCHIVE, FULL], summarize(null, POLICY)),
  'backup-deploy-unchanged': deploy([], summarize(POLICY, POLICY)),
  'backup-deploy-restored': deploy([RESTORE, ARCHIVE, FULL], summarize(null, POLICY), {
    notes: [
      { node: 'node-1', note: 'restored to the last commit before `2026-11-21 05:12:00+00`' },
    ],
  }),
  'backup-deploy-restore-ignored': deploy([], summarize(POLICY, POLICY), {
    ignoredRestore: { holders: ['node-1'] },
  }),
  'backup-deploy-behind': deploy([], summarize(POLICY, POLICY, { dropped: DROPPED }), {
    warnings: describeBackupFaults({ name: 'node-1', backup: { ...FOUND, dropped: DROPPED } }, NOW),
  }),
};

describe('golden', () => {
  test.each(Object.entries(DEPLOYS))('%s', async (name, report) => {
    await expect(renderDeployComment(report)).toMatchFileSnapshot(`golden/${name}.md`);
    expect(renderDeployTitle(report)).toMatch(/^[^\n`*<]{1,120}$/);
  });

  test.each([
    [
      'backup-drift-issue',
      renderDriftIssue(
        drifted(buildBackupReport(observeBackups(POLICY), { backup: POLICY }), {
          faults: describeBackupFaults(
            {
              name: 'node-1',
              backup: { ...FOUND, last: { ended: NOW - 60, problem: '[x](https://a/) @acme/b' } },
            },
            NOW,
          ),
        }),
      ).body,
    ],
    [
      'backup-drift-none',
      renderDriftSummary(drifted(buildBackupReport(observeBackups(POLICY), { backup: POLICY }))),
    ],
    [
      'backup-drift-rehearsed',
      renderDriftSummary(
        drifted(
          buildBackupReport(observeBackups(POLICY, { rehearsal: REHEARSED }), { backup: POLICY }),
        ),
      ),
    ],
  ])('%s', async (name, text) => {
    await expect(text).toMatchFileSnapshot(`golden/${name}.md`);
  });
});

test('many gaps are counted, and the latest are named', () => {
  const days = ['09', '10', '11', '12', '13'].map((day) => {
    const since = at(`2026-11-${day}T01:00:00Z`);
    return createRecord(`2026-11-${day}`, { missingSince: since });
  });
  const backups = [createRecord('2026-11-08'), ...days];
  expect(renderBackupState(summarize(POLICY, POLICY, { backups }), NOW)).toContain(
    '**except 11 Nov 01:00 to 02:31, 12 Nov 01:00 to 02:31, 13 Nov 01:00 to 02:31** (WAL is missing, and 2 earlier gaps)',
  );
});

test.each<[number, number | null, string]>([
  [0, null, '.'],
  [3, 600, '.'],
  [4, 600, '. 4 WAL files (64.0 MiB) wait to be archived.'],
  [1, 601, '. 1 WAL file (16.0 MiB) waits to be archived, for 10 min.'],
  [3, 5400, '. 3 WAL files (48.0 MiB) wait to be archived, the oldest for 1 h 30 min.'],
  [40, 601, '. 40 WAL files (640.0 MiB) wait to be archived, the oldest for 10 min.'],
])('%d files that wait, the oldest for %j s', (files, seconds, end) => {
  const report = summarize(POLICY, POLICY);
  const since = seconds === null ? null : NOW - seconds;
  const waiting = { files, bytes: files * 16 * 1024 ** 2, since };
  expect(renderBackupState({ ...report, waiting }, NOW).split('/production/postgres`')[1]).toBe(
    end,
  );
});

test('a drift issue does not say that there are no backups', () => {
  const report = buildBackupReport(observeBackups(null), {
    backup: null,
    settings: { work_mem: '64MB' },
  });
  expect(renderDriftIssue(drifted(report)).body).not.toContain('no backups');
});

describe('the backups after a deploy', () => {
  type Policy = typeof POLICY | null;
  type Case = [Policy, Policy, readonly Step[], Partial<BackupObservation>?];

  test.each<[string, Case, RegExp]>([
    ['none', [null, null, [ARCHIVE]], /^$/],
    ['none any more', [POLICY, null, [ARCHIVE]], /^\*\*Backups ended\.\*\* What `s3:/],
    [
      'archiving has begun, and nothing was backed up',
      [null, POLICY, [ARCHIVE]],
      /^\*\*Backups:\*\* `s3:\/\/acme-backups\/production\/postgres`, daily at 02:30 UTC, full on Sundays, kept 14 days\.$/,
    ],
    ['the first', [null, POLICY, [ARCHIVE, FULL]], /restorable from its end on/],
    ['one more', [POLICY, POLICY, [FULL]], /restorable from 8 Nov 02:31 UTC on/],
    [
      'one more, after which others are deleted',
      [POLICY, createBackup({ retentionDays: 5 }), [ARCHIVE, FULL]],
      /restorable from 15 Nov 02:31 UTC on/,
    ],
    [
      'one more after a gap',
      [POLICY, POLICY, [FULL], { backups: GAP }],
      /from 8 Nov 02:31 UTC on \*\*except 14 Nov 22:10 to 15 Nov 02:31\*\* \(WAL is missing\), in/,
    ],
    [
      'one more, after which those from before the gap are deleted',
      [POLICY, createBackup({ retentionDays: 5 }), [ARCHIVE, FULL], { backups: GAP }],
      /from 15 Nov 02:31 UTC on, in/,
    ],
    ['one that closes a gap', [POLICY, POLICY, [FULL], { dropped: DROPPED }], /from its end on/],
    [
      'one in another bucket',
      [POLICY, createBackup({ bucket: 'other-backups' }), [ARCHIVE, FULL]],
      /from its end on, in `s3:\/\/other-backups\/production\/postgres`\.$/,
    ],
  ])('%s', (_, [before, after, steps, found], expected) => {
    expect(renderBackupsAfter(summarize(before, after, found), steps, NOW)).toMatch(expected);
  });

  test('are not described before it has ended', () => {
    const report = { ...DEPLOYS['backup-deploy-unchanged'], progress: { state: 'configuring' } };
    expect(renderDeployComment(report as DeployReport)).not.toContain('Backups');
  });
});

describe('the last rehearsal', () => {
  const DAY = 24 * 3600;
  const render = (
    rehearsal: Partial<RehearsalRecord> | null,
    found: Partial<BackupObservation> | null = {},
  ) =>
    renderBackupState(
      summarizeBackups(
        observeBackups(POLICY, {
          found: found && { ...FOUND, ...found },
          rehearsal: rehearsal && { ...REHEARSED, ...rehearsal },
        }),
        { ...createDesired({ backup: POLICY }), snapshots: null },
      ),
      NOW,
    );
  /** Old backups are kept. */
  const KEPT = { backups: [createRecord('2026-01-01')] };

  test.each<[string, Parameters<typeof render>, string | null]>([
    ['is not known', [null], null],
    [
      'is recent',
      [{}],
      'Rehearsed 2 days ago: restored to 20 Nov 02:40 UTC in 14 min (24.0 GiB, newest commit 41 s old then).',
    ],
    [
      'was recorded by an earlier version',
      [{ commitAge: null }],
      'Rehearsed 2 days ago: restored to 20 Nov 02:40 UTC in 14 min (24.0 GiB).',
    ],
    [
      'was today',
      [{ ended: NOW - 7200, restoredTo: at('2026-11-22T01:00:00Z'), commitAge: 0 }],
      'Rehearsed 2 h ago: restored to 01:00 UTC in 14 min (24.0 GiB, newest commit less than 1 s old then).',
    ],
    ['is a month old', [{ ended: NOW - 35 * DAY }, KEPT], 'Rehearsed 35 days ago: restored to'],
    ['is older', [{ ended: NOW - 40 * DAY }, KEPT], 'Last rehearsed 40 days ago.'],
    [
      'restored backups that are gone, or are elsewhere',
      [{ restoredTo: at('2026-11-08T02:30:59Z') }],
      'Last rehearsed 2 days ago.',
    ],
    ['was of another place than one without backups', [{}, { backups: [] }], null],
    ['is known, and the backups are not', [{}, null], 'Last rehearsed 2 days ago.'],
    [
      'is known, and the backups cannot be read',
      [{}, { problem: 'access denied' }],
      'Last rehearsed 2 days ago.',
    ],
  ])('%s', (_, given, expected) => {
    const text = render(...given);
    if (expected === null) expect(text).not.toMatch(/rehearsed/i);
    else expect(text).toContain(`. ${expected}`);
  });

  test('is the newest that any node knows of', () => {
    const [first, second] = observeBackups(POLICY, { rehearsal: REHEARSED });
    if (first === undefined || second === undefined) throw new Error('Two nodes are needed.');
    const older = { ...REHEARSED, ended: REHEARSED.ended - DAY };
    for (const records of [
      [older, REHEARSED],
      [REHEARSED, older],
      [null, REHEARSED],
    ]) {
      const observed = [first, second].map((node, index) => ({
        ...node,
        rehearsal: records[index] ?? null,
      }));
      const { rehearsal } = summarizeBackups(observed, {
        ...createDesired({ backup: POLICY }),
        snapshots: null,
      });
      expect(rehearsal).toEqual(REHEARSED);
    }
  });
});

test('a report that was stored as JSON still renders', () => {
  const report = JSON.parse(JSON.stringify(DEPLOYS['backup-deploy-unchanged'])) as DeployReport;
  expect(renderDeployComment({ ...report, run: RUN })).toContain('restorable from 8 Nov');
});
