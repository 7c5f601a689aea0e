import { describe, expect, test } from 'vitest';
import { buildFreshObservation, type NodeObservation } from '../observation.ts';
import { createFailed, createFenced, listSteps, RUNNING } from '../testing/failover-fixtures.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { listRefusals } from '../testing/rollout-fixtures.ts';
import { planFailover } from './failover.ts';

const desired = createDesired();
const plan = (observation: ReturnType<typeof createFailed>, fenced: string | null = null) =>
  planFailover(observation, { desired, fenced });

describe('planFailover', () => {
  test('fences a primary that is down, then promotes', () => {
    const result = plan(createFailed({ reachable: true }));
    expect(listSteps(result)).toEqual(['fence node-1']);
    expect(result).toMatchObject({ observeAgain: true });
    // The most advanced replica is chosen again once no client writes.
    expect(plan(createFenced())).toMatchObject({
      primary: 'node-2',
      steps: [{ kind: 'promote', nodes: ['node-2'], slots: ['node_1', 'node_3'] }],
      observeAgain: true,
    });
  });

  test('an incomplete fence is fenced again', () => {
    const running = createFenced({ container: { state: 'running', current: true } });
    expect(listSteps(plan(running))).toEqual(['fence node-1']);
  });

  test('Never two primaries: a declaration does not replace a failed fence on a node that was reached', () => {
    const asked = { ...createFailed({ reachable: false }), states: null };
    expect(listSteps(plan(asked, 'node-1'))).toEqual(['promote node-2']);
    const failed = { ...asked, reached: ['node-1', 'node-2', 'node-3'] };
    expect(listSteps(plan(failed, 'node-1'))).toEqual(['halt node-1']);
  });

  test('a fenced server that runs is not taken for a running primary', () => {
    const fenced = createFenced();
    const [old, ...others] = fenced.observed;
    const replica = createHealthy(desired, 'node-2')[0]?.postgres ?? null;
    const observed = [
      { ...old, postgres: replica && { ...replica, receiver: null } } as NodeObservation,
      ...others.map((node) => ({ ...node, upstreamAnswers: true })),
    ];
    expect(listRefusals(plan({ ...fenced, observed })).join()).not.toMatch(/it is not lost/);
  });

  test('of two equal replicas, the one whose volume accepts writes is promoted', () => {
    const fenced = createFenced();
    const observed = fenced.observed.map((node) =>
      node.name === 'node-2' ? { ...node, volume: { ...node.volume, readOnly: true } } : node,
    );
    expect(listSteps(plan({ ...fenced, observed }))).toEqual(['promote node-3']);
  });

  test('a node whose volume rejects writes can neither be fenced nor promoted', () => {
    const turn = (observation: ReturnType<typeof createFailed>, name: string) => ({
      ...observation,
      observed: observation.observed.map((node) =>
        node.name === name ? { ...node, volume: { ...node.volume, readOnly: true } } : node,
      ),
    });
    expect(listRefusals(plan(turn(createFailed({ reachable: true }), 'node-1')))).toEqual([
      expect.stringMatching(/^The data volume of node-1, .*Stop its instance/),
    ]);
    expect(listRefusals(plan(turn(createFenced({}, { 'node-2': '0/5000000' }), 'node-2')))).toEqual(
      [expect.stringMatching(/^node-2 has the most changes, .*takes no writes.*reboot/)],
    );
    expect(listSteps(plan(turn(createFenced(), 'node-3')))).toEqual(['promote node-2']);
  });

  describe('while a copy to a replica runs', () => {
    const copying =
      (name: string, state: 'running' | 'done' = 'running') =>
      (node: NodeObservation) =>
        node.name !== name
          ? node
          : {
              ...node,
              postgres: null,
              container: null,
              control: { state: 'shut down in recovery', timeline: 1, lsn: '9/0' },
              work: {
                ...{ kind: 'clone' as const, state, source: '10.42.0.11' },
                ...{ doneBytes: 1, totalBytes: null, seconds: 1, problem: null },
              },
            };

    test('its old data is not promoted, and another replica is', () => {
      const fenced = createFenced();
      const observed = fenced.observed.map(copying('node-2'));
      expect(listSteps(plan({ ...fenced, observed }))).toEqual(['promote node-3']);
    });

    test('its old data counts as something that may have an acknowledged row', () => {
      const cluster = createDesired({ synchronousReplicas: 1 });
      const { observed, ...rest } = createFailed({ reachable: true }, cluster);
      const observation = { ...rest, observed: observed.map(copying('node-2')) };
      expect(
        listRefusals(planFailover(observation, { desired: cluster, fenced: null })).join(),
      ).toMatch(/what node-2 received cannot be seen.*unfinished copies.*node-2/);
    });

    test('and nothing else is left, the failover is refused with how to end the copy', () => {
      const two = createDesired({ size: 2 });
      const { observed, ...rest } = createFailed({ reachable: true }, two);
      const observation = { ...rest, observed: observed.map(copying('node-2')) };
      expect(listRefusals(planFailover(observation, { desired: two, fenced: null }))).toEqual([
        expect.stringMatching(/^node-2 has the only data.*systemctl stop postgres-cluster-/),
      ]);
    });

    test('a complete copy is newer than the data, and no unit is left to stop', () => {
      const two = createDesired({ size: 2 });
      const { observed, ...rest } = createFailed({ reachable: true }, two);
      const observation = { ...rest, observed: observed.map(copying('node-2', 'done')) };
      const [refusal] = listRefusals(planFailover(observation, { desired: two, fenced: null }));
      expect(refusal).toMatch(/complete copy of node-1.*data\.partial to data.*work\.json/);
      expect(refusal).not.toContain('systemctl');
    });
  });

  test('promotes the replica that has the most changes, compared as numbers', () => {
    const lsn = { 'node-2': '0/FFFFFFF', 'node-3': '1/0' };
    expect(listSteps(plan(createFenced({}, lsn)))).toEqual(['promote node-3']);
  });

  describe('Never two primaries: the instance of an unreachable primary', () => {
    const failed = createFailed({ reachable: false });
    const inState = (state: string) => ({ ...failed, states: { ...RUNNING, 'node-1': state } });
    const unknown = { ...failed, states: null };

    test.each<[string, typeof failed, string | null, string]>([
      ['runs', failed, null, 'halt node-1'],
      ['stops and does not come to an end', inState('stopping'), null, 'halt node-1'],
      ['is stopped, as EC2 says', inState('stopped'), null, 'promote node-2'],
      ['is stopped, as a person and EC2 say', inState('stopped'), 'node-1', 'promote node-2'],
      ['was terminated', { ...failed, terminated: ['node-1'] }, null, 'promote node-2'],
      [
        'was terminated, as a person knew',
        { ...failed, terminated: ['node-1'] },
        'node-1',
        'promote node-2',
      ],
      ['cannot be asked about', unknown, null, 'halt node-1'],
      ['cannot be asked about, and a person vouches', unknown, 'node-1', 'promote node-2'],
    ])('%s', (_, observation, fenced, step) => {
      const result = plan(observation, fenced);
      expect(listSteps(result)).toEqual([step]);
      // No commit waits for it, and no slot is kept for it.
      if (step.startsWith('promote'))
        expect(result).toMatchObject({ steps: [{ slots: ['node_3'] }] });
    });

    test.each(['running', 'stopping', 'pending', 'shutting-down'])(
      'is %s, and a person says it is down: refused, with both ways out',
      (state) => {
        const { instanceId } = desired.nodes[0] ?? { instanceId: 'none' };
        const reason = listRefusals(plan(inState(state), 'node-1')).join();
        expect(reason).toContain(`EC2 says that its instance ${instanceId} is ${state}`);
        expect(reason).toContain('Leave fenced out');
        expect(reason).toContain(`aws ec2 stop-instances --force --instance-ids ${instanceId}`);
      },
    );
  });

  test('a replaced instance needs no fence', () => {
    const { observed } = createFailed({ reachable: true });
    const replaced = { ...buildFreshObservation('node-1') };
    const result = plan({
      observed: [replaced, ...observed.slice(1)],
      unreachable: [],
      terminated: [],
      states: RUNNING,
    });
    expect(listSteps(result)).toEqual(['promote node-2']);
  });

  test.each<[string, ReturnType<typeof planFailover>, RegExp]>([
    [
      'a primary that answers',
      planFailover(
        { observed: createHealthy(desired), unreachable: [], terminated: [], states: RUNNING },
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
          terminated: [],
          states: RUNNING,
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
    expect(listRefusals(result).join('\n')).toMatch(reason);
  });

  test('refuses to give up a primary that its replicas can reach', () => {
    const failed = createFailed({ reachable: false });
    const observed = failed.observed.map((node) => ({ ...node, upstreamAnswers: true }));
    for (const fenced of [null, 'node-1']) {
      expect(listRefusals(plan({ ...failed, observed }, fenced)).join()).toMatch(
        /node-1 cannot be logged in to, but its PostgreSQL answers node-2/,
      );
    }
  });

  test('refuses to give up a primary that answers only its replicas', () => {
    const { observed, ...rest } = createFailed({ reachable: true });
    const witnessed = observed.map((node) => ({ ...node, upstreamAnswers: true }));
    expect(listRefusals(plan({ observed: witnessed, ...rest })).join()).toMatch(
      /node-1 lets this action open no session, but its PostgreSQL answers node-2/,
    );
  });

  test('a primary that can be reached is fenced, whatever a person declares', () => {
    expect(listSteps(plan(createFailed({ reachable: true }), 'node-1'))).toEqual(['fence node-1']);
  });

  describe('once the address of the primary has changed', () => {
    /** node-1 was replaced, node-3 cannot be reached either, and node-2 follows an address that no node has. */
    function createReplaced() {
      const { observed } = createFailed({ reachable: false });
      const stray = observed.slice(0, 1).map((node) => ({
        ...node,
        files: {
          ...node.files,
          postgresqlConf: "primary_conninfo = 'host=10.42.0.99 port=5432'\n",
        },
      }));
      return {
        observed: stray,
        unreachable: ['node-1', 'node-3'],
        terminated: ['node-1'],
        states: RUNNING,
      };
    }

    test('the former primary is known from an earlier observation', () => {
      expect(
        listSteps(
          planFailover({ ...createReplaced(), formerPrimary: 'node-1' }, { desired, fenced: null }),
        ),
      ).toEqual(['promote node-2']);
    });

    test('another unreachable node is taken for the primary only if a person declares it', () => {
      const { observed } = createReplaced();
      const booted = {
        observed: [buildFreshObservation('node-1'), ...observed],
        unreachable: ['node-3'],
        terminated: [],
        states: RUNNING,
      };
      expect(listRefusals(plan(booted)).join()).toMatch(/nothing tells which one was primary/);
      const stopped = { ...booted, states: { ...RUNNING, 'node-3': 'stopped' } };
      expect(listSteps(plan(stopped, 'node-3'))).toEqual(['promote node-2']);
    });
  });

  test('an earlier primary is not taken for the last one', () => {
    const { observed } = createFailed({ reachable: true });
    // node-1 was given up before; node-2 was primary on timeline 2 and cannot be reached now.
    const third = createHealthy(desired, 'node-2')[2] as NodeObservation;
    const follower: NodeObservation = {
      ...third,
      upstreamAnswers: false,
      postgres: third.postgres && { ...third.postgres, timeline: 2, receiver: null },
    };
    const result = plan({
      observed: [observed[0] as NodeObservation, follower],
      unreachable: ['node-2'],
      terminated: [],
      states: RUNNING,
    });
    expect(listSteps(result)).toEqual(['halt node-2']);
  });
});
