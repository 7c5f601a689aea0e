import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy } from '../cluster/fixtures.ts';
import { requireSight } from './configure.ts';

const desired = createDesired({ size: 3 });
const [first, second, third] = desired.nodes;
if (!first || !second || !third) throw new Error('three nodes');
const shrinking = { ...desired, nodes: [first, second], leaving: [third] };
const healthy = createHealthy(desired);
const seen = healthy.filter(({ name }) => name !== 'node-3');
const failures = ['node-3: it failed'];
const away = { observed: seen, unreachable: ['node-3'], broken: [], failures };

describe('nodes that could not be looked at', () => {
  test('none: everything that was seen', () => {
    const sighting = { observed: healthy, unreachable: [], broken: [], failures: [] };
    expect(requireSight(sighting, desired)).toBe(healthy);
  });

  test('one that stays: nothing is done, and how to bring it back', () => {
    expect(() => requireSight(away, desired)).toThrow(
      /it failed[\s\S]*node-3 could not be reached.*command: failover/,
    );
  });

  test('one that leaves and is out of reach: nothing is left to be done on it', () => {
    const observed = requireSight(away, shrinking);
    expect(observed.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(observed[2]).toMatchObject({ data: 'absent', postgres: null });
  });

  test('but not one that SSH reaches: its server may run', () => {
    const broken = { ...away, broken: ['node-3'] };
    expect(() => requireSight(broken, shrinking)).toThrow(
      /node-3 can be logged in to, but the look at it failed/,
    );
  });

  test('nor where nobody is primary: it may be the one', () => {
    const replicas = { ...away, observed: seen.filter(({ name }) => name !== 'node-1') };
    expect(() => requireSight(replicas, shrinking)).toThrow(/node-3 could not be reached/);
  });
});
