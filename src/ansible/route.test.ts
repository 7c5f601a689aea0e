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
  /** The connections of an endpoint (EC2 User Guide, "Quotas for EC2 Instance Connect Endpoint"). */
  const QUOTA = 20;
  const COUNTS = Array.from({ length: 30 }, (_, index) => index + 1);
  /** The most tunnels at once: one that stays open for each node, or one for each task and each question. */
  const countTunnels = (count: number) => {
    const { keep, forks, progress } = limitConnections(THROUGH, count);
    // Without a limit: the forks in ansible.cfg.
    const working = Math.min(count, forks ?? 20);
    return keep ? count : working + Math.min(count, progress);
  };

  test.each(COUNTS)('%i nodes never need more tunnels than there are', (count) => {
    expect(countTunnels(count)).toBeLessThanOrEqual(MAX_TUNNELS);
  });

  test('a deploy and a review beside it, which may see other nodes, fit into the quota', () => {
    const runs = COUNTS.map((count) => ({ count, tunnels: countTunnels(count) }));
    const pairs = runs.flatMap((deploy) => runs.map((review) => ({ deploy, review })));
    expect(pairs.filter((pair) => pair.deploy.tunnels + pair.review.tunnels > QUOTA)).toEqual([]);
    // The broker holds each run to its part, whatever ssh asks for.
    expect(2 * MAX_TUNNELS).toBeLessThanOrEqual(QUOTA);
    // Twelve nodes use what there is: fewer forks would make the run slower for nothing.
    expect(countTunnels(12)).toBe(MAX_TUNNELS);
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
