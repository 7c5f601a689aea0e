import { describe, expect, test } from 'vitest';
import type { NodeAccess } from '../ansible/nodes.ts';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { configure, requireObservation } from './configure.ts';

const desired = createDesired({ size: 3 });
const [first, second, third] = desired.nodes;
if (!first || !second || !third) throw new Error('three nodes');
const shrinking = { ...desired, nodes: [first, second], leaving: [third] };
const healthy = createHealthy(desired);
const seen = healthy.filter(({ name }) => name !== 'node-3');
const failures = ['node-3: it failed'];
const away = { observed: seen, unreachable: ['node-3'], broken: [], locked: [], failures };
const states = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };
const vantage = { sshCidrs: ['203.0.113.0/24'], addresses: [] };
const options = { asked: desired.nodes, states, vantage };

describe('nodes that could not be looked at', () => {
  test('none: everything that was seen', () => {
    const sighting = { ...away, observed: healthy, unreachable: [], failures: [] };
    expect(requireObservation(sighting, desired, options)).toEqual({ observed: healthy, away: [] });
  });

  test('one replica that stays: it is gone around', () => {
    expect(requireObservation(away, desired, options)).toEqual({
      observed: seen,
      away: ['node-3'],
    });
  });

  test('one that was given up before is not forgotten', () => {
    const later = { ...away, unreachable: [], failures: [] };
    expect(requireObservation(later, desired, { ...options, away: ['node-3'] })).toEqual({
      observed: seen,
      away: ['node-3'],
    });
  });

  test('but not where nobody is primary: it may be the one', () => {
    const replicas = { ...away, observed: seen.filter(({ name }) => name !== 'node-1') };
    for (const one of [desired, shrinking]) {
      expect(() => requireObservation(replicas, one, options)).toThrow(
        /^node-3 cannot be reached[\s\S]*command: failover[\s\S]*it failed/,
      );
    }
  });

  test('nor one that this run has made: it was to come up', () => {
    expect(() => requireObservation(away, desired, { ...options, fresh: ['node-3'] })).toThrow(
      /node-3 cannot be reached/,
    );
  });

  test('nor one whose SSH server answers: its server may run', () => {
    const broken = { ...away, broken: ['node-3'] };
    for (const one of [desired, shrinking]) {
      expect(() => requireObservation(broken, one, options)).toThrow(
        /node-3 can be logged in to, but the look at it failed/,
      );
    }
    const locked = { ...away, locked: ['node-3'] };
    expect(() => requireObservation(locked, desired, options)).toThrow(/ssh-private-key/);
  });

  test('all of them: the likely cause comes first', () => {
    const names = desired.nodes.map(({ name }) => name);
    const nobody = { ...away, observed: [], unreachable: names };
    expect(() => requireObservation(nobody, desired, options)).toThrow(
      /^None of the nodes answers SSH.*not in ssh-cidrs.*203\.0\.113\.0\/24[\s\S]*it failed$/,
    );
  });

  test('one that leaves and is out of reach: nothing is left to be done on it', () => {
    const found = requireObservation(away, shrinking, options);
    expect(found.away).toEqual([]);
    expect(found.observed.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(found.observed[2]).toMatchObject({ data: 'absent', postgres: null });
  });
});

describe('alone, on a state with another number of nodes', () => {
  const alone = (replicaCount: number) =>
    configure({ inputs: { spec: { replicaCount } } } as NodeAccess, {
      nodes: desired.nodes,
      instanceType: null,
      memoryMib: null,
      infrastructure: null,
    });

  test('more than are asked for: who leaves, and that an interrupted removal goes on with its own job', async () => {
    await expect(alone(1)).rejects.toThrow(
      /asks for 2 nodes, Terraform's state has 3\. node-3 leaves, .* run that job again.*Or give replica-count 2\.$/,
    );
    await expect(alone(0)).rejects.toThrow(/ node-2, node-3 leave, .* what is left of them\./);
  });

  test('fewer: what makes them', async () => {
    await expect(alone(3)).rejects.toThrow(
      /state has 3\. Run apply first\. Or give replica-count 2/,
    );
  });
});
