import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byteLength, fitSections, fixed, type Section } from './budget.ts';

/** Returns a section that can be cut to any length. */
const elastic = (shrinkOrder: number, text: string): Section => ({
  shrinkOrder,
  render: (room) => (room >= text.length ? text : text.slice(0, Math.max(0, room))),
});

test.each<[string, Section[], number, string]>([
  ['all sections that fit', [fixed('a'), elastic(1, 'bb'), fixed('c')], 99, 'a\n\nbb\n\nc\n'],
  ['nothing for an empty section', [fixed('a'), fixed(''), fixed('c')], 99, 'a\n\nc\n'],
  ['the lowest number cut first', [elastic(2, 'xxxx'), elastic(1, 'yyyy')], 9, 'xxxx\n\nyy\n'],
  ['the next one cut if that is not enough', [elastic(2, 'xxxx'), elastic(1, 'yyyy')], 4, 'x\n'],
])('fitSections returns %s', (_case, sections, budget, text) => {
  expect(fitSections(sections, budget)).toBe(text);
});

test('fitSections keeps the budget whenever the fixed sections do', () => {
  const texts = fc.array(fc.tuple(fc.nat(3), fc.string({ minLength: 1, maxLength: 60 })));
  fc.assert(
    fc.property(texts, fc.nat(200), (parts, extra) => {
      const sections = [
        fixed('head'),
        ...parts.map(([order, text]) => elastic(order, text.replace(/[^ -~]/g, '.'))),
      ];
      expect(byteLength(fitSections(sections, 8 + extra))).toBeLessThanOrEqual(8 + extra);
    }),
  );
});

test.each([
  ['ASCII', 'abc', 3],
  ['an umlaut', 'ü', 2],
  ['an elephant', '🐘', 4],
])('byteLength of %s', (_case, text, bytes) => {
  expect(byteLength(text)).toBe(bytes);
  expect(byteLength(text)).toBeGreaterThanOrEqual(text.length);
});
