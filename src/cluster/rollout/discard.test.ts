import { describe, expect, test } from 'vitest';
import type { KeptDirectory, NodeObservation } from '../observation.ts';
import { createDesired, createFileSystem, createHealthy } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { planDiscard } from './discard.ts';
import { predict } from './predict.ts';

const desired = createDesired();
const KEPT: KeptDirectory = { name: 'data.old-20260101T000000Z', bytes: 1024, formerPrimary: true };
const healthy = createHealthy(desired).map((node) => ({
  ...node,
  storage: { ...node.storage, kept: [KEPT] },
}));
const without = (name: string) => healthy.filter((node) => node.name !== name);

/** A replica whose server runs and receives nothing. */
const silent = ({ postgres }: NodeObservation): Partial<NodeObservation> => ({
  postgres: postgres && { ...postgres, receiver: null },
});

/** The primary has lost the slot of `slot`. */
const withLostSlot = (observed: readonly NodeObservation[], slot: string) =>
  changeNode(observed, 'node-1', ({ postgres }) => ({
    postgres: postgres && {
      ...postgres,
      slots: postgres.slots.map((one) =>
        one.name === slot ? { ...one, active: false, walStatus: 'lost' } : one,
      ),
    },
  }));

const STUCK = withLostSlot(changeNode(healthy, 'node-2', silent), 'node_2');

function plan(
  observed: readonly NodeObservation[] = healthy,
  {
    node = 'node-2',
    withData = false,
    isDone = false,
    unreachable = [] as readonly string[],
    of = desired,
  } = {},
): string[] {
  const found = planDiscard({ observed, unreachable }, { desired: of, node, withData, isDone });
  if (found.kind !== 'steps') return [found.refusals.join(' ')];
  return [
    ...found.steps.map((step) =>
      step.kind === 'discard'
        ? `discard ${step.nodes} ${step.directories.map(({ name }) => name)}${step.data ? ' data' : ''}`
        : `${step.kind} ${step.nodes.join(' ')}`,
    ),
    ...(found.observeAgain ? ['look'] : []),
  ];
}

const deletes = (node: string) => [`discard ${node} ${KEPT.name}`, 'look'];
const refuses = (reason: RegExp) => [
  expect.stringMatching(new RegExp(`${reason.source}.*Nothing was deleted\\.`)),
];

describe('what was kept is deleted', () => {
  test.each<[string, readonly NodeObservation[], string]>([
    ['on a replica', healthy, 'node-2'],
    ['on the primary', healthy, 'node-1'],
    [
      'on a replica that follows, while another does not',
      changeNode(healthy, 'node-3', stopped),
      'node-2',
    ],
    [
      'on a replica that does not follow, while all others do',
      changeNode(healthy, 'node-2', stopped),
      'node-2',
    ],
  ])('%s', (_, observed, node) => {
    expect(plan(observed, { node })).toEqual(deletes(node));
  });

  test('also where nothing is kept: an earlier deletion may have been interrupted', () => {
    const none = createHealthy(desired);
    expect(plan(none)).toEqual(['discard node-2 ', 'look']);
  });

  test('also where a copy does not fit: this is what makes room', () => {
    const full = { ...createFileSystem(20), usedBytes: 19 * 1024 ** 3, freeBytes: 1024 ** 3 };
    const observed = changeNode(STUCK, 'node-2', ({ storage }) => ({
      storage: { ...storage, data: full },
    }));
    expect(plan(observed)).toEqual(deletes('node-2'));
    expect(plan(observed, { withData: true })).toEqual([
      `discard node-2 ${KEPT.name} data`,
      'look',
    ]);
    expect(plan(observed, { isDone: true })[0]).toMatch(/^node-2: a copy of node-1 takes up to /);
  });

  test('and the node is cloned if it needs that', () => {
    expect(plan(healthy, { isDone: true })).toEqual([]);
    expect(plan(STUCK, { isDone: true })).toContain('clone node-2');
  });
});

