import { describe, expect, test } from 'vitest';
import type { NodeWork } from '../cluster/progress.ts';
import { NOT_PROVED } from '../cluster/proof.ts';
import { createDesired } from '../cluster/testing/fixtures.ts';
import { explainLostNodes, explainUnreachable } from '../cluster/unreachable.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import { renderDeployComment } from './deploy-comment.ts';
import type { DeployReport, DeployState } from './deploy-report.ts';
import { createPlan, readFixture } from './fixtures/plan.ts';
import { createDeployReport, createProof, permit, RUN } from './fixtures/report.ts';
import { listLeftOut } from './left-out.ts';
import { renderDeploySummary } from './summary.ts';

const PROOF = [1, 2, 3].map((number) => createProof(number));

function createReport(progress: DeployState, overrides: Partial<DeployReport> = {}): DeployReport {
  return createDeployReport(progress, {
    plan: summarizePlan(readFixture('cluster-first').json),
    steps: [
      { kind: 'prepare', nodes: ['node-1', 'node-2', 'node-3'] },
      { kind: 'initialise', nodes: ['node-1'], primary: 'node-1', settings: {} },
      {
        kind: 'admit',
        nodes: ['node-1'],
        primary: 'node-1',
        settings: {},
        slots: ['node_2', 'node_3'],
        retiredSlots: [],
      },
      {
        kind: 'clone',
        nodes: ['node-2', 'node-3'],
        primary: 'node-1',
        settings: {},
        source: 'node-1',
        maxRate: null,
        neededBytes: {},
      },
    ],
    ...overrides,
  });
}

const connectionString =
  'postgresql://postgres@10.42.0.10:5432,10.42.16.10:5432,10.42.32.10:5432/postgres?target_session_attrs=read-write';
const publicConnectionString =
  'postgresql://postgres@203.0.113.11:5432,203.0.113.12:5432,203.0.113.13:5432/postgres?target_session_attrs=read-write';
const failure = {
  state: 'failed',
  phase: 'configuring',
  error: 'node-2: pg_basebackup: error: connection refused\n```\n@acme/admins </details>',
  nextStep: 'Open port 5432 among the nodes, then run the job again.',
} as const;
const PERMITTED = permit(['allow-destroy']);
const early = { plan: null, steps: null };
const WORK: readonly NodeWork[] = [
  {
    ...{ node: 'node-2', kind: 'copy', done: 212.4 * 1024 ** 3, total: 500 * 1024 ** 3 },
    ...{ started: 0, updated: 60, working: true, rate: 118 * 1024 ** 2, left: 2_496 },
  },
  { kind: 'step', node: 'node-3', step: '[clone](https://a/) @acme/admins' },
];

const { nodes: NODES } = createDesired();
const NAMES = NODES.map(({ name }) => name);
const STATES = Object.fromEntries(NAMES.map((name) => [name, 'running']));
const NEXT =
  'The infrastructure is there. Fix the cause and run the job again: it looks at every node and does the rest.';
const SILENCE = {
  transcripts: NODES.map(
    ({ name, publicAddress }) =>
      `${name}: Log in: ssh: connect to host ${publicAddress} port 22: Connection timed out`,
  ),
};

const LEFT_OUT = listLeftOut(
  {
    nodes: ['node-3'],
    deferred: [
      { kind: 'restart', nodes: ['node-1', 'node-2'], settings: ['max_connections'], image: false },
    ],
  },
  { nodes: createDesired().nodes, states: { 'node-3': 'running' } },
);

