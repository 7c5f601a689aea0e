import { expect, test } from 'vitest';
import { readQuorum } from './node-settings.ts';

test.each([
  ['', 0],
  ['ANY 1 (node_1, node_2)', 1],
  ['ANY 2 (node_1, node_2, node_3)', 2],
  // What ALTER SYSTEM may have written (PostgreSQL manual, 19.6.2).
  ['any 2 (*)', 2],
  ['FIRST 2 (node_2, node_3)', 2],
  ['2(node_2, node_3)', 2],
  ['*', 1],
  ['node_2, node_3', 1],
  ['"ANY 3 (x"', 1],
])('%j makes a commit wait for %i', (names, quorum) => {
  expect(readQuorum(names)).toBe(quorum);
});
