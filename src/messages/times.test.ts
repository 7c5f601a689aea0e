import { describe, expect, test } from 'vitest';
import { formatAge, formatMoment, formatSecond } from './times.ts';

const at = (text: string) => Date.parse(text) / 1000;
const NOW = at('2026-11-26T09:41:00Z');

describe('times', () => {
  test.each([
    ['2026-11-26T02:31:59Z', '02:31', '7 h ago'],
    ['2026-11-26T09:40:30Z', '09:40', '30 s ago'],
    ['2026-11-26T08:50:00Z', '08:50', '51 min ago'],
    ['2026-11-25T23:59:00Z', '25 Nov 23:59', '9 h ago'],
    ['2026-11-24T09:42:00Z', '24 Nov 09:42', '47 h ago'],
    ['2026-11-24T09:41:00Z', '24 Nov 09:41', '2 days ago'],
    ['2025-12-31T02:30:00Z', '31 Dec 2025 02:30', '330 days ago'],
    // A node's clock may be ahead.
    ['2026-11-26T09:42:00Z', '09:42', '1 s ago'],
  ])('%s', (text, moment, age) => {
    expect(formatMoment(at(text), NOW)).toBe(moment);
    expect(formatAge(at(text), NOW)).toBe(age);
  });

  test('are shown to the second where they are exact', () => {
    expect(formatSecond(NOW + 3.999)).toBe('2026-11-26 09:41:03 UTC');
  });
});
