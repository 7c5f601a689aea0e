import { expect, test } from 'vitest';
import { listSome } from './list-some.ts';

test.each([
  [[], ''],
  [['a'], 'a'],
  [['a', 'b'], 'a, b'],
  [['a', 'b', 'c'], 'a, b and 1 more'],
  [['a', 'b', 'c', 'd', 'e'], 'a, b and 3 more'],
])('lists at most two of %j', (items, text) => {
  expect(listSome(items, 2)).toBe(text);
});