describe('nothing is deleted', () => {
  test.each<[string, readonly NodeObservation[], RegExp]>([
    [
      'without a running primary',
      changeNode(healthy, 'node-1', stopped),
      /No node answers as the primary/,
    ],
    [
      'while there are two primaries',
      changeNode(healthy, 'node-3', ({ postgres }) => ({
        standby: false,
        postgres: postgres && { ...postgres, inRecovery: false, receiver: null },
      })),
      /node-1.*node-3/,
    ],
    [
      'while neither the node nor another replica follows',
      changeNode(changeNode(healthy, 'node-2', silent), 'node-3', silent),
      /^node-3 does not follow the primary node-1, and neither does node-2\./,
    ],
  ])('%s', (_, observed, reason) => {
    expect(plan(observed)).toEqual(refuses(reason));
  });

  test('while a node cannot be reached: it may be the primary', () => {
    expect(plan(without('node-3'), { unreachable: ['node-3'] })).toEqual(
      refuses(/^node-3 cannot be reached/),
    );
  });
});

describe('present data', () => {
  const withData = true;

  test.each<[string, readonly NodeObservation[]]>([
    ['whose slot is lost', STUCK],
    ['whose server does not run', changeNode(healthy, 'node-2', stopped)],
    [
      'that a clone did not finish',
      changeNode(healthy, 'node-2', (node) => ({
        ...stopped(node),
        data: 'unrecorded',
        record: null,
      })),
    ],
  ])('%s is deleted', (_, observed) => {
    expect(plan(observed, { withData })).toEqual([`discard node-2 ${KEPT.name} data`, 'look']);
  });

  test.each<[string, readonly NodeObservation[], string, RegExp]>([
    ['of the primary', healthy, 'node-1', /^discard-data: node-1 is the primary/],
    ['of a replica that follows', healthy, 'node-2', /^discard-data: node-2 follows node-1/],
    [
      'of a replica that may catch up',
      changeNode(healthy, 'node-2', silent),
      'node-2',
      /^discard-data: PostgreSQL runs on node-2, and it may still follow/,
    ],
    [
      'while another replica does not follow',
      changeNode(STUCK, 'node-3', silent),
      'node-2',
      /^node-3 does not follow the primary node-1, and neither does node-2/,
    ],
  ])('%s stays', (_, observed, node, reason) => {
    expect(plan(observed, { node, withData })).toEqual(refuses(reason));
  });

  describe('beside a copy to the node', () => {
    const copying = (data: NodeObservation['data']) =>
      changeNode(STUCK, 'node-2', (node) => ({
        ...stopped(node),
        data,
        work: {
          ...{ kind: 'clone' as const, state: 'running' as const, source: '10.42.0.11' },
          ...{ doneBytes: 1, totalBytes: null, seconds: 1, problem: null },
        },
      }));

    test('stays, as its deletion would end the copy', () => {
      expect(plan(copying('complete'), { withData })).toEqual(
        refuses(/^discard-data: node-2 is being copied to/),
      );
      expect(plan(copying('complete'))).toEqual(deletes('node-2'));
    });

    test('is gone: an earlier run deleted it and began the copy, which goes on', () => {
      expect(plan(copying('absent'), { withData })).toEqual(deletes('node-2'));
    });
  });

  test.each([true, false])('a copy to the node ends with it (%s)', (data) => {
    const work = { kind: 'clone', state: 'running', source: '10.42.0.11' } as const;
    const rest = { doneBytes: 1, totalBytes: null, seconds: 1, problem: null };
    const copying = changeNode(STUCK, 'node-2', (node) => ({
      ...stopped(node),
      work: { ...work, ...rest },
    }));
    const step = { kind: 'discard', nodes: ['node-2'], primary: 'node-1', data } as const;
    const nodes = new Map(copying.map((node) => [node.name, node]));
    const after = predict(nodes, { ...step, directories: [KEPT] }, desired).get('node-2');
    expect(after?.work === null).toBe(data);
  });

  test('is cloned from the primary afterwards', () => {
    const found = planDiscard(
      { observed: STUCK, unreachable: [] },
      { desired, node: 'node-2', withData, isDone: false },
    );
    if (found.kind !== 'steps') throw new Error(found.refusals.join());
    const [step] = found.steps;
    if (step === undefined) throw new Error('no step');
    const after = [
      ...predict(new Map(STUCK.map((node) => [node.name, node])), step, desired).values(),
    ];
    expect(after[1]).toMatchObject({ data: 'absent', postgres: null, storage: { kept: [] } });
    expect(plan(after, { withData, isDone: true })).toContain('clone node-2');
  });
});
