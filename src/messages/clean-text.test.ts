import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanText } from './clean-text.ts';

describe('cleanText', () => {
  test.each([
    ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
    ['a title, whose text stays', '\u001b]0;evil\u0007rest', '<U+001B>]0;evil<U+0007>rest'],
    ['an unterminated escape hides nothing', '\u001b]8;;all the rest', '<U+001B>]8;;all the rest'],
    ['single-byte controls', '\u009b31mred', 'red'],
    ['cursor movement', 'good\u001b[2Kbad', 'goodbad'],
    ['line ends', 'a\r\nb\rc\n', 'a\nb\nc\n'],
    ['direction marks', 'a\u202eb', 'a<U+202E>b'],
    ['zero-width characters', 'a\u200bb\ufeff', 'a<U+200B>b<U+FEFF>'],
    ['half a surrogate pair', 'a\ud800', 'a<U+D800>'],
    ['ordinary international text', 'Grüße 🐘 日本語\tx', 'Grüße 🐘 日本語\tx'],
  ])('%s', (_case, text, cleaned) => {
    expect(cleanText(text)).toBe(cleaned);
  });

  test('leaves no invisible character', () => {
    const parts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom('\u001b[31m', '\u001b]0;title\u0007', '\u009b1m', '\ud800', '\u202e', '\r\n'),
    );
    fc.assert(
      fc.property(fc.array(parts), (text) => {
        expect(cleanText(text.join(''))).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      }),
      { numRuns: 500 },
    );
  });
});
