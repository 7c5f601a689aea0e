import { describe, expect, test } from 'vitest';
import { planFailover } from './failover.ts';
import { createDesired, createHealthy } from './fixtures.ts';
import { describeFreshNode, type NodeObservation } from './observation.ts';

const desired = createDesired();

/** The cluster after its primary died: node-1 is stopped, or out of reach and not seen at all. */
function createFailed(
  { reachable, lsn = {} }: { reachable: boolean; lsn?: Readonly<Record<string, string>> },
  cluster = desired,
): { observed: NodeObservation[]; unreachable: string[] } {
  const observed = createHealthy(cluster).map((node): NodeObservation => {
    const { postgres } = node;
    if (node.name === 'node-1') {
      const control = { state: 'in production', timeline: 1, lsn: '0/3000100' };
      return { ...node, postgres: null, control };
    }
    return {
      ...node,
      postgres: postgres && { ...postgres, receiver: null, lsn: lsn[node.name] ?? postgres.lsn },
    };
  });
  return reachable
    ? { observed, unreachable: [] }
    : { observed: observed.slice(1), unreachable: ['node-1'] };
}

const plan = (sighting: ReturnType<typeof createFailed>, fenced: string | null = null) =>
  planFailover(sighting, { desired, fenced });

const listSteps = (result: ReturnType<typeof planFailover>): string[] =>
  'steps' in result ? result.steps.map(({ kind, nodes }) => `${kind} ${nodes}`) : [];

describe('planFailover', () => {
  test('fences a primary that is down, then promotes', () => {
    const result = plan(createFailed({ reachable: true }));
    expect(listSteps(result)).toEqual(['fence node-1', 'promote node-2']);
    expect(result).toMatchObject({
      primary: 'node-2',
      steps: [{}, { slots: ['node_1', 'node_3'] }],
      observeAgain: true,
    });
  });

  test('promotes the replica that has the most changes, compared as numbers', () => {
    const lsn = { 'node-2': '0/FFFFFFF', 'node-3': '1/0' };
    expect(listSteps(plan(createFailed({ reachable: true, lsn })))).toContain('promote node-3');
  });

  test('an instance that cannot be reached is replaced first, unless a person vouches for it', () => {
    const failed = createFailed({ reachable: false });
    expect(listSteps(plan(failed))).toEqual(['replace node-1', 'promote node-2']);
    const vouched = plan(failed, 'node-1');
    expect(listSteps(vouched)).toEqual(['promote node-2']);
    // Nobody waits for it, and nothing is kept for it.
    expect(vouched).toMatchObject({ steps: [{ slots: ['node_3'] }] });
  });

  test('an instance that was replaced needs no fence', () => {
    const { observed } = createFailed({ reachable: true });
    const replaced = { ...describeFreshNode('node-1') };
    const result = plan({ observed: [replaced, ...observed.slice(1)], unreachable: [] });
    expect(listSteps(result)).toEqual(['promote node-2']);
  });

  test.each<[string, ReturnType<typeof planFailover>, RegExp]>([
    [
      'a primary that answers',
      planFailover(
        { observed: createHealthy(desired), unreachable: [] },
        { desired, fenced: null },
      ),
      /node-1 answers as the primary/,
    ],
    [
      'a cluster without a replica to promote',
      planFailover(
        {
          observed: createFailed({ reachable: true }).observed.slice(0, 1),
          unreachable: ['node-2'],
        },
        { desired, fenced: null },
      ),
      /No replica with data can be reached \(out of reach: node-2\)/,
    ],
    [
      'the name of a node that was no primary',
      plan(createFailed({ reachable: true }), 'node-2'),
      /fenced: node-2 was not the primary, node-1 was/,
    ],
  ])('refuses %s', (_, result, reason) => {
    expect(result.refusals.join('\n')).toMatch(reason);
  });

  test('with quorum commit it refuses when acknowledged rows may be on nodes that are away', () => {
    const synchronous = createDesired({ synchronousReplicas: 1 });
    const { observed } = createFailed({ reachable: true }, synchronous);
    const without = observed.filter(({ name }) => name !== 'node-3');
    const result = planFailover(
      { observed: without, unreachable: ['node-3'] },
      { desired: synchronous, fenced: null },
    );
    expect(result.refusals.join()).toMatch(/Commits waited for 1 replica, and node-3/);
    const all = planFailover({ observed, unreachable: [] }, { desired: synchronous, fenced: null });
    expect(all.refusals).toEqual([]);
  });
});
