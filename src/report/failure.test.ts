import { expect, test } from 'vitest';
import { byteLength } from './budget.ts';
import { renderFailure } from './failure.ts';
import { RUN } from './fixtures/report.ts';

const nextStep = 'Fix the cause and run the job again.';
const cause = (begin: string, length: number) => `${begin} ${'and so on '.repeat(length / 10)}`;

function render(
  room: number,
  { error = '', explanation = [] }: { error?: string; explanation?: string[] },
): string {
  const text = renderFailure({ error, explanation, nextStep }, RUN).render(room);
  expect(byteLength(text)).toBeLessThanOrEqual(room);
  expect(text).toContain(nextStep);
  return text;
}

test('a small room shortens the explanation, and does not drop it', () => {
  const text = render(600, { explanation: [cause('node-1 does not answer', 900)] });
  expect(text).toMatch(/^node-1 does not answer and so on .* …\n\n/);
  expect(byteLength(text)).toBeGreaterThan(400);
});

test('the first of several explanations stays the longest', () => {
  const explanation = ['node-1', 'node-2', 'node-3'].map((name) => cause(name, 900));
  const [first = '', second = '', third = ''] = render(1_400, { explanation }).split('\n\n');
  expect(first).toMatch(/^node-1 /);
  expect(second).toMatch(/^node-2 /);
  expect(third).toMatch(/^node-3 /);
  expect(first.length).toBeGreaterThan(second.length);
});

test('the least room that has the next step and a sentence has the first explanation', () => {
  const explanation = Array.from({ length: 16 }, (_, index) => cause(`node-${index + 1}`, 900));
  const error = 'x'.repeat(5_000);
  expect(render(500, { error, explanation })).toMatch(/^node-1 and so on /);
});

test('an error is shortened before the explanation of ample room', () => {
  const explanation = [cause('node-1', 900)];
  const text = render(4_000, { error: `begin ${'x'.repeat(9_000)} end`, explanation });
  expect(text).toContain(explanation[0]?.trim());
  expect(text).toMatch(/begin [\s\S]* characters left out[\s\S]* end/);
});
