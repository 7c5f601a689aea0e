import { describe, expect, test } from 'vitest';
import { createNode } from '../cluster/testing/fixtures.ts';
import {
  DIRECT,
  limitConnections,
  MAX_TUNNELS,
  type Route,
  renderConnections,
  sshAddress,
} from './route.ts';

const THROUGH: Route = {
  kind: 'endpoint',
  endpointId: 'eice-1',
  open: async () => {
    throw new Error('not opened');
  },
};

test.each<[string, Route, string]>([
  ['directly', DIRECT, '203.0.113.11'],
  ['directly at the private address', { kind: 'direct', address: 'private' }, '10.42.0.11'],
  ['through an endpoint', THROUGH, '10.42.0.11'],
])('a node is reached %s', (_name, route, address) => {
  expect(sshAddress(createNode(1), route)).toBe(address);
});

test('a node without a public address is reached at the private one', () => {
  expect(sshAddress({ ...createNode(1), publicAddress: '' }, DIRECT)).toBe('10.42.0.11');
});

test('direct connections are as ansible.cfg says', () => {
  for (const count of [1, 8, 9, 100])
    expect(renderConnections(DIRECT, limitConnections(DIRECT, count))).toEqual({});
});

describe('through an endpoint', () => {
  // The most tunnels at once: one that stays open for each node, or one for each task and each question.
  test.each(Array.from({ length: 30 }, (_, index) => index + 1))(
    '%i nodes never need more tunnels than there are',
    (count) => {
      const { keep, forks, progress } = limitConnections(THROUGH, count);
      const working = Math.min(count, forks ?? 20);
      expect(keep ? count : working + Math.min(count, progress)).toBeLessThanOrEqual(MAX_TUNNELS);
    },
  );

  test('two runs fit into the 20 connections of an endpoint', () => {
    expect(2 * MAX_TUNNELS).toBeLessThanOrEqual(20);
  });

  test('a large cluster keeps no connection open', () => {
    const { ANSIBLE_SSH_ARGS: args, ...others } = renderConnections(
      THROUGH,
      limitConnections(THROUGH, 16),
    );
    expect(args).not.toMatch(/Persist|auto/);
    expect(others).toEqual({ ANSIBLE_TIMEOUT: '40', ANSIBLE_FORKS: '8' });
  });
});
