import { describe, expect, it } from 'vitest';
import type { DesiredCluster } from '../cluster/desired.ts';
import { createDesired, createHealthy } from '../cluster/fixtures.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { type Rollout, rollout } from '../cluster/rollout.ts';
import { compareWithApplied, compareWithLive } from '../cluster/setting-change.ts';
import type { Settings } from '../cluster/settings.ts';
import type { Step } from '../cluster/step.ts';
import { describeTopology } from '../cluster/topology.ts';
import { hideSensitive, summarizePlan } from '../terraform/plan.ts';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import {
  createPlan,
  createResource,
  type ResourceOverrides,
  readFixture,
} from './fixtures/plan.ts';
import { type PlanReport, renderPlanComment } from './plan-comment.ts';
import type { RunInfo } from './run.ts';
import type { DatabasePlan } from './steps.ts';
import { renderPlanSummary } from './summary.ts';

// The golden files are written anew by `vitest run --project unit src/report -u`.

const run: RunInfo = {
  commit: '4f2a9c1e7d5b3f8a6c0e2d4b6f8a1c3e5d7b9f0a',
  url: 'https://github.com/acme/database/actions/runs/4711',
  time: new Date('2026-11-22T03:04:05Z'),
  tool: { product: 'Terraform', version: '1.11.4' },
  action: 'v1',
  planDigest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
};

const settings = { max_connections: '200' };
const STEPS: Readonly<Record<string, Rollout>> = {
  none: { refusals: [], primary: 'node-1', steps: [], observeAgain: false },
  first: {
    refusals: [],
    primary: 'node-1',
    observeAgain: false,
    steps: [
      { kind: 'prepare', nodes: ['node-1', 'node-2', 'node-3'] },
      { kind: 'initialise', nodes: ['node-1'], primary: 'node-1', settings },
      {
        kind: 'admit',
        nodes: ['node-1'],
        primary: 'node-1',
        settings,
        slots: ['node_2', 'node_3'],
        retiredSlots: [],
      },
      { kind: 'clone', nodes: ['node-2', 'node-3'], primary: 'node-1', settings },
    ],
  },
  rolling: {
    refusals: [],
    primary: 'node-1',
    observeAgain: false,
    steps: [
      { kind: 'check', nodes: ['node-1'], primary: 'node-2', settings },
      ...['node-1', 'node-3'].map(
        (node): Step => ({ kind: 'restart', nodes: [node], primary: 'node-2', settings }),
      ),
      {
        kind: 'switchover',
        nodes: ['node-2', 'node-1'],
        primary: 'node-1',
        settings,
        slots: ['node_2', 'node_3'],
      },
      { kind: 'reload', nodes: ['node-3'], primary: 'node-1', settings },
      { kind: 'start', nodes: ['node-2'], primary: 'node-1', settings },
    ],
  },
  reload: {
    refusals: [],
    primary: 'node-1',
    observeAgain: false,
    steps: [{ kind: 'reload', nodes: ['node-1', 'node-2'], primary: 'node-1', settings }],
  },
  refused: {
    refusals: [
      "image-tag asks for PostgreSQL 18, the data is PostgreSQL 17's, which 18 cannot read.",
    ],
  },
};

function createReport(planJson: unknown, overrides: Partial<PlanReport> = {}): PlanReport {
  return {
    cluster: 'postgres',
    plan: summarizePlan(planJson),
    planText: 'No changes.',
    database: STEPS.none as DatabasePlan,
    settings: { changes: [], source: 'none', node: null },
    topology: [],
    writesWait: null,
    refusals: [],
    warnings: [],
    run,
    ...overrides,
  };
}

/** A plan that Terraform made (fixtures/make.ts). */
function reportFixture(name: string, overrides: Partial<PlanReport> = {}): PlanReport {
  const { json, text } = readFixture(name);
  return createReport(json, { planText: hideSensitive(text, json), ...overrides });
}

const NOW = createDesired();
const ZONES = { 'node-4': 'us-east-1d' };

