import { describe, expect, test } from 'vitest';
import { isInForce, parseMemory } from './settings.ts';

describe('parseMemory', () => {
  test.each<[string, number | null]>([
    ['256MB', 268_435_456],
    ['1GB', 1_073_741_824],
    ['128 kB', 131_072],
    ['256', null],
    ['256mb', null],
    ['-1MB', null],
  ])('%s', (value, bytes) => {
    expect(parseMemory(value)).toBe(bytes);
  });
});

describe('isInForce', () => {
  test.each<[string, string, string | null, boolean]>([
    ['256MB', '32768', '8kB', true],
    ['256MB', '16384', '8kB', false],
    ['5GB', '5120', 'MB', true],
    ['30s', '30000', 'ms', true],
    ['1min', '60', 's', true],
    ['32768', '32768', '8kB', true],
    ['yes', 'on', null, true],
    ['0', 'off', null, true],
    ['on', 'off', null, false],
    ['*', '*', null, true],
    ['replica', 'logical', null, false],
    ['100', '200', null, false],
  ])('%s against %s × %s is %s', (wanted, setting, unit, expected) => {
    const inForce = { setting, unit, context: 'postmaster', overridden: false };
    expect(isInForce(wanted, inForce)).toBe(expected);
  });
});
