import { describe, expect, test } from 'vitest';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import { at } from './fixtures/backup-reports.ts';
import { RUN } from './fixtures/report.ts';
import { redactReport } from './redact.ts';
import {
  describeSuccess,
  type RehearsalFailure,
  type RehearsalPhase,
  type RehearsalReport,
  renderRehearsalClosed,
  renderRehearsalIssue,
  renderRehearsalSummary,
} from './rehearsal.ts';
import { renderRehearsalGone, renderRehearsalRemark } from './rehearsal-remark.ts';

// Regenerate the golden files with `vitest run --project unit src/report -u`. The clock of the run is at 2026-11-22 03:04 UTC.

const GIB = 1024 ** 3;
const LAST = {
  ...{ ended: at('2026-11-15T03:01:00Z'), restoredTo: at('2026-11-15T02:40:00Z') },
  ...{ seconds: 820, bytes: 23.5 * GIB, commitAge: null },
};

const DONE: RehearsalReport = {
  cluster: 'orders',
  backup: { bucket: 'acme-backups', prefix: 'production', endpoint: null },
  walAge: 41,
  canary: {
    token: '0b2c3d4e-5f60-4a1b-8c2d-3e4f5a6b7c8d',
    written: '2026-11-22T02:40:03.123456Z',
    ...{ roles: 12, databases: 3, names: 'ab'.repeat(32) },
  },
  verification: {
    backup: '20261115-023000F_20261121-023000I',
    ...{ restoreSeconds: 540, verifySeconds: 290, lastCommit: at('2026-11-22T02:40:03Z') },
    ...{ databases: 3, relations: 1_234, method: 'pg_amcheck', bytes: 24 * GIB },
  },
  record: {
    ...{ ended: at('2026-11-22T03:01:00Z'), restoredTo: at('2026-11-22T02:40:03Z') },
    ...{ seconds: 840, bytes: 24 * GIB, commitAge: 0 },
  },
  last: LAST,
  seconds: { making: 190, removing: 95 },
  progress: { state: 'done' },
  left: null,
  run: RUN,
};

const LEFT = 'The instance i-0123456789abcdef0 and the volume vol-0123456789abcdef0 still exist.';

type Failed = RehearsalReport & { readonly progress: RehearsalFailure };

/** The rehearsal after it failed in a phase. */
function fail(phase: RehearsalPhase, changes: Partial<RehearsalReport> = {}): Failed {
  const isVerified = phase === 'recording' || phase === 'removing';
  return {
    ...DONE,
    ...(isVerified ? {} : { verification: null, record: null }),
    ...changes,
    progress: {
      ...{ state: 'failed', phase },
      error: 'node-1: pgBackRest: [103] ERROR: unable to find a valid repository',
      nextStep: 'Fix the cause and give this command again.',
    },
  };
}

const hostile = fail('restoring', {
  cluster: 'a`b|c @team',
  backup: { bucket: 'x|y`', prefix: '@team', endpoint: 'a|b`' },
  left: 'i-1 | <b>@team</b> #17',
});

const SUMMARIES: Readonly<Record<string, RehearsalReport>> = {
  'rehearsal-done': DONE,
  'rehearsal-done-read': {
    ...DONE,
    verification: DONE.verification && { ...DONE.verification, method: 'pg_dumpall' },
  },
  'rehearsal-failed': fail('restoring'),
  'rehearsal-cancelled': {
    ...{ ...DONE, verification: null, record: null, last: null, walAge: null },
    progress: { state: 'cancelled', phase: 'restoring' },
    left: LEFT,
  },
};

const ISSUES: Readonly<Record<string, Failed>> = {
  'rehearsal-issue-unknown': fail('preparing', { canary: null, walAge: null, last: null }),
  'rehearsal-issue-restore': fail('restoring', { left: LEFT }),
  'rehearsal-issue-verify': fail('verifying'),
  'rehearsal-issue-record': fail('recording'),
  'rehearsal-issue-removal': fail('removing', { left: LEFT }),
  'rehearsal-issue-hostile': {
    ...hostile,
    progress: { ...hostile.progress, error: '``` @team\n# x', nextStep: '[x](https://a/) @team' },
  },
};

