import { describe, expect, it } from 'vitest';
import type { ArchiverObservation } from '../cluster/observation.ts';
import { RUNNING_DIGEST } from '../cluster/testing/fixtures.ts';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import {
  type DeployReport,
  renderDeployComment,
  renderDeployShort,
  renderDeployTitle,
} from './deploy-comment.ts';
import {
  type DriftReport,
  describeNoDrift,
  explainPasswords,
  hasDrift,
  judgeDrift,
  renderDriftClosed,
  renderDriftIssue,
  renderDriftSummary,
} from './drift.ts';
import { describeArchiver } from './faults.ts';
import { createPlan, createResource } from './fixtures/plan.ts';
import { createDeployReport, createPlanReport, createProof, RUN } from './fixtures/report.ts';
import {
  type PlanReport,
  renderPlanComment,
  renderPlanShort,
  renderPlanTitle,
} from './plan-comment.ts';
import { renderDeploySummary, renderPlanSummary } from './summary.ts';

// The golden files are written anew by `vitest run --project unit src/report -u`.

const reviewed = {
  commit: 'abc1234def5678900000000000000000000000ff',
  signed: true,
  partly: false,
};
const done = {
  state: 'done',
  connectionString:
    'postgresql://postgres@203.0.113.11:5432,203.0.113.12:5432/postgres?target_session_attrs=read-write',
  changes: 3,
} as const;

const FAILING: ArchiverObservation = {
  state: 'failing',
  failed: 12,
  lastFailed: '000000010000000000000003',
  waiting: 40,
  waitingBytes: 671_088_640,
};

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
  'done-reviewed': createDeployReport(done, {
    reviewed,
    proof: [createProof(1), createProof(2)],
  }),
  'done-archive': createDeployReport(done, {
    proof: [createProof(1, { archiver: FAILING }), createProof(2)],
  }),
  'done-partly': createDeployReport(done, {
    reviewed: { ...reviewed, signed: false, partly: true },
  }),
};

const update = (number: number) => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['update'],
  before: { id: `i-${number}`, tags: { Name: 'old' } },
  after: { id: `i-${number}`, tags: { Name: 'new' } },
});
const IMPORTED = createPlan([], {
  resource_changes: ['no-op', 'update'].map((action, index) => {
    const resource = createResource({ ...update(index + 1), actions: [action] });
    const importing = { id: `i-0${index + 1}` };
    return { ...resource, change: { ...(resource.change as object), importing } };
  }),
});
const THOUSANDS = createPlanReport(
  createPlan(Array.from({ length: 5_000 }, (_, index) => update(index + 1))),
  { planText: Array.from({ length: 20_000 }, (_, line) => `  ~ line ${line}`).join('\n') },
);
const CHANGED = createPlanReport(createPlan([update(1)]), {
  database: {
    refusals: [],
    primary: 'node-1',
    steps: [{ kind: 'reload', nodes: ['node-1', 'node-2'], primary: 'node-1', settings: {} }],
    observeAgain: false,
  },
  settings: {
    source: 'live',
    node: 'node-1',
    changes: [{ name: 'work_mem', before: '4MB', after: '8MB', takesEffect: 'reload' }],
  },
  topology: [1, 2].map((number) => ({
    name: `node-${number}`,
    before: {
      role: number === 1 ? 'primary' : 'replica',
      zone: `us-east-1${number === 1 ? 'a' : 'b'}`,
      instanceType: 't3.medium',
      image: RUNNING_DIGEST,
    },
    after: {
      role: number === 1 ? 'primary' : 'replica',
      zone: `us-east-1${number === 1 ? 'a' : 'b'}`,
      instanceType: 't3.medium',
      image: RUNNING_DIGEST,
    },
    consequence: 'reloaded',
  })),
});

const QUIET = createPlanReport(createPlan([]));
const FAULTS = describeArchiver('node-1', FAILING);
const drifted = (report: PlanReport, rest: Partial<DriftReport> = {}): DriftReport => ({
  ...report,
  notChecked: null,
  faults: [],
  ...rest,
});

const NO_PASSWORDS = explainPasswords(['postgres-password', 'replication-password']);

