import { describe, expect, test } from 'vitest';
import type { NodeObservation, WorkObservation } from '../observation.ts';
import {
  createDesired,
  createFileSystem,
  createHealthy,
  createNode,
  NEWER_DIGEST,
} from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';
import type { StepOf } from './step.ts';

const desired = createDesired({ size: 4 });
const replicas = createDesired({ size: 4, clone: { from: 'replica', maxRate: null } });
const blank = (): Partial<NodeObservation> => ({
  data: 'absent',
  record: null,
  postgres: null,
  container: null,
  standby: false,
});
/** Work that a node reports. */
const copying = (work: Partial<WorkObservation> = {}): WorkObservation => ({
  kind: 'clone',
  state: 'running',
  source: createNode(1).privateAddress,
  doneBytes: 212,
  totalBytes: 500,
  seconds: 60,
  problem: null,
  ...work,
});
/** A node with old, complete data whose server was stopped for a copy. */
const copied =
  (work: Partial<WorkObservation> = {}) =>
  (node: NodeObservation): Partial<NodeObservation> => ({
    ...stopped(node),
    container: null,
    work: copying(work),
  });

function listClones(observed: readonly NodeObservation[], wanted = desired): StepOf<'clone'>[] {
  const result = rollout(observed, wanted);
  if (result.kind === 'refused') throw new Error(result.refusals.join('\n'));
  return result.steps.filter((step) => step.kind === 'clone');
}
const listSources = (...[observed, wanted]: Parameters<typeof listClones>) =>
  listClones(observed, wanted).map(({ source, nodes }) => `${source} to ${nodes}`);

describe('the source of a copy', () => {
  const observed = changeNode(createHealthy(desired), 'node-4', blank);

  test('is the primary unless a replica is asked for', () => {
    expect(listSources(observed)).toEqual(['node-1 to node-4']);
  });

  test('is a replica that streams, with the lowest number among those that are level', () => {
    expect(listSources(observed, replicas)).toEqual(['node-2 to node-4']);
  });

  test('is the replica that is least behind', () => {
    const sender = (name: string, replayLsn: string) => ({
      applicationName: name,
      state: 'streaming',
      syncState: 'async',
      replayLsn,
    });
    const late = changeNode(observed, 'node-1', ({ postgres }) => ({
      postgres: postgres && {
        ...postgres,
        lsn: '1/0',
        senders: [sender('node_2', '0/10000000'), sender('node_3', '0/FFFFFFFF')],
      },
    }));
    expect(listSources(late, replicas)).toEqual(['node-3 to node-4']);
  });

  test.each<[string, (node: NodeObservation) => Partial<NodeObservation>]>([
    [
      'does not stream and cannot follow',
      ({ postgres }) => ({
        postgres: postgres && { ...postgres, receiver: null, lsn: '0/100' },
      }),
    ],
    [
      'runs another build of the image',
      ({ record }) => ({ record: record && { ...record, digest: `postgres@${NEWER_DIGEST}` } }),
    ],
  ])('is no replica that %s', (_, change) => {
    const [first] = listClones(changeNode(observed, 'node-2', change), replicas).filter(
      ({ nodes }) => nodes.includes('node-4'),
    );
    expect(first?.source).not.toBe('node-2');
  });

  test('is no replica that leaves', () => {
    const smaller = { ...replicas, nodes: [1, 3, 4].map(createNode), leaving: [createNode(2)] };
    expect(listSources(observed, smaller)).toEqual(['node-3 to node-4']);
  });

  test('is the primary where no replica can be copied, and the reasons say so', () => {
    const two = createDesired({ size: 2, clone: { from: 'replica', maxRate: null } });
    const [step] = listClones(changeNode(createHealthy(two), 'node-2', blank), two);
    expect(step).toMatchObject({
      source: 'node-1',
      reasons: { 'node-2': [{ kind: 'no-data' }, { kind: 'no-replica-to-copy' }] },
    });
  });

  test('brings its image and what ALTER SYSTEM wrote there', () => {
    const withOverride = changeNode(observed, 'node-2', () => ({ overrides: { work_mem: '8MB' } }));
    expect(listSources(withOverride, replicas)).toEqual(['node-2 to node-4']);
  });
});

