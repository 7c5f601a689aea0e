import { describe, expect, test } from 'vitest';
import { decodeValue, encodeValue, hasUnknown, isSame, UNKNOWN, type Value } from './values.ts';

describe('MessagePack', () => {
  test.each<[string, Value]>([
    ['null', null],
    ['text', 'a'],
    ['a number', 3000],
    ['a fraction', 0.5],
    ['a list in a block', { tags: { a: 'b' }, list: ['x', true, null] }],
    ['something unknown inside', { id: UNKNOWN, blocks: [{ iops: UNKNOWN }] }],
  ])('%s survives a round trip', (_name, value) => {
    expect(decodeValue(encodeValue(value))).toEqual(value);
  });

  test('an unknown is extension 0, as Terraform writes it', () => {
    expect([...encodeValue(UNKNOWN)]).toEqual([0xd4, 0x00, 0x00]);
    expect(decodeValue(Uint8Array.from([0xd4, 0x00, 0x00]))).toBe(UNKNOWN);
  });

  test('an unknown with refinements is also unknown', () => {
    // Extension 12, two bytes: a map that says "not null".
    expect(decodeValue(Uint8Array.from([0xc7, 0x03, 0x0c, 0x81, 0x01, 0xc2]))).toBe(UNKNOWN);
  });

  test('an empty buffer is null', () => {
    expect(decodeValue(new Uint8Array())).toBe(null);
  });
});

test.each<[string, boolean, Value, Value, boolean]>([
  ['lists in another order', false, ['a', 'b'], ['b', 'a'], false],
  ['sets in another order', true, ['a', 'b'], ['b', 'a'], true],
  ['maps in another order', false, { a: 1, b: 2 }, { b: 2, a: 1 }, true],
  ['unknown and known', false, UNKNOWN, 'a', false],
])('isSame: %s', (_name, set, left, right, expected) => {
  expect(isSame(left, right, set ? ['set', 'string'] : undefined)).toBe(expected);
});

test('hasUnknown searches nested values', () => {
  expect(hasUnknown({ a: [{ b: UNKNOWN }] })).toBe(true);
  expect(hasUnknown({ a: [{ b: null }] })).toBe(false);
});
