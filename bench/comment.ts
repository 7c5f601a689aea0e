// node bench/comment.ts measures how long it takes to render a comment for a plan of 5,000 changes: from the bytes of
// Terraform's JSON to Markdown.
import { performance } from 'node:perf_hooks';
import { byteLength, SUMMARY_BUDGET } from '../src/report/budget.ts';
import { createPlan, type ResourceOverrides } from '../src/report/fixtures/plan.ts';
import { type PlanReport, renderPlanComment } from '../src/report/plan-comment.ts';
import { renderPlanSummary } from '../src/report/summary.ts';
import { hideSensitive, summarizePlan } from '../src/terraform/plan.ts';

const CHANGES = 5_000;
const RUNS = 7;
/** The maximum time for a comment, in ms. */
const MAX_MS = 1_000;
/** GitHub's limit for a comment, in characters and in bytes. */
const MAX_LENGTH = 65_536;

/** Attributes of an instance that a change of its type leaves unchanged. */
const UNCHANGED = Object.fromEntries(
  Array.from({ length: 36 }, (_, index) => [
    `attribute_${index}`,
    `a value of some length ${index}`,
  ]),
);

/** An instance as in Terraform's plan: about forty attributes, tags, a script, a disk; a few values change. */
function buildInstance(index: number, version: number): object {
  return {
    ...UNCHANGED,
    arn: `arn:aws:ec2:us-east-1:123456789012:instance/i-${index}`,
    id: `i-${index.toString(16).padStart(17, '0')}`,
    instance_type: version === 0 ? 't3.medium' : 't3.large',
    private_ip: `10.42.${index >> 8}.${index & 255}`,
    tags: { Name: `postgres-node-${index}`, Version: `${version}`, Team: 'database' },
    user_data: Array.from(
      { length: 20 },
      (_, line) => `echo ${line} ${line === 7 ? version : ''}`,
    ).join('\n'),
    root_block_device: [{ volume_size: 16 + version, volume_type: 'gp3' }],
    token: index % 5 === 0 ? `token-${index}-${version}` : null,
  };
}

/** Every fifth instance has a sensitive value. */
const buildSensitive = (index: number) => (index % 5 === 0 ? { token: true } : {});

function createDocument(): unknown {
  const resources = Array.from({ length: CHANGES }, (_, index): ResourceOverrides => {
    const address = `aws_instance.node["${index}"]`;
    const [before, after] = [buildInstance(index, 0), buildInstance(index, 1)];
    const sensitive = buildSensitive(index);
    if (index % 100 === 0)
      return { address, actions: ['delete'], before, beforeSensitive: sensitive };
    if (index % 50 === 0) return { address, actions: ['create'], after, afterSensitive: sensitive };
    return {
      address,
      actions: ['update'],
      before,
      after,
      beforeSensitive: sensitive,
      afterSensitive: sensitive,
    };
  });
  return createPlan(resources);
}

const planJson = JSON.stringify(createDocument());
const planText = Array.from({ length: CHANGES }, (_, index) =>
  Array.from({ length: 20 }, (_, line) => `  ~ attribute_${line} = "old ${index}" -> "new"`),
)
  .flat()
  .join('\n');

function render(): { comment: string; summary: string; commentMs: number; summaryMs: number } {
  const start = performance.now();
  const document: unknown = JSON.parse(planJson);
  const report: PlanReport = {
    cluster: 'postgres',
    plan: summarizePlan(document),
    planText: hideSensitive(planText, document),
    database: {
      kind: 'unobserved',
      notObserved: 'there are no nodes in a bench.',
      plannedChanges: [],
    },
    settings: { changes: [], source: 'none', node: null },
    logicalSlots: [],
    slotLoss: null,
    backupLoss: null,
    backups: null,
    permissions: {
      destroy: { input: 'allow-destroy-label', label: 'allow-destroy', labels: [] },
      slotLoss: { input: 'allow-slot-loss-label', label: 'allow-slot-loss', labels: [] },
    },
    topology: [],
    writesWait: null,
    refusals: [],
    capacity: { nodes: [], alertPercent: 80 },
    warnings: [],
    run: {
      commit: '0'.repeat(40),
      url: 'https://github.com/acme/database/actions/runs/1',
      time: new Date(0),
      tool: { product: 'Terraform', version: '1.11.4' },
      docs: null,
      action: 'v1',
      planDigest: '0'.repeat(64),
    },
  };
  const comment = renderPlanComment(report);
  const rendered = performance.now();
  const summary = renderPlanSummary(report);
  return { comment, summary, commentMs: rendered - start, summaryMs: performance.now() - rendered };
}

// The first run includes compilation.
const runs = Array.from({ length: RUNS + 1 }, render).slice(1);
const measure = (times: readonly number[]) => {
  const sorted = [...times].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? 0, most: sorted.at(-1) ?? 0 };
};
const comment = measure(runs.map(({ commentMs }) => commentMs));
const summary = measure(runs.map(({ summaryMs }) => summaryMs));
const [{ comment: text, summary: whole }] = runs as [ReturnType<typeof render>];
const show = ({ median, most }: { median: number; most: number }) =>
  `median ${median.toFixed(0)} ms, at most ${most.toFixed(0)} ms`;
process.stdout.write(
  [
    `${CHANGES} changes (${(planJson.length / 1e6).toFixed(0)} MB of JSON, ${(planText.length / 1e6).toFixed(0)} MB of text), ${RUNS} runs`,
    `comment: ${show(comment)}, ${byteLength(text)} bytes, ${text.length} characters`,
    `summary: ${show(summary)}, ${byteLength(whole)} bytes`,
    '',
  ].join('\n'),
);
const problems = [
  comment.median > MAX_MS ? `the comment takes more than ${MAX_MS} ms` : '',
  Math.max(byteLength(text), text.length) > MAX_LENGTH ? `the comment is beyond ${MAX_LENGTH}` : '',
  byteLength(whole) > SUMMARY_BUDGET ? `the summary is beyond ${SUMMARY_BUDGET} bytes` : '',
].filter((problem) => problem !== '');
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