describe('golden', () => {
  it.each(Object.entries(DEPLOYS))('deploy %s', async (name, report) => {
    await expect(renderDeployComment(report)).toMatchFileSnapshot(`golden/deploy-${name}.md`);
  });

  it.each([
    ['drift-issue-faults', renderDriftIssue(drifted(CHANGED, { faults: FAULTS })).body],
    ['drift-issue-faults-only', renderDriftIssue(drifted(QUIET, { faults: FAULTS })).body],
    ['import', renderPlanComment(createPlanReport(IMPORTED))],
    ['thousands', renderPlanComment(THOUSANDS)],
    ['short', renderPlanShort(CHANGED)],
    ['shared', renderPlanComment(THOUSANDS, 4_000)],
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

it('a shared section keeps to its budget', () => {
  expect(byteLength(renderPlanComment(THOUSANDS, 4_000))).toBeLessThanOrEqual(4_000);
  expect(byteLength(renderPlanComment(THOUSANDS))).toBeLessThanOrEqual(COMMENT_BUDGET);
});

it('titles are plain text of one line', () => {
  const titles = [
    ...Object.values(DEPLOYS).map(renderDeployTitle),
    renderPlanTitle(THOUSANDS),
    renderPlanTitle(CHANGED),
  ];
  for (const title of titles) expect(title).toMatch(/^[^\n`*<]{1,120}$/);
});

it('the short form of a deploy is its headline and footer', () => {
  expect(renderDeployShort(DEPLOYS.changed as DeployReport)).toMatch(
    /^### 🛑 `postgres` stopped · not what was reviewed\n\n<sub>.*<\/sub>\n$/,
  );
});

it('a spent starter counts nowhere', () => {
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
  ).toContain('no resource changes');
  // An apply still has to remove it from the state.
  expect(report.plan.hasChanges).toBe(true);
});

describe('drift', () => {
  const quiet = createPlanReport(createPlan([]));
  const gone = createResource({
    address: 'aws_route.internet',
    actions: ['delete'],
    before: { id: 'r-1' },
  });

  it.each([
    ['nothing', quiet, false],
    ['a setting', { ...quiet, settings: CHANGED.settings }, true],
    ['a resource', createPlanReport(createPlan([update(1)])), true],
    ['a refusal', { ...quiet, database: { refusals: ['two primaries'] } }, true],
    [
      'nodes that nobody could look at',
      { ...quiet, database: { notObserved: 'no key', plannedChanges: [] } },
      false,
    ],
    [
      'what was seen outside and needs nothing',
      createPlanReport(createPlan([], { resource_drift: [gone] })),
      false,
    ],
    [
      'a note of what was asked for, which an older release did not write',
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

  it('is said of what a deploy does not fix', () => {
    const report = drifted(quiet, { faults: FAULTS });
    expect(hasDrift(report)).toBe(true);
    expect(judgeDrift(report, { canLogIn: true })).toEqual({ kind: 'drift' });
    expect(renderDriftSummary(report)).not.toContain('no drift');
  });

  it('keeps its title', () => {
    for (const report of [CHANGED, THOUSANDS]) {
      expect(renderDriftIssue(drifted(report)).title).toBe('Drift: postgres');
    }
  });

  const unseen = { ...quiet, database: { notObserved: 'No route to node-1.', plannedChanges: [] } };
  it.each([
    ['all is as asked', quiet, true, { kind: 'none' }],
    ['something differs', CHANGED, true, { kind: 'drift' }],
    [
      'something differs, and nobody logs in',
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
      'one that cannot be reached beside others that can',
      {
        ...quiet,
        database: {
          ...{ refusals: [], primary: 'node-1', steps: [], observeAgain: false },
          deferral: { nodes: ['node-3'], deferred: [] },
        },
      },
      true,
      { kind: 'unreachable', reason: 'node-3 did not answer.' },
    ],
    ['nodes that nobody was to look at', unseen, false, { kind: 'infrastructure only' }],
  ] as const)('%s', (_case, report, canLogIn, finding) => {
    expect(judgeDrift(drifted(report), { canLogIn })).toEqual(finding);
  });

  it('is not said to end with the infrastructure where nobody looks at the nodes', () => {
    const report = drifted({ ...CHANGED, database: unseen.database });
    expect(renderDriftIssue(report).body).toMatch(
      /^The cluster differs .* This issue is closed once a run that can look at the nodes finds no drift\.\n/,
    );
  });

  it('claims nothing of a node that did not answer', () => {
    const around = { refusals: [], primary: 'node-1', steps: [], observeAgain: false } as const;
    const database = { ...around, deferral: { nodes: ['node-3'], deferred: [] } };
    expect(renderDriftSummary(drifted({ ...quiet, database }))).toMatch(
      /^⚠️ `postgres`: no drift of what could be looked at\. node-3 did not answer\. <sub>/,
    );
  });

  it('says of the infrastructure alone that it speaks of it alone', () => {
    expect(renderDriftSummary(drifted(unseen))).toMatch(
      /^✅ `postgres`: no drift of the infrastructure\. The nodes were not looked at: No route to node-1\. <sub>/,
    );
  });

  it.each<[Parameters<typeof explainPasswords>[0], string | null]>([
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
  ])('without %j it says what was not checked, wherever it ends', (missing, notChecked) => {
    expect(explainPasswords(missing)).toBe(notChecked);
    const texts = [
      renderDriftIssue(drifted(CHANGED, { notChecked })).body,
      renderDriftSummary(drifted(CHANGED, { notChecked })),
      renderDriftSummary(drifted(quiet, { notChecked })),
      renderDriftClosed({ run: RUN, notChecked }),
      describeNoDrift({ notChecked }),
    ];
    for (const text of texts) {
      if (notChecked === null) expect(text).not.toContain('Not checked');
      else expect(text).toContain(notChecked);
    }
  });
});
