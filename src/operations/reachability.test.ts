import { describe, expect, test } from 'vitest';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { requireObservation, UnreachableError } from './reachability.ts';

const desired = createDesired({ size: 3 });
const [first, second, third] = desired.nodes;
if (!first || !second || !third) throw new Error('three nodes');
const shrinking = { ...desired, nodes: [first, second], leaving: [third] };
const healthy = createHealthy(desired);
const seen = healthy.filter(({ name }) => name !== 'node-3');
const failures = ['node-3: Log in: timed out'];
const away = { observed: seen, unreachable: ['node-3'], broken: [], locked: [], failures };
const states = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };
const vantage = { via: 'direct' as const, sshCidrs: ['203.0.113.0/24'], addresses: [] };
const options = { asked: desired.nodes, states, vantage };

describe('requireObservation', () => {
  test('what ssh said is kept apart from the explanation', () => {
    const names = desired.nodes.map(({ name }) => name);
    const said = names.map((name) => `${name}: Log in: ssh: connect to host 10.0.0.1: timed out`);
    const nobody = { ...away, observed: [], unreachable: names, failures: said };
    const find = (): unknown => {
      try {
        return requireObservation(nobody, desired, options);
      } catch (error) {
        return error;
      }
    };
    expect(find()).toBeInstanceOf(UnreachableError);
    expect(find()).toMatchObject({
      explanation: [expect.any(String)],
      failures: [],
      transcripts: said,
    });
  });

  test('what failed on a node that can be logged in to is named', () => {
    const broken = { ...away, broken: ['node-3'], failures: ['node-3: Look: no space left'] };
    expect(() => requireObservation(broken, desired, options)).toThrow(/no space left$/);
  });

  test('all nodes observed: returns them', () => {
    const observation = { ...away, observed: healthy, unreachable: [], failures: [] };
    expect(requireObservation(observation, desired, options)).toEqual({
      observed: healthy,
      away: [],
    });
  });

  test('a replica that stays is unreachable: it is skipped', () => {
    expect(requireObservation(away, desired, options)).toEqual({
      observed: seen,
      away: ['node-3'],
    });
  });

  test('a node that was given up earlier stays away', () => {
    const later = { ...away, unreachable: [], failures: [] };
    expect(requireObservation(later, desired, { ...options, away: ['node-3'] })).toEqual({
      observed: seen,
      away: ['node-3'],
    });
  });

  test('an unreachable node is refused if no primary was observed: it may be the primary', () => {
    const replicas = { ...away, observed: seen.filter(({ name }) => name !== 'node-1') };
    for (const one of [desired, shrinking]) {
      expect(() => requireObservation(replicas, one, options)).toThrow(
        /^node-3 cannot be reached[\s\S]*command: failover/,
      );
    }
  });

  test('an unreachable node is refused if this run created it', () => {
    expect(() => requireObservation(away, desired, { ...options, fresh: ['node-3'] })).toThrow(
      /node-3 cannot be reached/,
    );
  });

  test('an unobserved node is refused if its SSH server answers: PostgreSQL may be running', () => {
    const broken = { ...away, broken: ['node-3'] };
    for (const one of [desired, shrinking]) {
      expect(() => requireObservation(broken, one, options)).toThrow(
        /node-3 can be logged in to, but the look at it failed/,
      );
    }
    const locked = { ...away, locked: ['node-3'] };
    expect(() => requireObservation(locked, desired, options)).toThrow(/ssh-private-key/);
  });

  test('a leaving node that refuses the login is named if no primary was observed: it may be the primary', () => {
    const replicas = { ...away, observed: seen.filter(({ name }) => name !== 'node-1') };
    const locked = { ...replicas, locked: ['node-3'] };
    expect(() => requireObservation(locked, shrinking, options)).toThrow(
      /^node-3: the SSH server answers, but the login .*ssh-private-key/,
    );
  });

  test('a leaving node that refuses the login needs no more work if another is the primary', () => {
    const locked = { ...away, locked: ['node-3'] };
    expect(requireObservation(locked, shrinking, options).away).toEqual([]);
  });

  test('no refusal is without a sentence', () => {
    expect(() => new UnreachableError([], { failures: [], transcripts: [] })).toThrow(/sentence/);
  });

  test('all nodes unreachable: the likely cause comes first', () => {
    const names = desired.nodes.map(({ name }) => name);
    const nobody = { ...away, observed: [], unreachable: names };
    expect(() => requireObservation(nobody, desired, options)).toThrow(
      /^None of the nodes answers SSH.*not in ssh-cidrs.*203\.0\.113\.0\/24/,
    );
  });

  test('a leaving node is unreachable: it needs no more work', () => {
    const found = requireObservation(away, shrinking, options);
    expect(found.away).toEqual([]);
    expect(found.observed.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(found.observed[2]).toMatchObject({ data: 'absent', postgres: null });
  });
});
