import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMask, listSensitive } from './sensitive.ts';

test.each<
  [string, Parameters<typeof listSensitive>[0], Parameters<typeof listSensitive>[1], string[]]
>([
  ['nothing', { a: 'x' }, {}, []],
  ['no mask', { a: 'x' }, false, []],
  ['all of it', { a: 'x', b: ['y', { c: 12345 }] }, true, ['x', 'y', '12345']],
  ['parts', { a: 'x', b: ['y', 'z'] }, { b: [false, true] }, ['z']],
  ['what is not there', null, { a: true }, []],
])('listSensitive: %s', (_case, value, mask, texts) => {
  expect(listSensitive(value, mask)).toEqual(texts);
});

test.each<[string, string[], string, string]>([
  ['anywhere', ['hunter2'], 'a=hunter2;b=hunter2', 'a=(sensitive value);b=(sensitive value)'],
  ['quoted', ['say "hi"\\'], 'x = "say \\"hi\\"\\\\"', 'x = "(sensitive value)"'],
  ['the longest', ['pass', 'password'], 'password', '(sensitive value)'],
  [
    'line by line',
    ['first line\n  second line\n'],
    '      first line\n      second line',
    '      (sensitive value)\n      (sensitive value)',
  ],
  ['not what is too short', ['abc'], 'abc', 'abc'],
  ['what overlaps, as one', ['token-12', '-1234567'], 'a token-1234567.', 'a (sensitive value).'],
  ['neighbours', ['alpha', 'bravo'], 'alphabravo', '(sensitive value)(sensitive value)'],
  ['nothing of its own words', ['sensitive', 'other'], 'other', '(sensitive value)'],
])('createMask hides %s', (_case, texts, text, masked) => {
  expect(createMask(texts)(text)).toBe(masked);
});

test('createMask hides overlapping texts completely', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 4, maxLength: 8 });
  const piece = fc.oneof(word, fc.constantFrom('#', '##', '-'));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), fc.array(piece), (texts, pieces) => {
      const text = pieces.join('');
      const masked = createMask(texts)(text);
      const isHidden = Array.from(text, () => false);
      for (const hidden of texts) {
        for (let at = text.indexOf(hidden); at >= 0; at = text.indexOf(hidden, at + 1)) {
          isHidden.fill(true, at, at + hidden.length);
        }
      }
      const left = Array.from(text).filter((_, place) => !isHidden[place]);
      expect(masked.replaceAll('(sensitive value)', '')).toBe(left.join(''));
    }),
  );
});