const REPORTS: Readonly<Record<string, DeployReport>> = {
  planning: createReport({ state: 'planning' }, early),
  applying: createReport({ state: 'applying' }, { steps: null }),
  configuring: createReport({ state: 'configuring' }),
  done: createReport({ state: 'done', connectionString, changes: 24 }, { proof: PROOF }),
  'done-public': createReport(
    { state: 'done', connectionString, publicConnectionString, changes: 24 },
    { proof: PROOF },
  ),
  'done-nothing': createReport(
    { state: 'done', connectionString, changes: 0 },
    { proof: PROOF, steps: [], plan: summarizePlan(createPlan([])) },
  ),
  'done-warning': createReport(
    { state: 'done', connectionString, changes: 2 },
    {
      proof: [createProof(1), createProof(2, { lagBytes: 3_500_000, lagSeconds: 2.04 })],
      warnings: ['image-tag: PostgreSQL 14 gets no more fixes since 2026-11-12.'],
    },
  ),
  'done-left-out': createReport(
    { state: 'done', connectionString, changes: 2 },
    {
      proof: [
        createProof(1),
        createProof(2),
        createProof(3, { state: NOT_PROVED, tokenRead: false, timeline: null, lagBytes: null }),
      ],
      warnings: LEFT_OUT.slice(0, 2),
    },
  ),
  'done-allowed': createReport(
    { state: 'done', connectionString, changes: 2 },
    {
      proof: [createProof(1), createProof(2)],
      steps: [],
      plan: summarizePlan(readFixture('cluster-scale-in').json),
      losses: {
        slotLoss: null,
        backupLoss: null,
        permissions: {
          ...PERMITTED,
          destroy: { ...PERMITTED.destroy, by: '@alice' },
        },
      },
    },
  ),
  incomplete: createReport(
    { state: 'incomplete', away: ['node-3'] },
    { proof: [createProof(1), createProof(2)], warnings: LEFT_OUT },
  ),
  'done-notes': createReport(
    { state: 'done', connectionString, changes: 4 },
    {
      proof: PROOF,
      notes: [
        {
          node: 'node-2',
          note: 'Database `orders` sorts by glibc 2.41 instead of 2.36 (en_US.utf8): rebuild `public.a_t`, `"x | @y"."<b>"`. Then `ALTER DATABASE orders REFRESH COLLATION VERSION`.',
        },
        { node: 'node-3', note: 'the host cannot protect PostgreSQL from the OOM killer' },
        { node: 'node-1', note: 'the host cannot protect PostgreSQL from the OOM killer' },
        { node: 'node-3', note: '@acme/admins ` one backquote, [a link](https://a/) `` `x` ' },
      ],
    },
  ),
  failed: createReport(failure),
  'failed-proof': createReport(
    { ...failure, error: 'Replication is not proved.' },
    {
      proof: [
        createProof(1),
        createProof(2, {
          state: 'stopped | @x',
          tokenRead: false,
          timeline: null,
          lagBytes: null,
          problem: 'no WAL receiver; replay is paused',
        }),
      ],
    },
  ),
  'failed-unreachable': createReport(
    {
      ...{ state: 'failed', phase: 'configuring', error: '', nextStep: NEXT },
      ...SILENCE,
      explanation: explainUnreachable(
        { asked: NODES, noAnswer: NAMES, loginRefused: [], states: STATES, messages: {} },
        {
          vantage: { via: 'direct', sshCidrs: ['203.0.113.0/24'], addresses: ['198.51.100.7'] },
          isPrimarySeen: false,
        },
      ),
    },
    { steps: [] },
  ),
  'failed-unreachable-two': createReport(
    {
      ...{ state: 'failed', phase: 'configuring', error: '', nextStep: NEXT },
      ...SILENCE,
      explanation: explainUnreachable(
        {
          ...{ asked: NODES, noAnswer: NAMES.slice(0, 2), loginRefused: ['node-3'] },
          ...{ states: STATES, messages: {} },
        },
        {
          vantage: { via: 'instance-connect-endpoint', sshCidrs: [], addresses: [] },
          isPrimarySeen: false,
        },
      ),
    },
    { steps: [] },
  ),
  'failed-lost': createReport({
    ...{ state: 'failed', phase: 'configuring', error: '', nextStep: NEXT },
    ...SILENCE,
    explanation: explainLostNodes(
      NAMES.slice(0, 2).map((name) => ({ name, step: 'clone', message: '', isLocked: false })),
      NODES,
    ),
  }),
  'configuring-work': createReport({ state: 'configuring' }, { work: WORK }),
  continuing: createReport(
    { state: 'continuing', run: 'deploy', nodes: ['node-2', 'node-3'], minutes: 330 },
    { work: WORK },
  ),
  'continuing-repair': createReport(
    { state: 'continuing', run: 'repair', nodes: ['node-2'], minutes: 330 },
    { work: WORK.slice(0, 1) },
  ),
  'cancelled-work': createReport({ state: 'cancelled', phase: 'configuring' }, { work: WORK }),
  'failed-work': createReport(failure, { work: WORK }),
  cancelled: createReport({ state: 'cancelled', phase: 'applying' }, { steps: null }),
  'cancelled-early': createReport({ state: 'cancelled', phase: 'planning' }, early),
  'not-applied': createReport({ state: 'not-applied' }, early),
  awaiting: createReport({ state: 'awaiting', label: 'allow-plan', commit: RUN.commit }, early),
  'awaiting-nothing': createReport({ state: 'awaiting', label: null, commit: RUN.commit }, early),
  'awaiting-hostile': createReport(
    { state: 'awaiting', label: '`@acme/admins` | </details> #1', commit: RUN.commit },
    early,
  ),
};

describe('golden', () => {
  test.each(Object.entries(REPORTS))('%s', async (name, report) => {
    const comment = renderDeployComment(report);
    expect(renderDeploySummary(report)).toContain(comment.trimEnd());
    // What ssh said is in the summary and the log.
    expect(comment).not.toContain('Connection timed out');
    await expect(comment).toMatchFileSnapshot(`golden/deploy-${name}.md`);
  });
});

test('both ends of endless messages are kept', () => {
  const error = `first line\n${'noise\n'.repeat(50_000)}last line`;
  const comment = renderDeployComment(createReport({ ...failure, error }));
  expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
  expect(comment).toContain('first line');
  expect(comment).toContain('last line');
  expect(comment).toMatch(/… \d+ characters left out; the log has them …/);
});

test('an ended deploy is not reported as running', () => {
  for (const [name, report] of Object.entries(REPORTS)) {
    const running = /^### \S+ `postgres` \w+ …$/m.test(renderDeployComment(report));
    expect(running).toBe(
      ['planning', 'applying', 'configuring', 'configuring-work'].includes(name),
    );
  }
});
