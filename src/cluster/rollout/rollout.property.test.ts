import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DesiredCluster, renderFiles } from '../desired.ts';
import { nodeName, slotName } from '../node.ts';
import { createDesired, createNode } from '../testing/fixtures.ts';
import { ModelCluster, type ModelNode, shutDown } from '../testing/model.ts';
import { observeModel } from '../testing/model-observation.ts';
import { planFailover } from './failover.ts';
import { renderSynchronous } from './node-settings.ts';
import { rollout } from './rollout.ts';
import type { Step } from './step.ts';

// `rollout` against a model of PostgreSQL (model.ts), which throws when a step breaks a rule: the six
// invariants of the design, after every single step.

/**
 * Each scenario is some ten pairs of an observed and a desired cluster. `SCENARIOS=20000` is for a long night, and
 * tries others each time; without it they are always the same, so that a change is not refused by bad luck.
 */
const { SCENARIOS: NIGHT } = process.env;
const SCENARIOS = Number(NIGHT ?? 1_300);
const SEED = NIGHT === undefined ? { seed: 17 } : {};
/** Of a test with all scenarios, in ms. */
const PATIENCE = 300_000 + 100 * SCENARIOS;
const PAIRS = 8 * SCENARIOS;
let pairs = 0;

interface Wish {
  readonly size: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly image: string;
  readonly instanceType: string;
  readonly memoryMib: number;
  readonly primary: number;
  readonly synchronousReplicas: number;
  readonly allowsSlotLoss?: boolean;
}

const wish: fc.Arbitrary<Wish> = fc
  .record({
    size: fc.integer({ min: 1, max: 4 }),
    settings: fc.record(
      {
        max_connections: fc.constantFrom('50', '100', '200'),
        max_worker_processes: fc.constantFrom('4', '8', '16'),
        shared_buffers: fc.constantFrom('128MB', '256MB'),
        work_mem: fc.constantFrom('4MB', '8MB'),
      },
      { requiredKeys: [] },
    ),
    image: fc.constantFrom('postgres:17', 'postgres:17.6'),
    instance: fc.constantFrom(['t3.small', 2048] as const, ['t3.medium', 4096] as const),
    primary: fc.nat(4),
    synchronousReplicas: fc.nat(2),
  })
  .map(({ instance, primary, synchronousReplicas, ...rest }) => ({
    ...rest,
    instanceType: instance[0],
    memoryMib: instance[1],
    // 0: whichever is.
    primary: Math.min(primary, rest.size),
    synchronousReplicas: Math.min(synchronousReplicas, rest.size - 1),
  }));

/** What happens to a cluster between two runs, or in the middle of one. */
const disturbance = fc.record({
  node: fc.integer({ min: 1, max: 4 }),
  what: fc.constantFrom(
    'stopped',
    'container removed',
    'container outdated',
    'slot lost',
    'slot dropped',
    'clone unfinished',
    'data lost',
    'unmounted',
    'terminated',
    'file not read',
    'fenced',
    'crashed',
    'replaying slowly',
  ),
});

const scenario = fc.record({
  wishes: fc.array(wish, { minLength: 2, maxLength: 3 }),
  cut: fc.nat(12),
  disturbances: fc.array(disturbance, { maxLength: 2 }),
  /** How many steps are done before the nodes are looked at again. */
  segments: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
});

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function desire(model: ModelCluster, want: Wish): DesiredCluster {
  const stands = (number: number) => model.nodes.get(nodeName(number));
  const numbers = [1, 2, 3, 4];
  const node = (number: number) => ({
    ...createNode(number),
    instanceType: stands(number)?.instanceType ?? want.instanceType,
  });
  return createDesired({
    ...want,
    nodes: numbers.filter((number) => number <= want.size).map(node),
    leaving: numbers.filter((number) => number > want.size && stands(number)).map(node),
    primary: want.primary === 0 ? null : nodeName(want.primary),
  });
}