/** What a change of the living cluster comes to, as a pull request tells it. */
function describeChange(
  desired: DesiredCluster,
  planned: { json: unknown; text: string } = { json: createPlan([]), text: 'No changes.' },
  overrides: Partial<PlanReport> = {},
): PlanReport {
  const observed = createHealthy(NOW);
  const database = rollout(observed, desired);
  return createReport(planned.json, {
    planText: hideSensitive(planned.text, planned.json),
    database,
    settings: {
      changes: compareWithLive(observed[0] as NodeObservation, desired),
      source: 'live',
      node: 'node-1',
    },
    topology: describeTopology({
      observed,
      standing: NOW.nodes,
      zones: ZONES,
      replaced: [],
      fresh: ['node-4'],
      database,
      desired,
    }),
    ...overrides,
  });
}

/** The same where nobody could look at the nodes. */
function describeUnseen(desired: DesiredCluster, notObserved: string): PlanReport {
  const database = { notObserved };
  const applied = { image: NOW.image, settings: NOW.settings, synchronousReplicas: 0 };
  return createReport(createPlan([]), {
    database,
    settings: { changes: compareWithApplied(applied, desired), source: 'applied', node: null },
    topology: describeTopology({
      observed: [],
      standing: NOW.nodes,
      zones: ZONES,
      replaced: [],
      fresh: ['node-4'],
      database,
      desired,
    }),
  });
}

const withSettings = (settings: Settings, rest: Partial<DesiredCluster> = {}) =>
  createDesired({ ...rest, settings: { ...NOW.settings, ...settings } });
const SMALLER = { ...NOW, nodes: NOW.nodes.slice(0, 2), leaving: NOW.nodes.slice(2) };

/** Text that tries to get out of wherever it is put. */
const HOSTILE =
  '``` </details><img src=x onerror=alert(1)> @acme/admins #1 GH-2 --> | \u202Eesrever \u001b[31mred | %% end';
const hostilePlan = (text: string) => {
  const entry = (address: string, actions: readonly string[]) => ({
    address,
    actions,
    before: { id: text, user_data: `${text}\nfirst\nsecond` },
    after: { id: text, user_data: `${text}\nfirst\nthird`, tags: { [text]: text } },
  });
  return createPlan(
    [
      entry(`aws_instance.node["${text.replaceAll('"', '')}"]`.replaceAll('\u001b', ''), [
        'update',
      ]),
      entry('aws_instance.node["1"]', ['delete', 'create']),
    ],
    { output_changes: { [text]: { actions: ['update'], before: text, after: `${text}!` } } },
  );
};

const update = (address: string, before: object, after: object): ResourceOverrides => ({
  address,
  actions: ['update'],
  before: { id: 'i-0a1b2c3d', ...before },
  after: { id: 'i-0a1b2c3d', ...after },
});