describe('golden', () => {
  test.each(Object.entries(SUMMARIES))('%s', async (name, report) => {
    await expect(renderRehearsalSummary(report)).toMatchFileSnapshot(`golden/${name}.md`);
  });

  test.each(Object.entries(ISSUES))('%s', async (name, report) => {
    await expect(renderRehearsalIssue(report).body).toMatchFileSnapshot(`golden/${name}.md`);
  });

  test.each([
    ['rehearsal-remark', DONE],
    ['rehearsal-remark-hostile', hostile],
  ])('%s', async (name, report) => {
    const { body } = renderRehearsalRemark(report, { phase: 'making' });
    await expect(body).toMatchFileSnapshot(`golden/${name}.md`);
  });

  test.each(['unbacked', 'destroyed'] as const)('rehearsal-gone, %s', async (why) => {
    const name = `golden/rehearsal-gone-${why}.md`;
    await expect(renderRehearsalGone(DONE, why)).toMatchFileSnapshot(name);
  });

  test('rehearsal-closed', async () => {
    await expect(renderRehearsalClosed(DONE)).toMatchFileSnapshot('golden/rehearsal-closed.md');
  });
});

test('why nodes cannot be reached is prose, and what ssh said is in the summary only', () => {
  const failed = fail('restoring');
  const progress = {
    ...failed.progress,
    ...{ error: '', explanation: ['node-1 does not answer.'], transcripts: ['node-1: timed out'] },
  };
  const { body } = renderRehearsalIssue({ ...failed, progress });
  const summary = renderRehearsalSummary({ ...failed, progress });
  for (const text of [body, summary]) expect(text).toMatch(/^node-1 does not answer\.$/m);
  expect(body).not.toContain('timed out');
  expect(summary).toMatch(/<summary>What ssh said[\s\S]*node-1: timed out/);
});

test('only a restore that was tried and failed says that the backups could not be restored', () => {
  const phases = [
    'preparing',
    'making',
    'restoring',
    'verifying',
    'recording',
    'removing',
  ] as const;
  const saying = phases.filter((phase) =>
    renderRehearsalIssue(fail(phase)).body.includes('could not be restored'),
  );
  expect(saying).toEqual(['restoring']);
});

test('a rehearsal that did not end in time says nothing about the backups', () => {
  for (const phase of ['restoring', 'verifying'] as const) {
    const failed = fail(phase);
    const progress = { ...failed.progress, isOutOfTime: true };
    const { body } = renderRehearsalIssue({ ...failed, progress });
    expect(body).toMatch(/^\*\*The rehearsal of `orders` did not end .* it is not known whether/);
    expect(body).not.toContain('Do not rely on them');
  }
});

test('the title of the issue is constant', () => {
  const titles = Object.values(ISSUES).map((report) => renderRehearsalIssue(report).title);
  expect(new Set(titles)).toEqual(
    new Set(['Rehearsal failed: orders', 'Rehearsal failed: a`b|c @team']),
  );
});

test('an issue fits into a comment, whatever the error', () => {
  const failed = fail('restoring', { left: 'é'.repeat(50_000) });
  const progress = { ...failed.progress, error: '\u202e'.repeat(200_000) };
  const { body } = renderRehearsalIssue({ ...failed, progress });
  expect(byteLength(body)).toBeLessThanOrEqual(COMMENT_BUDGET);
  expect(body).toContain('**Next:** Fix the cause');
});

test('the log line of a success does not call a mere read a verification', () => {
  const verification = DONE.verification && {
    ...DONE.verification,
    method: 'pg_dumpall' as const,
  };
  expect(describeSuccess({ ...DONE, verification })).toMatch(
    / and read every table of the result\.$/,
  );
});

test('the log line of a success is one sentence', () => {
  expect(describeSuccess(DONE)).toBe(
    'The backups of orders can be restored: a rehearsal restored them to 2026-11-22 02:40:03 UTC in 14 min (24.0 GiB) and verified the result.',
  );
});

test('a report whose texts are hidden still renders', () => {
  const hidden = redactReport(fail('making'), () => '***');
  expect(renderRehearsalSummary(hidden as RehearsalReport)).toContain('| Restore to');
});