describe('several copies', () => {
  const observed = ['node-2', 'node-3', 'node-4'].reduce(
    (nodes, name) => changeNode(nodes, name, blank),
    createHealthy(desired),
  );

  test('run at the same time without a limit', () => {
    expect(listSources(observed)).toEqual(['node-1 to node-2,node-3,node-4']);
  });

  test('run one after the other with a limit', () => {
    const limited = { ...desired, clone: { from: 'primary', maxRate: 51_200 } } as const;
    const steps = listClones(observed, limited);
    expect(steps.map(({ nodes }) => nodes)).toEqual([['node-2'], ['node-3'], ['node-4']]);
    expect(steps.map(({ maxRate }) => maxRate)).toEqual([51_200, 51_200, 51_200]);
  });

  test('go on before another one begins', () => {
    const limited = { ...desired, clone: { from: 'primary', maxRate: 51_200 } } as const;
    const running = changeNode(observed, 'node-4', () => ({ work: copying() }));
    expect(listSources(running, limited)[0]).toBe('node-1 to node-4');
  });

  test('spare the primary once a first replica can be copied', () => {
    const limited = { ...desired, clone: { from: 'replica', maxRate: 51_200 } } as const;
    expect(listSources(observed, limited)).toEqual([
      'node-1 to node-2',
      'node-2 to node-3',
      'node-2 to node-4',
    ]);
  });
});

describe('the size of a copy', () => {
  const gib = 1024 ** 3;
  const observed = changeNode(createHealthy(desired), 'node-4', blank);

  test('is what the source holds without directories that were set aside and WAL for slots', () => {
    const kept = [{ name: 'data.old-20261126T101500Z', bytes: gib, formerPrimary: true }];
    const full = changeNode(observed, 'node-1', ({ storage, postgres }) => ({
      storage: { ...storage, data: createFileSystem(20), kept },
      postgres: postgres && {
        ...postgres,
        slots: postgres.slots.map((slot, index) => ({
          ...slot,
          walStatus: index === 2 ? 'lost' : 'extended',
          retainedBytes: (index + 1) * gib,
        })),
      },
    }));
    expect(listClones(full)[0]?.neededBytes).toEqual({ 'node-4': 2 * gib });
  });

  test('is left out where the source does not tell', () => {
    const silent = changeNode(observed, 'node-1', ({ storage }) => ({
      storage: { ...storage, data: null },
    }));
    expect(listClones(silent)[0]?.neededBytes).toEqual({});
  });
});

describe('a copy that runs', () => {
  const observed = createHealthy(desired);

  test.each(['running', 'done'] as const)('(%s) goes on although old data could start', (state) => {
    const [step, ...more] = listClones(changeNode(observed, 'node-3', copied({ state })));
    expect(more).toEqual([]);
    expect(step).toMatchObject({ source: 'node-1', nodes: ['node-3'] });
    expect(step?.reasons?.['node-3']).toEqual([
      {
        kind: 'copy-runs',
        source: 'node-1',
        isComplete: state === 'done',
        doneBytes: 212,
        totalBytes: 500,
      },
    ]);
  });

  test('keeps its source, a follower of the primary, whatever is asked for now', () => {
    const source = createNode(2).privateAddress;
    expect(listSources(changeNode(observed, 'node-3', copied({ source })))).toEqual([
      'node-2 to node-3',
    ]);
    const fromPrimary = changeNode(observed, 'node-3', copied());
    expect(listSources(fromPrimary, replicas)).toEqual(['node-1 to node-3']);
  });

  test.each<[string, (nodes: NodeObservation[]) => NodeObservation[]]>([
    ['is down', (nodes) => changeNode(nodes, 'node-2', stopped)],
    [
      'follows another node',
      (nodes) =>
        changeNode(nodes, 'node-2', ({ files }) => ({
          files: {
            ...files,
            postgresqlConf: files.postgresqlConf?.replace('10.42.0.11', '10.42.0.14') ?? null,
          },
        })),
    ],
  ])('of a node that %s ends', (_, change) => {
    const work = copied({ source: createNode(2).privateAddress });
    const nodes = change(changeNode(observed, 'node-3', work));
    // Its data can follow the primary.
    const steps = listRolloutSteps(nodes, desired);
    expect(steps.filter((step) => step.startsWith('clone'))).toEqual([]);
    expect(steps).toContainEqual(expect.stringMatching(/^start .*node-3/));
  });

  test('of an unknown node begins again where the data cannot follow', () => {
    const nodes = changeNode(observed, 'node-3', () => ({
      ...blank(),
      data: 'partial',
      work: copying({ source: '10.9.9.9' }),
    }));
    expect(listClones(nodes)[0]?.reasons?.['node-3']).toEqual([
      { kind: 'unfinished-copy' },
      { kind: 'copy-outlived', source: '10.9.9.9' },
    ]);
  });

  test('that failed is repeated, and the reasons say why it failed', () => {
    const work = copying({ state: 'failed', problem: 'no space' });
    const nodes = changeNode(observed, 'node-3', () => ({ ...blank(), work }));
    expect(listClones(nodes)[0]?.reasons?.['node-3']).toEqual([
      { kind: 'no-data' },
      { kind: 'copy-failed', problem: 'no space' },
    ]);
    const withData = changeNode(observed, 'node-3', copied({ state: 'failed' }));
    expect(listRolloutSteps(withData, desired)).toEqual(['start node-3']);
  });

  test('is finished before its instance is resized', () => {
    const larger = { ...desired, instanceType: 't3.large', memoryMib: 8192 };
    const steps = listRolloutSteps(changeNode(observed, 'node-3', copied()), larger);
    expect(steps[0]).toBe('clone node-3');
    expect(steps).toContain('resize node-3');
  });

  test('needs no other image on its host', () => {
    const nodes = changeNode(observed, 'node-3', (node) => ({
      ...blank(),
      host: { ...node.host, imageReady: false },
      work: copying(),
    }));
    expect(listRolloutSteps(nodes, desired)).toEqual(['clone node-3']);
  });
});

