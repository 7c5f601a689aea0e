import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../inputs/secrets.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { renderDeployComment, renderDeployShort, renderDeployTitle } from './deploy-comment.ts';
import type { DeployReport } from './deploy-report.ts';
import { renderDriftIssue, renderDriftSummary } from './drift-issue.ts';
import { REPORTS } from './fixtures/golden-reports.ts';
import { createPlan } from './fixtures/plan.ts';
import { createDeployReport, createPlanReport, createProof } from './fixtures/report.ts';
import { renderCode, renderFence, renderHtmlCode, renderText } from './markdown.ts';
import {
  type PlanReport,
  renderPlanComment,
  renderPlanShort,
  renderPlanTitle,
} from './plan-comment.ts';
import { redactReport, renderRedacted } from './redact.ts';
import { renderDeploySummary, renderPlanSummary } from './summary.ts';

/** Renders everything that shows a plan's report. */
const PLAN_RENDERERS: Readonly<Record<string, (report: PlanReport) => string>> = {
  comment: renderPlanComment,
  short: renderPlanShort,
  title: renderPlanTitle,
  summary: renderPlanSummary,
  'drift issue': (report) =>
    Object.values(renderDriftIssue({ ...report, notChecked: null, faults: [] })).join('\n'),
  'drift summary': (report) => renderDriftSummary({ ...report, notChecked: null, faults: [] }),
};
/** Renders everything that shows a deploy's report. */
const DEPLOY_RENDERERS: Readonly<Record<string, (report: DeployReport) => string>> = {
  comment: renderDeployComment,
  short: renderDeployShort,
  title: renderDeployTitle,
  summary: renderDeploySummary,
};

/** Builds reports with a text in every field that can come from outside. */
function createReports(text: string): { plan: PlanReport[]; deploy: DeployReport[] } {
  const address = 'aws_instance.node["1"]';
  const change = { name: 'log_line_prefix', before: text, after: text, takesEffect: 'reload' };
  const plan = createPlanReport(
    createPlan([
      {
        address,
        actions: ['update'],
        before: { tags: { a: 'b' } },
        after: { tags: { [text]: text } },
      },
    ]),
    {
      planText: `  + user_data = "${text}"`,
      settings: { source: 'live', node: 'node-1', changes: [change] } as PlanReport['settings'],
      refusals: [text],
      warnings: [text],
    },
  );
  const ssh = `node-1: ssh: ${text}: Permission denied (publickey).`;
  return {
    plan: [
      plan,
      { ...plan, database: { kind: 'unobserved', notObserved: ssh, plannedChanges: [] } },
      { ...plan, database: { kind: 'refused', refusals: [`node-2: ${text}`] } },
    ],
    deploy: [
      createDeployReport({
        state: 'failed',
        phase: 'applying',
        error: `terraform apply failed:\nError: invalid password "${text}"`,
        nextStep: text,
      }),
      createDeployReport({ state: 'changed', differences: [text], nextStep: 'Go on.' }),
      createDeployReport(
        { state: 'done', connectionString: text, changes: 1 },
        { proof: [createProof(1), createProof(2, { state: 'stopped', problem: text })] },
      ),
      createDeployReport({ state: 'superseded', by: text }),
    ],
  };
}

