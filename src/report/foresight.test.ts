import { expect, test } from 'vitest';
import type { PlannedChange } from '../cluster/rollout/planned-changes.ts';
import { byteLength } from './budget.ts';
import { createPlan } from './fixtures/plan.ts';
import { createPlanReport } from './fixtures/report.ts';
import { renderNotObserved } from './foresight.ts';
import { renderPlanComment, renderPlanTitle } from './plan-comment.ts';

const NODE: PlannedChange = { kind: 'clone', nodes: ['node-4'] };
const report = (...plannedChanges: readonly PlannedChange[]) =>
  createPlanReport(createPlan([]), {
    database: { kind: 'unobserved' as const, notObserved: 'no key.', plannedChanges },
  });

test('the reason is cut first, and the missing observation is always stated', () => {
  const unseen = {
    kind: 'unobserved' as const,
    notObserved: `because ${'of this '.repeat(50)}`,
    plannedChanges: [NODE],
  };
  const { render } = renderNotObserved(unseen, { shrinkOrder: 1, isRefused: false });
  const whole = render(10_000);
  expect(whole).toMatch(
    /- \*\*New\*\* `node-4`.*\n\n\*\*The nodes were not looked at:\*\* because/,
  );
  const short = render(byteLength(whole) - 1);
  expect(short).toMatch(/- \*\*New\*\* `node-4`.*\n\n\*\*The nodes were not looked at\.\*\*/);
  expect(render(byteLength(short) - 1)).toMatch(/^\*\*The nodes were not looked at\.\*\*/);
});

test('changes that a refusal prevents are marked', () => {
  const unseen = { kind: 'unobserved' as const, notObserved: 'no key.', plannedChanges: [NODE] };
  const { render } = renderNotObserved(unseen, { shrinkOrder: 1, isRefused: true });
  expect(render(10_000)).toMatch(/^None of this happens as it stands:\n\n/);
});

test('text from the state is escaped', () => {
  const hostile = '`x` </details> @acme/admins ![a](https://example.invalid/?q=1)';
  const image = { kind: 'image', before: hostile, after: 'postgres:17', obstacle: null } as const;
  const { render } = renderNotObserved(
    { kind: 'unobserved' as const, notObserved: 'no key.', plannedChanges: [image] },
    { shrinkOrder: 1, isRefused: false },
  );
  const text = render(10_000);
  expect(text).not.toMatch(/<\/details>|(^|[^;])@acme|!\[/);
});

test.each<[string, readonly PlannedChange[], RegExp]>([
  ['nothing', [], /^✅ `postgres`: no changes, as far as Terraform's state tells\./],
  ['an unrecorded state', [{ kind: 'unrecorded' }], /^✅ `postgres`: no infrastructure changes\./],
  ['another primary', [{ kind: 'primary', node: 'node-2' }], /^### 📋 .* · pause not known\n/],
])('a plan without infrastructure changes reports %s', (_, planned, expected) => {
  expect(renderPlanComment(report(...planned))).toMatch(expected);
});

test.each<[PlannedChange, boolean]>([
  [{ kind: 'settings', count: 1 }, true],
  [{ kind: 'image', before: 'a:1', after: 'a:2', obstacle: null }, true],
  [{ kind: 'primary', node: 'node-2' }, true],
  [{ kind: 'resize', nodes: ['node-1'], instanceType: 't3.large' }, true],
  [{ kind: 'replace', nodes: ['node-1'] }, true],
  [{ kind: 'destroy', nodes: ['node-3'] }, true],
  [NODE, false],
  [{ kind: 'synchronous', before: 0, after: 1 }, false],
])('the headline warns of a possible pause: %o', (planned, expected) => {
  expect(renderPlanTitle(report(planned)).includes('pause not known')).toBe(expected);
});
