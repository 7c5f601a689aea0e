import { describe, expect, test } from 'vitest';
import { createFileSystem } from '../cluster/testing/fixtures.ts';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import { renderDeployComment, renderDeployShort, renderDeployTitle } from './deploy-comment.ts';
import type { DeployReport } from './deploy-report.ts';
import { explainUnchecked, hasDrift, renderDriftClosed, renderDriftIssue } from './drift-issue.ts';
import { describeArchiver } from './faults.ts';
import { createPlan, createResource } from './fixtures/plan.ts';
import { createDeployReport, createPlanReport, createProof, RUN } from './fixtures/report.ts';
import { CHANGED, drifted, FAILING, QUIET, THOUSANDS, update } from './fixtures/state-reports.ts';
import { renderPlanComment, renderPlanShort, renderPlanTitle } from './plan-comment.ts';
import { renderDeploySummary, renderPlanSummary } from './summary.ts';

// Regenerate the golden files with `vitest run --project unit src/report -u`.

const reviewed = {
  commit: 'abc1234def5678900000000000000000000000ff',
  signed: true,
  partly: false,
};
const done = {
  state: 'done',
  connectionString:
    'postgresql://postgres@10.42.0.10:5432,10.42.16.10:5432/postgres?target_session_attrs=read-write',
  changes: 3,
} as const;

const DEPLOYS: Readonly<Record<string, DeployReport>> = {
  changed: createDeployReport({
    state: 'changed',
    differences: [
      'aws_instance.node["1"]: instance_type would change "t3.medium" → "t3.large"; the review left it as it is.',
      'aws_ebs_volume.data["4"]: would be created; in the review it was to stay as it is.',
      'output: @acme/admins </details> `x` would change.',
    ],
    nextStep: 'Look at the differences and run the review again.',
  }),
  superseded: createDeployReport({ state: 'superseded', by: 'abc1234 was pushed meanwhile.' }),
  gone: createDeployReport({ state: 'gone' }),
  'done-reviewed': createDeployReport(done, {
    reviewed,
    proof: [createProof(1), createProof(2)],
  }),
  'done-archive': createDeployReport(done, {
    proof: [createProof(1, { archiver: FAILING }), createProof(2)],
  }),
  'done-full': createDeployReport(done, {
    storageAlertPercent: 60,
    proof: [createProof(1), createProof(2, { storage: null })],
  }),
  'done-partly': createDeployReport(done, {
    reviewed: { ...reviewed, signed: false, partly: true },
  }),
};

const IMPORTED = createPlan([], {
  resource_changes: ['no-op', 'update'].map((action, index) => {
    const resource = createResource({ ...update(index + 1), actions: [action] });
    const importing = { id: `i-0${index + 1}` };
    return { ...resource, change: { ...(resource.change as object), importing } };
  }),
});
const FULL = {
  alertPercent: 80,
  nodes: [16.5, 12.4].map((used, index) => {
    const data = { ...createFileSystem(20), usedBytes: Math.round(used * 1024 ** 3) };
    const name = 'data.old-20261126T101500Z';
    const kept = index === 0 ? [] : [{ name, bytes: 3 * 1024 ** 3, formerPrimary: true }];
    return { name: `node-${index + 1}`, storage: { data, root: null, kept } };
  }),
};
const FAULTS = describeArchiver('node-1', FAILING);
const NO_PASSWORDS = explainUnchecked(['postgres-password', 'replication-password']);

describe('golden', () => {
  test.each(Object.entries(DEPLOYS))('deploy %s', async (name, report) => {
    await expect(renderDeployComment(report)).toMatchFileSnapshot(`golden/deploy-${name}.md`);
  });

  test.each([
    ['drift-issue-faults', renderDriftIssue(drifted(CHANGED, { faults: FAULTS })).body],
    ['drift-issue-faults-only', renderDriftIssue(drifted(QUIET, { faults: FAULTS })).body],
    ['import', renderPlanComment(createPlanReport(IMPORTED))],
    ['thousands', renderPlanComment(THOUSANDS)],
    ['short', renderPlanShort(CHANGED)],
    ['shared', renderPlanComment(THOUSANDS, 4_000)],
    ['capacity', renderPlanComment({ ...CHANGED, capacity: FULL })],
    ['capacity-summary', renderPlanSummary({ ...CHANGED, capacity: FULL })],
    ['summary', renderPlanSummary(CHANGED)],
    ['deploy-summary', renderDeploySummary(DEPLOYS['done-reviewed'] as DeployReport)],
    ['drift-issue', renderDriftIssue(drifted(CHANGED)).body],
    [
      'drift-issue-unchecked',
      renderDriftIssue(drifted(CHANGED, { notChecked: NO_PASSWORDS })).body,
    ],
    ['drift-closed', renderDriftClosed({ run: RUN, notChecked: null })],
    ['drift-closed-unchecked', renderDriftClosed({ run: RUN, notChecked: NO_PASSWORDS })],
  ])('%s', async (name, text) => {
    await expect(text).toMatchFileSnapshot(`golden/${name}.md`);
  });
});

test('a shared section keeps to its budget', () => {
  expect(byteLength(renderPlanComment(THOUSANDS, 4_000))).toBeLessThanOrEqual(4_000);
  expect(byteLength(renderPlanComment(THOUSANDS))).toBeLessThanOrEqual(COMMENT_BUDGET);
});

test('titles are plain text on one line', () => {
  const titles = [
    ...Object.values(DEPLOYS).map(renderDeployTitle),
    renderPlanTitle(THOUSANDS),
    renderPlanTitle(CHANGED),
  ];
  for (const title of titles) expect(title).toMatch(/^[^\n`*<]{1,120}$/);
});

test('the short form of a deploy is its headline and footer', () => {
  expect(renderDeployShort(DEPLOYS.changed as DeployReport)).toMatch(
    /^### 🛑 `postgres` stopped · not what was reviewed\n\n<sub>.*<\/sub>\n$/,
  );
});

test('a spent starter counts nowhere', () => {
  const address = 'aws_ec2_instance_state.started["2"]';
  const drift = createResource({ address, actions: ['update'], before: { state: 'running' } });
  const plan = createPlan([{ address, actions: ['delete'], before: { id: 'i-02' } }], {
    resource_drift: [drift],
  });
  const report = createPlanReport(plan);
  expect(renderPlanComment(report)).toMatch(/^✅ `postgres`: no changes\. /);
  expect(renderPlanTitle(report)).toBe('planned · no infrastructure changes');
  expect(hasDrift(drifted(report))).toBe(false);
  expect(
    renderDeployComment(createDeployReport({ state: 'applying' }, { plan: report.plan })),
  ).toContain('**Infrastructure:** no changes');
  // An apply still has to remove it from the state.
  expect(report.plan.hasChanges).toBe(true);
});