/** Goes on until nothing is left to do, looking anew after each segment; gives the steps. */
function drive(model: ModelCluster, want: Wish, segments: () => number, limit = Infinity): Step[] {
  const done: Step[] = [];
  for (let round = 0; round < 100; round += 1) {
    model.desired = desire(model, want);
    model.advance();
    pairs += 1;
    const plan = rollout(observeModel(model), model.desired);
    if (plan.kind !== 'steps') throw new Error(`refused: ${plan.refusals.join(' ')}`);
    if (plan.steps.length === 0) return done;
    let left = segments();
    for (const step of plan.steps) {
      // A check leaves nothing behind, so to end a run after it is to end it before it.
      if (step.kind !== 'check') left -= 1;
      if (left < 0) break;
      if (done.length >= limit) return done;
      done.push(step);
      try {
        model.execute(step);
      } catch (error) {
        throw new Error(`${(error as Error).message} by the last of\n${listSteps(done)}`);
      }
    }
  }
  throw new Error(`no end to\n${listSteps(done.slice(-12))}`);
}

const listSteps = (steps: readonly Step[]): string =>
  steps
    .map((step) => {
      const sensitive = 'settings' in step ? JSON.stringify(step.settings, SHOWN) : '';
      return `${step.kind} ${step.nodes} ${sensitive}`;
    })
    .join('\n');
const SHOWN = ['max_connections', 'max_worker_processes', 'shared_buffers'];

function disturb(
  model: ModelCluster,
  { node: number, what }: { node: number; what: string },
): void {
  const node = model.nodes.get(nodeName(number));
  const { primary } = model;
  if (node?.data !== 'complete' || !primary) return;
  const isReplica = node !== primary && node.standbySignal;
  const slot = primary.slots.find(({ name }) => name === slotName(node.name));
  switch (what) {
    case 'stopped':
    case 'crashed':
      if (node.container !== 'running') return;
      if (what === 'stopped') shutDown(node);
      else node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'stopped';
      return;
    case 'container removed':
      if (node.container === 'running')
        node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'none';
      return;
    case 'container outdated':
      node.containerCurrent = false;
      return;
    case 'slot lost':
      if (!slot || !isReplica) return;
      slot.lost = true;
      primary.oldest = node.lsn + 1;
      primary.lsn += 10;
      return;
    case 'slot dropped':
      if (!isReplica) return;
      primary.slots = primary.slots.filter((other) => other !== slot);
      primary.lsn += 10;
      if (number % 2 === 0) primary.oldest = node.lsn + 1;
      return;
    case 'clone unfinished':
    case 'data lost':
      if (!isReplica) return;
      blank(node, what === 'data lost' ? 'absent' : 'partial');
      return;
    case 'unmounted':
    case 'terminated':
      if (node.container === 'running')
        node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'none';
      node.mounted = false;
      node.hostReady = what === 'unmounted';
      return;
    case 'file not read':
      node.loaded = false;
      return;
    case 'fenced':
      if (node === primary) node.standbySignal = true;
      return;
    case 'replaying slowly':
      if (!model.isStreaming(node)) return;
      node.replaySpeed = 0.25;
      primary.lsn += 100;
      return;
  }
}

function blank(node: ModelNode, data: 'absent' | 'partial'): void {
  Object.assign(node, { container: 'none', data, standbySignal: false, lsn: 0, slots: [] });
}

/** What "done" means. */
function expectReached(model: ModelCluster, want: Wish): void {
  const { desired } = model;
  model.advance();
  expect([...model.nodes.keys()].sort()).toEqual(desired.nodes.map(({ name }) => name));
  expect(model.primaries).toHaveLength(1);
  const primary = model.primary as ModelNode;
  if (desired.primary !== null) expect(primary.name).toBe(desired.primary);
  const replicas = [...model.nodes.values()].filter((node) => node !== primary);
  expect(primary.slots.map(({ name }) => name).sort()).toEqual(
    replicas.map(({ name }) => slotName(name)).sort(),
  );
  for (const node of model.nodes.values()) {
    expect(node.settings).toMatchObject({
      ...want.settings,
      synchronous_standby_names: renderSynchronous(desired),
    });
    expect(node.image).toBe(want.image);
    expect(node.instanceType).toBe(want.instanceType);
    expect(node.standbySignal).toBe(node !== primary);
  }
  for (const replica of replicas) {
    expect(model.isStreaming(replica)).toBe(true);
    expect(replica.slots).toEqual([]);
    expect(replica.lsn).toBe(primary.lsn);
  }
}

