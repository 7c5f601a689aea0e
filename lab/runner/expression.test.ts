// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the expressions of GitHub look like these
import { describe, expect, test } from 'vitest';
import type { Status } from './expression.ts';
import { evaluateCondition, evaluateText } from './expression.ts';

const contexts = {
  github: { token: 'ghs_1', event: { number: 7, draft: false, body: null } },
  runner: { temp: '/t' },
};

describe('a default value', () => {
  test.each([
    ['plain', 'plain'],
    ['${{ github.token }}', 'ghs_1'],
    ['${{GitHub.Event.Number}}/${{ runner.temp }}', '7//t'],
    ['${{ github.event.draft }}', 'false'],
    ['<${{ github.event.body }}${{ github.nothing.at.all }}>', '<>'],
  ])('%s becomes %j', (text, value) => {
    expect(evaluateText(text, contexts)).toBe(value);
  });

  test.each([
    ['${{ secrets.PASSWORD }}', "Unrecognized named-value: 'secrets'"],
    ['${{ github.event }}', 'is an object'],
    ["${{ github.ref || 'main' }}", 'plain paths'],
  ])('%s is refused', (text, message) => {
    expect(() => evaluateText(text, contexts)).toThrow(message);
  });
});

describe('post-if', () => {
  test.each<[string, Status[]]>([
    ['always()', ['success', 'failure', 'cancelled']],
    ['success()', ['success']],
    ['failure() || cancelled()', ['failure', 'cancelled']],
    ['${{ !cancelled() }}', ['success', 'failure']],
    ['!success() && !failure()', ['cancelled']],
  ])('%s holds after %j', (condition, expected) => {
    const all: Status[] = ['success', 'failure', 'cancelled'];
    expect(all.filter((status) => evaluateCondition(condition, status))).toEqual(expected);
  });

  test('refuses unsupported conditions', () => {
    expect(() => evaluateCondition("runner.os == 'Linux'", 'success')).toThrow('status functions');
  });
});