/** What a comment looks like for each kind of plan, and what must be seen in it before anything else. */
const REPORTS: Readonly<Record<string, PlanReport>> = {
  first: reportFixture('first', { database: STEPS.first as Rollout }),
  'cluster-first': reportFixture('cluster-first', { database: STEPS.first as Rollout }),
  'cluster-scale-out': reportFixture('cluster-scale-out'),
  'cluster-scale-in': reportFixture('cluster-scale-in'),
  'cluster-type': reportFixture('cluster-type'),
  'cluster-open': reportFixture('cluster-open'),
  'cluster-tags': reportFixture('cluster-tags'),
  empty: reportFixture('empty'),
  'empty-not-observed': reportFixture('empty', {
    database: { notObserved: 'a pull request does not log in to the nodes.' },
  }),
  update: reportFixture('update', {
    database: { notObserved: 'a pull request does not log in to the nodes.' },
  }),
  'settings-only': createReport(createPlan([]), { database: STEPS.rolling as Rollout }),
  'reload-only': createReport(createPlan([]), { database: STEPS.reload as Rollout }),
  refused: createReport(createPlan([]), { database: STEPS.refused as Rollout }),
  'change-settings': describeChange(withSettings({ work_mem: '64MB', shared_buffers: '1GB' })),
  'change-reload': describeChange(withSettings({ work_mem: '64MB' })),
  'change-lowered': describeChange(withSettings({ max_connections: '50' })),
  'change-settings-unseen': describeUnseen(
    withSettings({ work_mem: '64MB' }),
    'without ssh-private-key nobody can log in.',
  ),
  'change-scale-out': describeChange(createDesired({ size: 4 }), readFixture('cluster-scale-out')),
  'change-scale-in': describeChange(SMALLER, readFixture('cluster-scale-in')),
  'change-scale-in-refused': describeChange(SMALLER, readFixture('cluster-scale-in'), {
    refusals: [
      'node-3: aws_ebs_volume.data["3"] would be destroyed, aws_instance.node["3"] would be destroyed. A node that holds data is protected. If this is wanted, label the pull request allow-destroy and run this again.',
    ],
  }),
  'change-type': describeChange(
    createDesired({ instanceType: 't3.large', memoryMib: 8192 }),
    readFixture('cluster-type'),
  ),
  'change-image': describeChange(createDesired({ image: 'postgres:17.7' })),
  'change-primary': describeChange(createDesired({ primary: 'node-2' })),
  'change-synchronous': describeChange(createDesired({ synchronousReplicas: 1 }), undefined, {
    warnings: [
      'synchronous-replicas: a commit waits for 1 of 2 replicas. While fewer are up, all writes wait.',
    ],
  }),
  'change-hostile': describeChange(
    withSettings({ archive_command: HOSTILE }),
    { json: hostilePlan(HOSTILE), text: HOSTILE },
    { refusals: [HOSTILE], warnings: [HOSTILE] },
  ),
  'request-only': describeChange(withSettings({ work_mem: '64MB' }), {
    json: createPlan([], {
      output_changes: {
        database: {
          actions: ['update'],
          before: { settings: {} },
          after: { settings: { work_mem: '64MB' } },
        },
      },
    }),
    text: 'No changes.',
  }),
  'scale-in': reportFixture('scale-in'),
  destroy: reportFixture('destroy'),
  replace: reportFixture('replace'),
  outputs: reportFixture('outputs'),
  text: reportFixture('text'),
  sensitive: reportFixture('sensitive'),
  move: reportFixture('move'),
  hostile: reportFixture('hostile', {
    warnings: [
      'image-tag `17` @acme/admins closes #1, see https://example.invalid/x or www.example.invalid <img src=x>',
      '1. # not a heading\n- not a list | not a cell _nor_ **this** \u202Eesrever',
    ],
  }),
  'end-of-life': reportFixture('first', {
    warnings: ['image-tag: PostgreSQL 14 gets no more fixes since 2026-11-12. Choose 15 or later.'],
  }),
  dangers: createReport(
    createPlan([
      { address: 'aws_ebs_volume.data["3"]', actions: ['delete'], before: { id: 'vol-03' } },
      {
        address: 'aws_instance.node["2"]',
        actions: ['delete', 'create'],
        before: { id: 'i-02', subnet_id: 'subnet-a' },
        after: { subnet_id: 'subnet-b' },
        unknown: { id: true, private_ip: true },
        replacePaths: [['subnet_id']],
        reason: 'replace_because_cannot_update',
      },
      {
        address: 'aws_volume_attachment.data["2"]',
        actions: ['delete', 'create'],
        reason: 'replace_by_triggers',
      },
      update(
        'aws_instance.node["1"]',
        { instance_type: 't2.small' },
        { instance_type: 't3.large' },
      ),
      update(
        'aws_instance.node["3"]',
        { instance_type: 't2.small' },
        { instance_type: 't3.large' },
      ),
      {
        address: 'aws_vpc_security_group_ingress_rule.ssh["0.0.0.0/0"]',
        actions: ['create'],
        after: { cidr_ipv4: '0.0.0.0/0', from_port: 22, to_port: 22, ip_protocol: 'tcp' },
        unknown: { id: true, arn: true },
      },
    ]),
  ),
  drift: createReport(
    createPlan(
      [update('aws_instance.node["1"]', { ebs_optimized: false }, { ebs_optimized: true })],
      {
        resource_drift: [
          createResource(
            update('aws_instance.node["1"]', { ebs_optimized: true }, { ebs_optimized: false }),
          ),
          createResource({
            address: 'aws_route.internet',
            actions: ['delete'],
            before: { id: 'r-1' },
          }),
        ],
        relevant_attributes: [{ resource: 'aws_instance.node["1"]', attribute: ['ebs_optimized'] }],
      },
    ),
  ),
};

