import { describe, expect, test } from 'vitest';
import {
  describeNoDrift,
  explainUnchecked,
  hasDrift,
  judgeDrift,
  renderDriftClosed,
  renderDriftIssue,
  renderDriftSummary,
} from './drift-issue.ts';
import { describeArchiver } from './faults.ts';
import { createPlan, createResource } from './fixtures/plan.ts';
import { createPlanReport, RUN } from './fixtures/report.ts';
import { CHANGED, drifted, FAILING, QUIET, THOUSANDS, update } from './fixtures/state-reports.ts';

const FAULTS = describeArchiver('node-1', FAILING);

describe('drift', () => {
  const gone = createResource({
    address: 'aws_route.internet',
    actions: ['delete'],
    before: { id: 'r-1' },
  });

  test.each([
    ['nothing', QUIET, false],
    ['a setting', { ...QUIET, settings: CHANGED.settings }, true],
    ['a resource', createPlanReport(createPlan([update(1)])), true],
    [
      'a refusal',
      { ...QUIET, database: { kind: 'refused' as const, refusals: ['two primaries'] } },
      true,
    ],
    [
      'nodes that could not be observed',
      {
        ...QUIET,
        database: { kind: 'unobserved' as const, notObserved: 'no key', plannedChanges: [] },
      },
      false,
    ],
    [
      'an irrelevant change outside Terraform',
      createPlanReport(createPlan([], { resource_drift: [gone] })),
      false,
    ],
    [
      'inputs that an older release did not record',
      createPlanReport(
        createPlan([], {
          output_changes: {
            database: { actions: ['create'], before: null, after: { image: 'x' } },
          },
        }),
      ),
      false,
    ],
  ])('%s', (_case, report, isDrift) => {
    expect(hasDrift(drifted(report))).toBe(isDrift);
    const summary = renderDriftSummary(drifted(report));
    expect(summary.includes('no drift')).toBe(!isDrift);
  });

  test('includes problems that a deploy does not fix', () => {
    const report = drifted(QUIET, { faults: FAULTS });
    expect(hasDrift(report)).toBe(true);
    expect(judgeDrift(report, { canLogIn: true })).toEqual({ kind: 'drift' });
    expect(renderDriftSummary(report)).not.toContain('no drift');
  });

  test('has a next step of its own: there is nothing to merge', () => {
    const { body } = renderDriftIssue(drifted(CHANGED));
    expect(body).toContain('**Next:** open a pull request (any edit that is planned)');
    expect(body).not.toMatch(/merging applies|this pull request/);
    // A deploy does not fix it.
    expect(renderDriftIssue(drifted(QUIET, { faults: FAULTS })).body).not.toContain('**Next:**');
  });

  test('has a constant title', () => {
    for (const report of [CHANGED, THOUSANDS]) {
      expect(renderDriftIssue(drifted(report)).title).toBe('Drift: postgres');
    }
  });

  const unseen = {
    ...QUIET,
    database: {
      kind: 'unobserved' as const,
      notObserved: 'No route to node-1.',
      plannedChanges: [],
    },
  };
  test.each([
    ['everything matches', QUIET, true, { kind: 'none' }],
    ['something differs', CHANGED, true, { kind: 'drift' }],
    [
      'something differs, without a login',
      { ...CHANGED, ...unseen, plan: CHANGED.plan },
      false,
      { kind: 'drift' },
    ],
    [
      'nodes that cannot be reached',
      unseen,
      true,
      { kind: 'unreachable', reason: 'No route to node-1.' },
    ],
    [
      'a node that cannot be reached beside others that can',
      {
        ...QUIET,
        database: {
          ...({ kind: 'steps', primary: 'node-1', steps: [], observeAgain: false } as const),
          deferral: { nodes: ['node-3'], deferred: [] },
        },
      },
      true,
      { kind: 'unreachable', reason: 'node-3 did not answer.' },
    ],
    ['nodes that were not to be observed', unseen, false, { kind: 'infrastructure only' }],
  ] as const)('%s', (_case, report, canLogIn, finding) => {
    expect(judgeDrift(drifted(report), { canLogIn })).toEqual(finding);
  });

  test('ends only with an observation of the nodes', () => {
    const report = drifted({ ...CHANGED, database: unseen.database });
    expect(renderDriftIssue(report).body).toMatch(
      /^The cluster differs .* This issue is closed once a run that can look at the nodes finds no drift\.\n/,
    );
  });

  test('makes no claim about a node that did not answer', () => {
    const around = { kind: 'steps', primary: 'node-1', steps: [], observeAgain: false } as const;
    const database = { ...around, deferral: { nodes: ['node-3'], deferred: [] } };
    expect(renderDriftSummary(drifted({ ...QUIET, database }))).toMatch(
      /^⚠️ `postgres`: no drift of what could be looked at\. node-3 did not answer\. <sub>/,
    );
  });

  test('states that only the infrastructure was compared', () => {
    expect(renderDriftSummary(drifted(unseen))).toMatch(
      /^✅ `postgres`: no drift of the infrastructure\. The nodes were not looked at: No route to node-1\. <sub>/,
    );
  });

  test.each<[Parameters<typeof explainUnchecked>[0], string | null]>([
    [[], null],
    [
      ['postgres-password', 'replication-password'],
      'Not checked: whether the roles still have their passwords, as postgres-password and replication-password are not given.',
    ],
    [
      ['postgres-password'],
      'Not checked: whether the role postgres still has its password, as postgres-password is not given.',
    ],
    [
      ['replication-password'],
      'Not checked: whether the role replicator still has its password, as replication-password is not given.',
    ],
    [
      ['backup-cipher-key'],
      'Not checked: whether the nodes have the right key of the backups, as backup-cipher-key is not given.',
    ],
    [
      ['postgres-password', 'backup-cipher-key'],
      'Not checked: whether the role postgres still has its password, as postgres-password is not given; whether the nodes have the right key of the backups, as backup-cipher-key is not given.',
    ],
  ])('without %j every text states what was not checked', (missing, notChecked) => {
    expect(explainUnchecked(missing)).toBe(notChecked);
    const texts = [
      renderDriftIssue(drifted(CHANGED, { notChecked })).body,
      renderDriftSummary(drifted(CHANGED, { notChecked })),
      renderDriftSummary(drifted(QUIET, { notChecked })),
      renderDriftClosed({ run: RUN, notChecked }),
      describeNoDrift({ notChecked }),
    ];
    for (const text of texts) {
      if (notChecked === null) expect(text).not.toContain('Not checked');
      else expect(text).toContain(notChecked);
    }
  });
});
