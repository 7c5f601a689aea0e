import { describe, expect, test } from 'vitest';
import { isCurrent, type Look } from './look.ts';

const nodes = [
  {
    name: 'node-1',
    instanceId: 'i-0123456789abcdef0',
    instanceType: 't3.medium',
    privateAddress: '10.42.0.4',
    publicAddress: '203.0.113.4',
    volumeId: 'vol-0123456789abcdef0',
    zone: 'us-east-1a',
    dnsName: '',
  },
];
const look: Look = {
  asked: nodes,
  seen: { observed: [], unreachable: [], broken: [], locked: [], failures: [] },
  ended: 1_000,
};

test('a look serves again while it is seconds old', () => {
  expect(isCurrent(look, { nodes: structuredClone(nodes), now: 21_000 })).toBe(true);
  expect(isCurrent(look, { nodes, now: 21_001 })).toBe(false);
});

describe('a look does not serve again', () => {
  const now = 2_000;
  test.each([
    ['if a node has another address', [{ ...nodes[0], publicAddress: '203.0.113.5' }]],
    ['if a node has another instance', [{ ...nodes[0], instanceId: 'i-0123456789abcdef1' }]],
    ['if there is one node more', [...nodes, { ...nodes[0], name: 'node-2' }]],
    ['if a node is gone', []],
  ])('%s', (_, present) => {
    expect(isCurrent(look, { nodes: present as typeof nodes, now })).toBe(false);
  });

  test('if a node did not answer', () => {
    const seen = { ...look.seen, unreachable: ['node-1'] };
    expect(isCurrent({ ...look, seen }, { nodes, now })).toBe(false);
  });
});