describe('a copy that nobody needs', () => {
  const observed = createHealthy(desired);

  test.each(['node-1', 'node-3'])('on %s, which is up, is ended without a restart', (name) => {
    const nodes = changeNode(observed, name, () => ({ work: copying() }));
    expect(listRolloutSteps(nodes, desired)).toEqual([`reload ${name}`]);
    const result = rollout(nodes, desired);
    expect(result).toMatchObject({ steps: [{ reasons: { [name]: [{ kind: 'stray-copy' }] } }] });
  });

  test('does not share its container with a trial of the settings', () => {
    const nodes = changeNode(observed, 'node-2', () => ({ work: copying() }));
    const changed = { ...desired, settings: { ...desired.settings, max_connections: '200' } };
    expect(listRolloutSteps(nodes, changed)[0]).toBe('check node-3');
  });

  test('on a node that leaves is ended before its slot is dropped and the node removed', () => {
    const smaller = {
      ...desired,
      nodes: desired.nodes.slice(0, 3),
      leaving: desired.nodes.slice(3),
    };
    const nodes = changeNode(observed, 'node-4', copied());
    expect(listRolloutSteps(nodes, smaller)).toEqual([
      'admit node-1',
      'stop node-4',
      'admit node-1',
      'reload node-2 node-3',
      'destroy node-4',
    ]);
  });

  test('that failed changes nothing on a node that is up', () => {
    const nodes = changeNode(observed, 'node-3', () => ({ work: copying({ state: 'failed' }) }));
    expect(listRolloutSteps(nodes, desired)).toEqual([]);
  });
});

describe('while a copy runs, old data', () => {
  const [first, second] = createHealthy(createDesired({ size: 2 })) as [
    NodeObservation,
    NodeObservation,
  ];
  const two = createDesired({ size: 2 });
  const down = { ...first, ...stopped(first) };

  test('of a former primary is not started as the primary', () => {
    // node-2 is the primary of timeline 2, and down.
    const primary = {
      ...down,
      name: 'node-2',
      control: { state: 'shut down', timeline: 2, lsn: '0/4000000' },
    };
    const former = { ...down, container: null, work: copying({ source: '10.42.0.12' }) };
    expect(listRolloutSteps([former, primary], two)).toEqual(['start node-2']);
  });

  test('is not promoted after an interrupted switchover', () => {
    const fenced = { ...down, standby: true };
    const ahead = { ...second, ...copied()(second) };
    const control = { state: 'shut down in recovery', timeline: 1, lsn: '0/9000000' };
    expect(listRolloutSteps([fenced, { ...ahead, control }], two)).toEqual(['promote node-1']);
  });

  test('is not a cluster without a primary', () => {
    const conf = first.files;
    const nodes = [
      { ...first, ...blank() },
      { ...second, ...copied()(second), files: conf },
    ];
    expect(rollout(nodes, two)).toMatchObject({
      kind: 'refused',
      refusals: [expect.stringMatching(/^No node is primary/)],
    });
  });

  test.each(['running', 'done'] as const)(
    'or the copy (%s) may be all there is: no new cluster is initialised beside it',
    (state) => {
      const work = copying({ state });
      const nodes = [
        { ...first, ...blank() },
        { ...second, ...blank(), data: 'partial' as const, work },
      ];
      expect(rollout(nodes, two)).toMatchObject({
        kind: 'refused',
        refusals: [expect.stringMatching(/^node-2 holds a copy of 10\.42\.0\.11 /)],
      });
    },
  );
});