// Each found once in some thousand.
const SMALL = { instanceType: 't3.small', memoryMib: 2048, synchronousReplicas: 0 };
const MEDIUM = { ...SMALL, instanceType: 't3.medium', memoryMib: 4096 };
const EXAMPLES: readonly [Scenario][] = [
  /** A replica that runs and does not stream was taken for restarted when it was started. */
  [
    {
      wishes: [
        { size: 1, settings: {}, image: 'postgres:17.6', primary: 0, ...SMALL },
        {
          size: 3,
          settings: { max_connections: '50' },
          image: 'postgres:17',
          primary: 3,
          ...SMALL,
        },
        { size: 1, settings: {}, image: 'postgres:17', primary: 0, ...SMALL },
      ],
      cut: 8,
      disturbances: [{ node: 3, what: 'slot dropped' }],
      segments: [7],
    },
  ],
  /** One that stood still was taken for one that can follow, because its slot would be there again. */
  [
    {
      wishes: [
        { size: 1, settings: {}, image: 'postgres:17', primary: 0, ...SMALL },
        { size: 2, settings: {}, image: 'postgres:17.6', primary: 1, ...MEDIUM },
      ],
      cut: 7,
      disturbances: [
        { node: 1, what: 'slot lost' },
        { node: 1, what: 'slot dropped' },
      ],
      segments: [6],
    },
  ],
];

const alteration = fc.oneof(
  fc.record({
    node: fc.integer({ min: 1, max: 4 }),
    stopped: fc.boolean(),
    name: fc.constant('max_connections'),
    value: fc.constantFrom('30', '100', '300'),
  }),
  fc.record({
    node: fc.integer({ min: 1, max: 4 }),
    stopped: fc.boolean(),
    name: fc.constant('max_worker_processes'),
    value: fc.constantFrom('2', '8', '32'),
  }),
);

/** Goes on until nothing is left to do, and does what a refusal says of ALTER SYSTEM. */
function driveWithResets(model: ModelCluster, want: Wish, segments: () => number): void {
  for (;;) {
    try {
      drive(model, want, segments);
      return;
    } catch (error) {
      const asked = [
        ...String(error).matchAll(/Run ALTER SYSTEM RESET (\w+) on (node-\d) and then/g),
      ];
      if (asked.length === 0) throw error;
      for (const [, setting = '', name = ''] of asked) {
        const { auto, container } = model.get(name);
        if (!(setting in auto) || container !== 'running') throw error;
        delete (auto as Record<string, string>)[setting];
      }
    }
  }
}

describe('rollout, step by step', () => {
  test(
    'every sequence keeps the invariants, ends, and ends at what is desired, wherever it was cut',
    () => {
      fc.assert(
        fc.property(scenario, ({ wishes, cut, disturbances, segments }) => {
          let count = 0;
          const next = () => segments[count++ % segments.length] as number;
          const [first, ...changes] = wishes as [Wish, ...Wish[]];
          const model = new ModelCluster(createDesired());
          drive(model, first, next);
          expectReached(model, first);
          let written = model.primary?.lsn ?? 0;
          for (const want of changes) {
            drive(model, want, next, cut);
            for (const one of disturbances) disturb(model, one);
            drive(model, want, next);
            expectReached(model, want);
            expect(model.primary?.lsn).toBeGreaterThanOrEqual(written);
            written = model.primary?.lsn ?? 0;
          }
        }),
        {
          ...SEED,
          numRuns: SCENARIOS,
          examples: [...EXAMPLES],
        },
      );
      expect(pairs).toBeGreaterThanOrEqual(PAIRS);
    },
    PATIENCE,
  );

  test(
    'what ALTER SYSTEM wrote is followed, or refused with what to reset',
    () => {
      const altered = fc.record({
        wishes: fc.tuple(wish, wish, wish),
        alterations: fc.array(alteration, { minLength: 1, maxLength: 3 }),
        segments: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      });
      fc.assert(
        fc.property(altered, ({ wishes, alterations, segments }) => {
          let count = 0;
          const next = () => segments[count++ % segments.length] as number;
          const model = new ModelCluster(createDesired());
          drive(model, wishes[0], next);
          for (const { node, name, value, stopped } of alterations) {
            const stands = model.nodes.get(nodeName(node));
            if (!stands) continue;
            stands.auto = { ...stands.auto, [name]: value };
            if (stopped && stands !== model.primary) disturb(model, { node, what: 'stopped' });
          }
          for (const want of wishes.slice(1)) driveWithResets(model, want, next);
          for (const node of model.nodes.values()) node.auto = {};
          drive(model, wishes[2], next);
          expectReached(model, wishes[2]);
        }),
        { ...SEED, numRuns: Math.ceil(SCENARIOS / 4) },
      );
    },
    PATIENCE,
  );
});

