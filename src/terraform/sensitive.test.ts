import { expect, it } from 'vitest';
import { createMask, listSensitive } from './sensitive.ts';

it.each<
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

it.each<[string, string[], string, string]>([
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
])('createMask hides %s', (_case, texts, text, masked) => {
  expect(createMask(texts)(text)).toBe(masked);
});
