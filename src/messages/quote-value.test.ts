import { expect, test } from 'vitest';
import { quoteValue } from './quote-value.ts';

test.each<[string, string, string]>([
  ['an ordinary value as it is', 'naïve – 日本 🙂', '"naïve – 日本 🙂"'],
  ['quotes and line breaks', 'a "b"\n\\', '"a \\"b\\"\\n\\\\"'],
  ['a change of direction', 'a\u202eb', '"a\\u202eb"'],
  ['a no-break space', 'a\u00a0b', '"a\\u00a0b"'],
  ['an ideographic space', 'a\u3000b', '"a\\u3000b"'],
  ['a space without width', 'a\u200bb\ufeff', '"a\\u200bb\\ufeff"'],
  ['a filler', '\u3164\u2800', '"\\u3164\\u2800"'],
  ['a line separator', 'a\u2028b', '"a\\u2028b"'],
  ['a delete and a C1 control', '\u007f\u009b', '"\\u007f\\u009b"'],
  ['a tag beyond the first plane', '\u{e0041}', '"\\u{e0041}"'],
  ['half a character', '\ud83d', '"\\ud83d"'],
  ['a long value, cut', 'x'.repeat(81), `"${'x'.repeat(77)}…"`],
])('writes %s', (_, value, expected) => {
  expect(quoteValue(value)).toBe(expected);
});