/** A cluster with consumers of logical slots, of which a change may lose none unless somebody said so. */
const consumed = fc.record({
  major: fc.constantFrom(16, 17),
  wishes: fc.array(
    fc.record({
      wish,
      level: fc.constantFrom('logical', 'logical', 'replica'),
      feedback: fc.nat(4),
    }),
    { minLength: 2, maxLength: 3 },
  ),
  /** Of each slot whether it has failover. */
  slots: fc.array(fc.boolean(), { minLength: 1, maxLength: 2 }),
  /** A version configured the nodes that did not have slots copied. */
  isOld: fc.boolean(),
  cut: fc.nat(12),
  disturbances: fc.array(disturbance, { maxLength: 1 }),
  segments: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
});

/** The successor was never told to copy slots, and nothing else is to be done before it takes over. */
const NEVER_COPIED: typeof consumed extends fc.Arbitrary<infer T> ? T : never = {
  major: 17,
  wishes: [1, 2].map((primary) => ({
    wish: { size: 2, settings: {}, image: 'postgres:17', primary, ...SMALL },
    level: 'logical',
    feedback: 1,
  })),
  slots: [true],
  isOld: true,
  cut: 12,
  disturbances: [],
  segments: [9],
};

function forgetCopies(model: ModelCluster, node: ModelNode): void {
  const forget = ({ sync_replication_slots, ...rest }: ModelNode['file']) => ({
    ...rest,
    hot_standby_feedback: 'off',
  });
  const primary = model.primary?.name ?? node.name;
  node.file = forget(node.file);
  node.settings = forget(node.settings);
  node.files = renderFiles(model.desired, { node: node.name, primary, settings: node.file });
}

type Outcome = 'kept' | 'synchronised' | 'refused' | 'refused level';

/** Goes on until nothing is left to do, and does what a refusal over logical slots says; gives what happened. */
function driveWithSlots(
  model: ModelCluster,
  want: Wish,
  { next, limit }: { next: () => number; limit?: number },
): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let wanted = want; ; ) {
    try {
      drive(model, wanted, next, limit);
      return outcomes;
    } catch (error) {
      const words = String(error);
      if (/refused: node-\d: logical slots? .* would be lost/.test(words)) {
        outcomes.push('refused');
        wanted = { ...wanted, allowsSlotLoss: true };
      } else if (/refused: wal_level: node-\d has logical slot/.test(words)) {
        outcomes.push('refused level');
        for (const node of model.nodes.values()) node.logicalSlots = [];
      } else throw error;
    }
  }
}

