import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatQuantity, listUnits } from './parse-value.ts';
import { isInForce, MANAGED_SETTINGS, mergeSettings, type SettingInForce } from './settings.ts';

/** A row of `pg_settings` as a server with the value in its file shows it. */
function createRow(overrides: Partial<SettingInForce>): SettingInForce {
  return {
    setting: '',
    unit: null,
    context: 'postmaster',
    type: 'string',
    min: null,
    max: null,
    words: [],
    default: null,
    fromFile: true,
    ...overrides,
  };
}
const integer = (setting: string, unit: string | null, rest: Partial<SettingInForce> = {}) =>
  createRow({ type: 'integer', setting, unit, ...rest });
const word = (setting: string, ...words: string[]) =>
  createRow({ type: 'enum', setting, words: [setting, ...words] });

describe('settings that follow the size of the data volume', () => {
  test.each([
    [1, '256MB', '102MB'],
    [10, '2560MB', '1GB'],
    [16, '4GB', '1638MB'],
    [20, '5GB', '2GB'],
    [21, '5376MB', '2GB'],
    [500, '125GB', '2GB'],
    [65_536, '16384GB', '2GB'],
  ])('on %i GiB', (dataGib, max_slot_wal_keep_size, wal_keep_size) => {
    expect(mergeSettings({}, { dataGib })).toEqual({
      ...MANAGED_SETTINGS,
      max_slot_wal_keep_size,
      wal_keep_size,
    });
  });

  test('are the same text as before on the default volume, so that an upgrade reloads nothing', () => {
    expect(mergeSettings({}, { dataGib: 20 })).toEqual(MANAGED_SETTINGS);
  });

  test("are overridden by the team's", () => {
    const chosen = { max_slot_wal_keep_size: '10GB', wal_keep_size: '0' };
    expect(mergeSettings(chosen, { dataGib: 500 })).toMatchObject(chosen);
  });
});

describe('isInForce', () => {
  test.each<[string, SettingInForce, boolean]>([
    ['256MB', integer('32768', '8kB'), true],
    ['256MB', integer('16384', '8kB'), false],
    ['0.25GB', integer('32768', '8kB'), true],
    ['262144 kB', integer('32768', '8kB'), true],
    ['262145kB', integer('32768', '8kB'), true],
    ['256mb', integer('32768', '8kB'), false],
    ['32768', integer('32768', '8kB'), true],
    ['0x8000', integer('32768', '8kB'), true],
    ['5GB', integer('5120', 'MB'), true],
    ['30s', integer('30000', 'ms'), true],
    ['1min', integer('60', 's'), true],
    ['0.5min', integer('30', 's'), true],
    ['-1', integer('-1', 'ms'), true],
    ['100', integer('200', null), false],
    ['100.4', integer('100', null), true],
    ['0700', integer('448', null), true],
    ['448', integer('0700', null), true],
    ['1.23456789', createRow({ type: 'real', setting: '1.23457' }), true],
    ['1.2', createRow({ type: 'real', setting: '1.20001' }), false],
    ['2000us', createRow({ type: 'real', setting: '2', unit: 'ms' }), true],
    ['yes', createRow({ type: 'bool', setting: 'on' }), true],
    ['FALS', createRow({ type: 'bool', setting: 'off' }), true],
    ['0', createRow({ type: 'bool', setting: 'off' }), true],
    ['on', createRow({ type: 'bool', setting: 'off' }), false],
    ['Logical', word('logical', 'replica'), true],
    ['replica', word('logical', 'replica'), false],
    ['true', word('on', 'off', 'local'), true],
    ['on', word('pglz', 'lz4', 'on', 'off'), true],
    ['*', createRow({ setting: '*' }), true],
    ['a,b', createRow({ setting: 'a, b' }), false],
    ['100', createRow({ setting: '0x64' }), false],
    ['lots', integer('many', null), false],
  ])('%s against %o is %s', (wanted, inForce, expected) => {
    expect(isInForce(wanted, inForce)).toBe(expected);
  });

  test('a size that the server chose itself equals the default', () => {
    // Both as PostgreSQL 18 shows them for wal_buffers = -1.
    const chosen = integer('512', '8kB', { default: '-1', fromFile: false });
    expect(isInForce('-1', chosen)).toBe(true);
    expect(isInForce('4MB', chosen)).toBe(true);
    expect(isInForce('1MB', chosen)).toBe(false);
    expect(isInForce('-1', { ...chosen, setting: '128', fromFile: true })).toBe(false);
  });

  test('a hidden archive_command counts as unchanged', () => {
    expect(isInForce("cp '%p' /a", createRow({ setting: '(disabled)' }))).toBe(true);
  });

  test('every spelling of a number is the same number', () => {
    const units = fc.constantFrom('B', 'kB', '8kB', 'MB', 'ms', 's', 'min');
    fc.assert(
      fc.property(units, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (unit, number) => {
        const inForce = integer(String(number), unit);
        expect(isInForce(formatQuantity(number, unit), inForce)).toBe(true);
        expect(isInForce(`0x${number.toString(16)}`, inForce)).toBe(true);
        expect(isInForce(` 0${number.toString(8)} `, inForce)).toBe(true);
        expect(isInForce(formatQuantity(number + 1, unit), inForce)).toBe(false);
        expect(listUnits(unit)).toContain(/[A-Za-z]+$/.exec(formatQuantity(number, unit))?.[0]);
      }),
    );
  });
});
