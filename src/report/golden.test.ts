import { describe, expect, test } from 'vitest';
import { byteLength, COMMENT_BUDGET } from './budget.ts';
import { REPORTS, update } from './fixtures/golden-reports.ts';
import { createPlan } from './fixtures/plan.ts';
import { createPlanReport } from './fixtures/report.ts';
import { type PlanReport, renderPlanComment } from './plan-comment.ts';
import { renderPlanSummary } from './summary.ts';

// Regenerate the golden files with `vitest run --project unit src/report -u`.

describe('golden', () => {
  test.each(Object.entries(REPORTS))('%s', async (name, report) => {
    const comment = renderPlanComment(report);
    expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
    await expect(comment).toMatchFileSnapshot(`golden/${name}.md`);
  });
});

test('shows no sensitive value', () => {
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

  test.each<[string, PlanReport, { keeps: string[]; loses: string[] }]>([
    [
      'the wording is cut first',
      createPlanReport(createPlan(changes(50)), { planText: text(5_000) }),
      {
        keeps: ['plan’s beginning', 'node["49"]', '- tags.a = "old"', 'job summary'],
        loses: ['line 4999', 'Left out to fit: the'],
      },
    ],
    [
      'then attributes, from the end of the list',
      createPlanReport(createPlan(changes(500)), { planText: text(5_000) }),
      {
        keeps: ['node["0"]</code>', '`aws_instance.node["499"]`', 'the attributes of'],
        loses: ['of the names'],
      },
    ],
    [
      'then names',
      createPlanReport(createPlan(changes(3_000)), { planText: text(5_000) }),
      {
        keeps: [
          '### 📋 `postgres` planned · changes 3000 resources',
          'of the names',
          'wording of the plan is left out',
        ],
        loses: ['node["2999"]'],
      },
    ],
    [
      'deletions are named before anything is cut',
      createPlanReport(
        createPlan([
          ...changes(3_000),
          { address: 'aws_ebs_volume.data["9"]', actions: ['delete'], before: { id: 'vol-09' } },
        ]),
      ),
      {
        keeps: [
          '**Blocked:** deletes node-9 and its data (**without a last snapshot**, so the data is lost). To allow it,',
          '- `aws_ebs_volume.data["9"]`, `vol-09`',
        ],
        loses: [],
      },
    ],
    [
      'one attribute larger than a comment',
      createPlanReport(createPlan(changes(1, 100_000))),
      { keeps: ['- `aws_instance.node["0"]`', 'the attributes of 1 resource'], loses: ['xxxx'] },
    ],
    [
      'endless warnings',
      createPlanReport(createPlan([]), {
        warnings: Array.from({ length: 30 }, () => 'wide '.repeat(2_000)),
      }),
      { keeps: ['more'], loses: [] },
    ],
    [
      'a line of backticks',
      createPlanReport(createPlan(changes(1)), { planText: `${'`'.repeat(40_000)}\n${text(100)}` }),
      { keeps: ['node["0"]'], loses: [] },
    ],
  ])('%s', (_case, report, { keeps, loses }) => {
    const comment = renderPlanComment(report);
    expect(byteLength(comment)).toBeLessThanOrEqual(COMMENT_BUDGET);
    expect(comment).toContain('Terraform `1.11.4`');
    for (const text of keeps) expect(comment).toContain(text);
    for (const text of loses) expect(comment).not.toContain(text);
  });

  test('are shown in full in the job summary', () => {
    const summary = renderPlanSummary(
      createPlanReport(createPlan(changes(500)), { planText: text(5_000) }),
    );
    expect(summary).toContain('line 4999');
    expect(summary).not.toContain('✂️');
  });
});