describe('logical slots', () => {
  test(
    'no rollout loses one unasked, leaves one behind, or has a server end over one',
    () => {
      const counts = new Map<Outcome, number>();
      const count = (outcome: Outcome) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      fc.assert(
        fc.property(consumed, ({ major, wishes, slots, isOld, cut, disturbances, segments }) => {
          let turn = 0;
          const next = () => segments[turn++ % segments.length] as number;
          const model = new ModelCluster(createDesired());
          model.major = major;
          for (const [index, { wish: blank, level, feedback }] of wishes.entries()) {
            const image = blank.image.replace('17', String(major));
            const settings = {
              ...blank.settings,
              wal_level: level,
              ...(feedback === 0 ? { hot_standby_feedback: 'off' } : {}),
            };
            const want = { ...blank, image, settings };
            const before = model.primary;
            const had = before?.logicalSlots.map(({ name }) => name) ?? [];
            if (index > 0) {
              for (const outcome of driveWithSlots(model, want, { next, limit: cut }))
                count(outcome);
              for (const one of disturbances) disturb(model, one);
            }
            const refused = driveWithSlots(model, want, { next });
            refused.forEach(count);
            expectReached(model, want);
            const primary = model.primary as ModelNode;
            for (const node of model.nodes.values()) {
              if (node === primary) continue;
              expect(node.logicalSlots.filter(({ synced }) => !synced)).toEqual([]);
            }
            const has = primary.logicalSlots.map(({ name }) => name);
            if (had.length > 0 && has.length === had.length) {
              count(primary === before ? 'kept' : 'synchronised');
            }
            if (primary.settings.wal_level !== 'logical') continue;
            // Whatever an earlier change lost its consumer has made anew.
            primary.logicalSlots = slots.map((failover, number) => ({
              name: `consumer_${number}`,
              failover: failover && major >= 17,
              synced: false,
            }));
            if (isOld) for (const node of model.nodes.values()) forgetCopies(model, node);
            model.advance();
          }
        }),
        { ...SEED, numRuns: SCENARIOS, examples: [[NEVER_COPIED]] },
      );
      for (const outcome of ['kept', 'synchronised', 'refused', 'refused level'] as const) {
        expect(counts.get(outcome) ?? 0).toBeGreaterThan(SCENARIOS / 50);
      }
    },
    PATIENCE,
  );
});

describe('failover', () => {
  /** Some who are behind when the primary goes, or who have never been its replicas. */
  const lost = fc.record({
    wishes: fc.tuple(wish, wish),
    disturbances: fc.array(disturbance, { maxLength: 2 }),
    what: fc.constantFrom('crashed', 'container removed'),
    segments: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
  });

  test(
    'promotes who has most, and who had followed follows on, whatever the control files say',
    () => {
      let counted = 0;
      fc.assert(
        fc.property(lost, ({ wishes, disturbances, what, segments }) => {
          let count = 0;
          const next = () => segments[count++ % segments.length] as number;
          const model = new ModelCluster(createDesired());
          for (const want of wishes) drive(model, want, next);
          for (const one of disturbances) disturb(model, one);
          model.advance();
          const { primary } = model;
          const followers = [...model.nodes.values()].filter((node) => model.isStreaming(node));
          // Where nobody had everything, something is lost, and people are asked.
          if (!primary || followers.length === 0) return;
          disturb(model, { node: Number(primary.name.slice(5)), what });
          const kept = new Map(followers.map((node) => [node, node.movedAside]));
          const [, want] = wishes;
          while (!model.primary) if (!failOver(model, want)) return;
          counted += 1;
          drive(model, { ...want, primary: 0 }, next);
          for (const [node, before] of kept) expect(node.movedAside).toBe(before);
        }),
        { ...SEED, numRuns: SCENARIOS },
      );
      expect(counted).toBeGreaterThan(SCENARIOS / 4);
    },
    PATIENCE,
  );
});

/** The next steps of a failover; gives false where people are asked, as with quorum commit what is down may have more. */
function failOver(model: ModelCluster, want: Wish): boolean {
  model.desired = desire(model, want);
  const sighting = { observed: observeModel(model), unreachable: [], gone: [], states: {} };
  const plan = planFailover(sighting, { desired: model.desired, fenced: null });
  if (plan.kind === 'steps') {
    for (const step of plan.steps) model.execute(step);
    return true;
  }
  expect(plan.refusals.join()).toMatch(/^Commits waited for /);
  return false;
}
