import { describe, expect, test } from 'vitest';
import { formatQuantity, parseBoolean, parseInteger, parseReal, parseWord } from './parse-value.ts';

// The values are what PostgreSQL 14, 17 and 18 made of them with set_config.

describe('parseInteger', () => {
  test.each<[string, string | null, number | null]>([
    ['100', null, 100],
    [' +100 ', null, 100],
    ['-1', 'kB', -1],
    ['0x1F', null, 31],
    ['0x1e3', null, 483],
    ['017', null, 15],
    ['08', null, null],
    ['010.5', null, 10],
    ['1e3', null, 1000],
    ['1E', null, null],
    ['0x1.8', null, 2],
    ['2.5', null, 2],
    ['3.5', null, 4],
    ['-2.5', null, -2],
    ['.5', null, 0],
    [' .5', null, null],
    ['-.5', null, null],
    ['-0', null, 0],
    ['2147483647', null, 2_147_483_647],
    ['2147483648', null, null],
    ['1e400', null, null],
    ['inf', null, null],
    ['nan', null, null],
    ['', null, null],
    ['-', null, null],
    ['1_000', null, null],
    ['1kB', null, null],
    ['256MB', '8kB', 32_768],
    ['256 MB ', '8kB', 32_768],
    ['256mb', '8kB', null],
    ['256 M B', '8kB', null],
    ['256MB', 'ms', null],
    ['30.1GB', 'kB', 31_561_728],
    ['1.5GB', '8kB', 196_608],
    ['0x10kB', 'kB', 16],
    ['12287B', '8kB', 1],
    ['12289B', '8kB', 2],
    ['1TB', 'B', null],
    ['500us', 'ms', 0],
    ['1501us', 'ms', 2],
    ['1.5min', 's', 90],
    ['1d', 'min', 1440],
    ['1.5', 'kB', 2],
  ])('%j in %s is %s', (value, unit, expected) => {
    expect(parseInteger(value, unit)).toBe(expected);
  });
});

describe('parseReal', () => {
  test.each<[string, string | null, number | null]>([
    ['1.1', null, 1.1],
    [' .5', null, 0.5],
    ['1e-2', null, 0.01],
    ['0x1.8p1', null, 3],
    ['1e-400', null, null],
    ['0e9', null, 0],
    ['2ms', 'ms', 2],
    ['100us', 'ms', 0.1],
    ['1', 'ms', 1],
    ['1kB', 'ms', null],
    ['fast', null, null],
  ])('%j in %s is %s', (value, unit, expected) => {
    expect(parseReal(value, unit)).toBe(expected);
  });
});

test.each<[string, boolean | null]>([
  ['on', true],
  ['T', true],
  ['tru', true],
  ['YES', true],
  ['1', true],
  ['of', false],
  ['f', false],
  ['No', false],
  ['0', false],
  ['o', null],
  ['', null],
  ['00', null],
  [' on', null],
  ['truer', null],
])('parseBoolean(%j) is %s', (value, expected) => {
  expect(parseBoolean(value)).toBe(expected);
});

test.each<[string, readonly string[], string | null]>([
  ['DDL', ['none', 'ddl'], 'ddl'],
  ['dd', ['none', 'ddl'], null],
  ['true', ['on', 'off', 'try'], 'on'],
  ['NO', ['on', 'off', 'try'], 'off'],
  ['t', ['on', 'off', 'try'], null],
  ['1', ['none', 'ddl'], null],
  ['yes', ['pglz', 'lz4', 'on', 'off'], 'pglz'],
  ['on', ['pglz', 'lz4'], null],
  ['debug', ['debug2', 'log'], 'debug2'],
  ['info', ['debug2', 'log'], 'info'],
])('parseWord(%j) of %j is %s', (value, words, expected) => {
  expect(parseWord(value, words)).toBe(expected);
});

test.each<[number, string | null, string]>([
  [16_384, '8kB', '128MB'],
  [1_073_741_823, '8kB', '8589934584kB'],
  [64, 'kB', '64kB'],
  [90, 's', '90s'],
  [86_400, 's', '1d'],
  [-1, 'ms', '-1ms'],
  [0, 'ms', '0ms'],
  [0, '8kB', '0kB'],
  [0.1, 'ms', '100us'],
  [100, null, '100'],
])('formatQuantity(%s, %s) is %s', (number, unit, expected) => {
  expect(formatQuantity(number, unit)).toBe(expected);
});