/** Returns a rendered text and its decoded forms. */
function read(markdown: string): string {
  return markdown
    .replaceAll('&#8203;', '')
    .replace(/&?#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

function renderAll(text: string, secrets: readonly string[]): [string, string][] {
  const redact = createRedactor(secrets);
  const { plan, deploy } = createReports(text);
  return [
    ...Object.entries(PLAN_RENDERERS).flatMap(([name, render]) =>
      plan.map((report): [string, string] => [name, renderRedacted(report, { render, redact })]),
    ),
    ...Object.entries(DEPLOY_RENDERERS).flatMap(([name, render]) =>
      deploy.map((report): [string, string] => [name, renderRedacted(report, { render, redact })]),
    ),
  ];
}

describe('a password', () => {
  test.each([
    'p@ss_w0rd#1-of-2',
    '_<b>*bold*</b>_&amp;',
    '`code` | [x](y) ~z~',
    '"quoted" \\ \'single\'',
    'https://www.gh-12#34@x',
    '1. -+= $(id) $x %d|:',
    '&#64;&#64;&#64;&#64;',
  ])('%s is in no rendered report', (password) => {
    expect(JSON.stringify(renderAll('nothing', []))).toContain('nothing');
    for (const [name, markdown] of renderAll(`${password} and ${password}`, [password])) {
      expect(markdown, name).not.toContain(password);
      expect(read(markdown), name).not.toContain(password);
    }
  });

  test('of any characters is in no rendered report, nor is a half of it', () => {
    const password = fc
      .string({ unit: 'grapheme-ascii', minLength: 12, maxLength: 40 })
      .filter((text) => new Set(text.replaceAll(/\s/g, '')).size > 6);
    fc.assert(
      fc.property(password, (secret) => {
        const half = secret.slice(0, Math.ceil(secret.length / 2)).trim();
        const [before, after] = [renderAll('***', []), renderAll(secret, [secret])];
        for (const [index, [name, markdown]] of after.entries()) {
          const same = read(before[index]?.[1] ?? '');
          if (!same.includes(half)) expect(read(markdown), name).not.toContain(half);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('is not visible in part after a long text is cut', () => {
    const password = 'correct-horse-battery-staple';
    for (let length = 560; length <= 620; length++) {
      for (const [name, markdown] of renderAll('x'.repeat(length) + password, [password])) {
        expect(markdown, name).not.toContain('correct');
      }
    }
  });

  test('that rendering joins is hidden', () => {
    const password = 'p@ss_w0rd#1-"<of>"';
    const redact = createRedactor([password]);
    const coloured = password.replace('w0', '\u001b[1mw0\u001b[0m');
    for (const render of [renderText, renderCode, renderHtmlCode, renderFence]) {
      expect(redact(render(`x ${coloured} y`))).toMatch(/x \*\*\* y/);
    }
    expect(redact(renderFence(JSON.stringify({ a: password })))).toContain('{"a":"***"}');
    expect(redact(`PASSWORD '${"it's a secret!".replace("'", "''")}'`)).toContain("it''s");
    expect(createRedactor(["it's a secret!"])("PASSWORD 'it''s a secret!'")).toBe("PASSWORD '***'");
    expect(createRedactor(['two words or more'])('two words\n  or more')).toBe('***');
  });
});

describe('a report without secrets', () => {
  test('keeps its numbers, dates and nulls', () => {
    const time = new Date();
    const report = { count: 123_456_789_012, time, none: null, is: true, list: [1, undefined] };
    expect(redactReport(report, () => '***')).toEqual(report);
    expect(redactReport({ 'tag key': 'x', field: 'y' }, () => '***')).toEqual({
      '***': '***',
      field: '***',
    });
  });

  test('is rendered even if one of its own texts is the password', () => {
    const texts = new Set<string>();
    const collect = (text: string) => {
      if (text.length >= 12) texts.add(text);
      return text;
    };
    const plans = [...Object.values(REPORTS), ...createReports('a text from outside').plan];
    const deploys = createReports('a text from outside').deploy;
    redactReport([plans, deploys], collect);
    const rendered = { plan: plans.slice(-4), deploy: deploys };
    expect(texts.size).toBeGreaterThan(100);
    for (const password of [...texts].filter((_, index) => index % 5 === 0)) {
      const redact = createRedactor([password]);
      for (const render of Object.values(PLAN_RENDERERS)) {
        for (const report of rendered.plan) {
          expect(renderRedacted(report, { render, redact })).not.toMatch(/undefined|\[object/);
        }
      }
      for (const render of Object.values(DEPLOY_RENDERERS)) {
        for (const report of rendered.deploy) {
          expect(renderRedacted(report, { render, redact })).not.toMatch(/undefined|\[object/);
        }
      }
    }
  });

  test('of thousands of resources is redacted fast', () => {
    const plan = summarizePlan(
      createPlan(
        Array.from({ length: 3000 }, (_, index) => ({
          address: `aws_instance.node["${index}"]`,
          actions: ['update'],
          before: { tags: { a: 'old' } },
          after: { tags: { a: 'x'.repeat(300) } },
        })),
      ),
    );
    const key = Array.from({ length: 50 }, (_, line) => `${line}`.repeat(70).slice(0, 70));
    const redact = createRedactor(['p@ss_w0rd#1-of-2', ...key]);
    const report = createPlanReport(createPlan([]), { plan, planText: 'line\n'.repeat(100_000) });
    const started = performance.now();
    renderRedacted(report, { render: renderPlanSummary, redact });
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

test('hides a secret that rendering joins from two values, cuts or encodes', () => {
  const secret = 'p@ss_w0rd#1234';
  const redact = createRedactor([secret]);
  const halves = { first: secret.slice(0, 7), second: secret.slice(7) };
  const joined = { render: ({ first, second }: typeof halves) => `${first}${second}`, redact };
  expect(renderRedacted(halves, joined)).toBe('***');
  const cut = { render: ({ text }: { text: string }) => text.slice(0, 9), redact };
  expect(renderRedacted({ text: secret }, cut)).toBe('***');
});
