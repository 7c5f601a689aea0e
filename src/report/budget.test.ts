import fc from 'fast-check';
import { expect, it } from 'vitest';
import { byteLength, fitSections, fixed, type Section } from './budget.ts';

/** A section that can be any length up to its own. */
const elastic = (shrinkOrder: number, text: string): Section => ({
  shrinkOrder,
  render: (room) => (room >= text.length ? text : text.slice(0, Math.max(0, room))),
});

it.each<[string, Section[], number, string]>([
  ['all, when it fits', [fixed('a'), elastic(1, 'bb'), fixed('c')], 99, 'a\n\nbb\n\nc\n'],
  ['nothing for an empty section', [fixed('a'), fixed(''), fixed('c')], 99, 'a\n\nc\n'],
  ['the lowest number cut first', [elastic(2, 'xxxx'), elastic(1, 'yyyy')], 9, 'xxxx\n\nyy\n'],
  ['the next one cut when that is not enough', [elastic(2, 'xxxx'), elastic(1, 'yyyy')], 4, 'x\n'],
])('fitSections gives %s', (_case, sections, budget, text) => {
  expect(fitSections(sections, budget)).toBe(text);
});

it('fitSections keeps the budget whenever the fixed sections do', () => {
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

it.each([
  ['ASCII', 'abc', 3],
  ['an umlaut', 'ü', 2],
  ['an elephant', '🐘', 4],
])('byteLength of %s', (_case, text, bytes) => {
  expect(byteLength(text)).toBe(bytes);
  expect(byteLength(text)).toBeGreaterThanOrEqual(text.length);
});
