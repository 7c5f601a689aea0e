import { describe, expect, test } from 'vitest';
import { createDesired } from '../cluster/testing/fixtures.ts';
import { requireNodeCount } from './node-count.ts';

const { nodes } = createDesired({ size: 3 });

describe('requireNodeCount', () => {
  test('too many nodes: names the leaving ones and the job that removes them', () => {
    expect(() => requireNodeCount(nodes, 1)).toThrow(
      /asks for 2 nodes, Terraform's state has 3\. node-3 leaves, .* run that job again.*Or give replica-count 2\.$/,
    );
    expect(() => requireNodeCount(nodes, 0)).toThrow(/ node-2, node-3 leave, /);
  });

  test('too few nodes: asks for apply', () => {
    expect(() => requireNodeCount(nodes, 3)).toThrow(
      /state has 3\. Run apply first\. Or give replica-count 2/,
    );
  });
});
