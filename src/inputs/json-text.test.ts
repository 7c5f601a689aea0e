import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from './json-text.ts';

const read = (text: string) => parseJson(text, { malformed: 'no JSON', example: '{}' });

describe('parseJson', () => {
  test.each<[string, string, string]>([
    ['broken text', '{"a": }', 'no JSON'],
    ['an open string', `{"${'\\"'.repeat(60_000)}\\`, 'no JSON'],
    ['a key given twice', '{"a": 1, "a": 2}', 'the key "a" is given twice. Keep one of them.'],
    ['one in two spellings', '{"a": 1, "\\u0061": 2}', 'the key "a" is given twice.'],
    ['one inside', '{"x": [{"b\\"": {}, "b\\"" : 2}]}', 'the key "b\\"" is given twice.'],
    ['__proto__ twice', '{"__proto__": 1, "__proto__": 2}', 'the key "__proto__" is given twice.'],
    [
      'deep nesting',
      `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      'nested 20000 levels deep. Allowed: 32, e.g. {}.',
    ],
    ['deep nesting that does not end', '{"a":'.repeat(20_000), 'nested 20000 levels deep.'],
  ])('refuses %s', (_, text, expected) => {
    expect(read(text)).toEqual({ problem: expect.stringContaining(expected) });
  });

  test('accepts one key in several objects, and brackets inside strings', () => {
    const text = '{"a": {"b": 1}, "c": [{"b": 1}, {"b": "[[{{:"}], "b": "\\": \\""}';
    expect(read(text)).toEqual({ value: JSON.parse(text) });
  });

  test('returns the value of JSON.parse for generated JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 10 }), (text) => {
        expect(read(text)).toEqual({ value: JSON.parse(text) });
      }),
    );
  });
});
