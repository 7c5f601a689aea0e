import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rollout } from '../cluster/rollout/rollout.ts';
import type { TopologyChange } from '../cluster/rollout/topology.ts';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import { renderDeployComment } from './deploy-comment.ts';
import { renderDriftIssue } from './drift-issue.ts';
import { createPlan } from './fixtures/plan.ts';
import { createDeployReport, createPlanReport, createProof } from './fixtures/report.ts';
import { renderPlanComment, renderPlanShort } from './plan-comment.ts';

// No text from outside makes a comment exceed its limit.

const plan = createPlan([
  { address: 'aws_instance.node["1"]', actions: ['update'], before: { a: 1 }, after: { a: 2 } },
]);
const repeat = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const long = 'x'.repeat(100_000);

const state = { role: 'replica', zone: 'us-east-1a', instanceType: 't3.medium' } as const;
const topology = repeat(
  2_000,
  (index): TopologyChange => ({
    name: `node-${index}`,
    before: { ...state, image: 'sha256:0' },
    after: { ...state, image: `sha256:${'f'.repeat(64)}` },
    consequence: 'restarted',
  }),
);
const settings = {
  source: 'live',
  node: 'node-1',
  changes: repeat(300, (index) => ({
    name: `setting_${index}`,
    before: 'a'.repeat(400),
    after: 'b'.repeat(400),
    takesEffect: 'reload' as const,
  })),
} as const;
const steps: Rollout = {
  kind: 'steps',
  primary: 'node-1',
  observeAgain: false,
  steps: repeat(1_000, () => ({ kind: 'prepare' as const, nodes: ['node-1'] })),
};

describe('a plan comment fits', () => {
  test.each([
    [
      'an endless reason for missing observations',
      { database: { kind: 'unobserved', notObserved: long, plannedChanges: [] } },
    ],
    [
      'endless refusals',
      { database: { kind: 'refused', refusals: repeat(500, () => long.slice(0, 1_000)) } },
    ],
    ['endless refusals of the infrastructure', { refusals: repeat(500, () => long) }],
    ['hundreds of settings', { settings }],
    [
      'one enormous setting',
      { settings: { ...settings, changes: [{ ...settings.changes[0], after: long }] } },
    ],
    ['thousands of nodes', { topology }],
    ['thousands of steps', { database: steps }],
    ['all of it', { database: steps, topology, settings, refusals: [long], warnings: [long] }],
  ])('with %s', (_case, overrides) => {
    const report = createPlanReport(plan, overrides as Parameters<typeof createPlanReport>[1]);
    for (const budget of [COMMENT_BUDGET, 8_000]) {
      const comment = renderPlanComment(report, budget);
      expect(byteLength(comment)).toBeLessThanOrEqual(budget);
      expect(comment).toContain('`4f2a9c1`');
    }
    expect(byteLength(renderPlanShort(report))).toBeLessThanOrEqual(4_000);
    expect(
      byteLength(renderDriftIssue({ ...report, notChecked: null, faults: [] }).body),
    ).toBeLessThanOrEqual(COMMENT_BUDGET);
  });

  test('and states what it leaves out', () => {
    const comment = renderPlanComment(createPlanReport(plan, { settings, topology }), 8_000);
    expect(comment).toMatch(/Left out to fit: \d+ settings\./);
    expect(comment).toMatch(/Left out to fit: \d+ nodes\./);
  });

  test('and names changes despite thousands of risks', () => {
    const stopped = repeat(5_000, (index) => ({
      address: `aws_instance.node["${index}"]`,
      actions: ['update'],
      before: { user_data: 'a' },
      after: { user_data: 'b' },
    }));
    const comment = renderPlanComment(createPlanReport(createPlan(stopped)));
    expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
    expect(comment).toContain('**Instances stop:**');
    expect(comment).toContain('4990 more');
    expect(comment).toContain('- `aws_instance.node["1000"]`');
    // Room that later cuts free is used.
    expect(byteLength(comment)).toBeGreaterThan(COMMENT_BUDGET - 2_000);
  });

  test('and drops unchanged lines before attributes', () => {
    const lines = (changed: string) =>
      repeat(9, (index) => (index === 4 ? changed : `unchanged ${index} ${'·'.repeat(60)}`)).join(
        '\n',
      );
    const updates = repeat(250, (index) => ({
      address: `aws_instance.node["${index}"]`,
      actions: ['update'],
      before: { script: lines('old') },
      after: { script: lines('new') },
    }));
    const comment = renderPlanComment(createPlanReport(createPlan(updates)));
    expect(comment).toContain('Left out to fit: the unchanged lines around changes.');
    expect(comment.match(/^\+ {3}new$/gm)).toHaveLength(250);
    expect(comment).not.toContain('unchanged 3');
  });
});

describe('a deploy comment fits', () => {
  const failed = (error: string) =>
    createDeployReport({ state: 'failed', phase: 'applying', error, nextStep: long });
  const problem = createProof(2, { problem: long, state: long });

  test.each([
    ['escaped characters', failed('\0'.repeat(10_000))],
    ['wide characters', failed('語'.repeat(20_000))],
    ['backticks', failed('`'.repeat(50_000))],
    [
      'differences',
      createDeployReport({ state: 'changed', differences: repeat(500, () => long), nextStep: 'n' }),
    ],
    ['problems', { ...failed('e'), proof: [createProof(1), problem] }],
    ['nodes', { ...failed('e'), proof: repeat(1_000, createProof) }],
  ])('with endless %s', (_case, report) => {
    for (const budget of [COMMENT_BUDGET, 8_000]) {
      expect(byteLength(renderDeployComment(report, budget))).toBeLessThanOrEqual(budget);
    }
  });

  test('and keeps both ends of an escaped error', () => {
    const comment = renderDeployComment(failed(`first\n${'\0'.repeat(30_000)}\nlast`), 8_000);
    expect(comment).toContain('```\nfirst\n');
    expect(comment).toContain('\nlast\n```');
  });
});

test('any message fits in any field', () => {
  const message = fc
    .array(
      fc.constantFrom(
        '@a ',
        '#1 ',
        '`',
        '\u202e',
        '\0',
        '語',
        '🐘',
        '\n',
        'word ',
        '|',
        '</details>',
      ),
      { maxLength: 400 },
    )
    .map((parts) => parts.join('').repeat(20));
  fc.assert(
    fc.property(message, fc.integer({ min: 6_000, max: COMMENT_BUDGET }), (text, budget) => {
      const report = createPlanReport(plan, {
        database: { kind: 'unobserved', notObserved: text, plannedChanges: [] },
        refusals: [text],
        warnings: [text, text],
        planText: text,
      });
      const deploy = createDeployReport({
        state: 'failed',
        phase: 'applying',
        error: text,
        nextStep: text,
      });
      expect(byteLength(renderPlanComment(report, budget))).toBeLessThanOrEqual(budget);
      expect(byteLength(renderDeployComment(deploy, budget))).toBeLessThanOrEqual(budget);
    }),
    { numRuns: 20 },
  );
});