describe('golden', () => {
  it.each(Object.entries(REPORTS))('%s', async (name, report) => {
    const comment = renderPlanComment(report);
    expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
    await expect(comment).toMatchFileSnapshot(`golden/${name}.md`);
  });
});

it('shows no sensitive value', () => {
  const report = REPORTS.sensitive as PlanReport;
  expect(renderPlanComment(report)).not.toContain('hunter2');
  expect(renderPlanSummary(report)).not.toContain('hunter2');
});

describe('large plans', () => {
  const changes = (count: number, length = 20) =>
    Array.from({ length: count }, (_, index) =>
      update(
        `aws_instance.node["${index}"]`,
        { tags: { a: 'old' } },
        { tags: { a: 'x'.repeat(length) } },
      ),
    );
  const text = (lines: number) =>
    Array.from({ length: lines }, (_, line) => `  + line ${line} \`\`\``).join('\n');

  it.each<[string, PlanReport, { keeps: string[]; loses: string[] }]>([
    [
      'the wording gives way first',
      createReport(createPlan(changes(50)), { planText: text(5_000) }),
      {
        keeps: ['plan’s beginning', 'node["49"]', '- tags.a = "old"', 'job summary'],
        loses: ['line 4999', 'Left out to fit: the'],
      },
    ],
    [
      'then attributes, from the end of the list',
      createReport(createPlan(changes(500)), { planText: text(5_000) }),
      {
        keeps: ['node["0"]</code>', '`aws_instance.node["499"]`', 'the attributes of'],
        loses: ['of the names'],
      },
    ],
    [
      'then names',
      createReport(createPlan(changes(3_000)), { planText: text(5_000) }),
      {
        keeps: [
          '### 📋 `postgres` planned · 3000 to change',
          'of the names',
          'wording of the plan is left out',
        ],
        loses: ['node["2999"]'],
      },
    ],
    [
      'deletions are named before anything is cut',
      createReport(
        createPlan([
          ...changes(3_000),
          { address: 'aws_ebs_volume.data["9"]', actions: ['delete'], before: { id: 'vol-09' } },
        ]),
      ),
      {
        keeps: [
          'last snapshot, `aws_ebs_volume.data["9"]` (node-9) is destroyed',
          '- `aws_ebs_volume.data["9"]`, `vol-09`',
        ],
        loses: [],
      },
    ],
    [
      'one attribute larger than a comment',
      createReport(createPlan(changes(1, 100_000))),
      { keeps: ['- `aws_instance.node["0"]`', 'the attributes of 1 resource'], loses: ['xxxx'] },
    ],
    [
      'warnings without end',
      createReport(createPlan([]), {
        warnings: Array.from({ length: 30 }, () => 'wide '.repeat(2_000)),
      }),
      { keeps: ['more'], loses: [] },
    ],
    [
      'a line of backticks',
      createReport(createPlan(changes(1)), { planText: `${'`'.repeat(40_000)}\n${text(100)}` }),
      { keeps: ['node["0"]'], loses: [] },
    ],
  ])('%s', (_case, report, { keeps, loses }) => {
    const comment = renderPlanComment(report);
    expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
    expect(comment).toContain('Terraform `1.11.4`');
    for (const text of keeps) expect(comment).toContain(text);
    for (const text of loses) expect(comment).not.toContain(text);
  });

  it('have their whole wording in the job summary', () => {
    const summary = renderPlanSummary(
      createReport(createPlan(changes(500)), { planText: text(5_000) }),
    );
    expect(summary).toContain('line 4999');
    expect(summary).not.toContain('✂️');
  });
});
