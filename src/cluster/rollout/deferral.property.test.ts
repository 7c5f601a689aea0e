import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import { nodeName, slotName } from '../node.ts';
import { HOT_STANDBY_SENSITIVE } from '../settings/settings.ts';
import { createDesired, createNode, DEFAULTS } from '../testing/fixtures.ts';
import { ModelCluster, type ModelNode, shutDown } from '../testing/model.ts';
import { observeModel } from '../testing/model-observation.ts';
import { readQuorum } from './node-settings.ts';
import { rollout } from './rollout.ts';
import type { Step } from './step.ts';

// `rollout` around nodes that are away, against the model (invariants 5, 7 and 9): no server that runs is taken down, no
// slot is dropped, a start that nobody planned is safe, and once everybody is back the rollout ends where it should.

const RUNS = 600;

const wish = fc
  .record({
    size: fc.integer({ min: 3, max: 4 }),
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
    primary: fc.nat(3),
    synchronousReplicas: fc.nat(2),
  })
  .map(({ instance: [instanceType, memoryMib], primary, ...rest }) => ({
    ...rest,
    instanceType,
    memoryMib,
    primary: primary === 0 ? null : nodeName(primary),
  }));
type Wish = typeof wish extends fc.Arbitrary<infer T> ? T : never;

const scenario = fc.record({
  wishes: fc.tuple(wish, wish, wish),
  /** After how many steps of the second wish the nodes go away. */
  cut: fc.nat(8),
  away: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
  /** Their machines are lost as well; otherwise only nobody can log in. */
  dead: fc.boolean(),
  /** A replica that can be reached and is down. */
  down: fc.nat(4),
  segments: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
});

function desire(model: ModelCluster, want: Wish, away: readonly string[]): DesiredCluster {
  const numbers = [1, 2, 3, 4];
  const stands = (number: number) => model.nodes.get(nodeName(number));
  const node = (number: number) => ({
    ...createNode(number),
    instanceType: stands(number)?.instanceType ?? want.instanceType,
  });
  return createDesired({
    ...want,
    nodes: numbers.filter((number) => number <= want.size).map(node),
    leaving: numbers.filter((number) => number > want.size && stands(number)).map(node),
    unreachable: away,
  });
}

function drive(
  model: ModelCluster,
  want: Wish,
  options: {
    segments: () => number;
    limit?: number;
    away?: readonly string[];
    check?: (step: Step) => void;
  },
): void {
  const { segments, limit = Number.POSITIVE_INFINITY, away = [], check } = options;
  let done = 0;
  for (let round = 0; round < 100; round += 1) {
    model.desired = desire(model, want, away);
    model.advance();
    const observed = observeModel(model).filter(({ name }) => !away.includes(name));
    const plan = rollout(observed, model.desired);
    if (plan.kind !== 'steps') throw new Error(`refused: ${plan.refusals.join(' ')}`);
    if (plan.steps.length === 0) {
      expect(plan.deferral?.nodes ?? []).toEqual(away);
      return;
    }
    let left = segments();
    for (const step of plan.steps) {
      // A check leaves nothing behind, so to end a run after it is to end it before it.
      if (step.kind !== 'check') left -= 1;
      if (left < 0) break;
      if (done++ >= limit) return;
      check?.(step);
      model.execute(step);
    }
  }
  throw new Error('no end');
}

/** What a server would start with now. */
const startsWith = (node: ModelNode, name: string) => Number(node.file[name] ?? DEFAULTS[name]);

function expectSafeStarts(model: ModelCluster, away: readonly string[]): void {
  const { primary } = model;
  if (!primary) throw new Error('no primary');
  for (const node of model.nodes.values()) {
    if (node === primary || away.includes(node.name) || !model.isReplicaUp(node)) continue;
    if (!model.isStreaming(node)) continue;
    for (const name of HOT_STANDBY_SENSITIVE) {
      expect([node.name, name, startsWith(node, name)]).toEqual([
        node.name,
        name,
        Math.max(startsWith(node, name), startsWith(primary, name)),
      ]);
    }
  }
}

test('a rollout around nodes that are away takes nothing down, and ends as asked once they are back', () => {
  let counted = 0;
  fc.assert(
    fc.property(scenario, ({ wishes, cut, away: numbers, dead, down, segments: sizes }) => {
      let count = 0;
      const segments = () => sizes[count++ % sizes.length] as number;
      const model = new ModelCluster(createDesired());
      drive(model, wishes[0], { segments });
      drive(model, wishes[1], { segments, limit: cut });
      model.advance();
      const { primary } = model;
      const names = numbers.map(nodeName);
      if (!primary || names.includes(primary.name)) return;
      const away = names.map((name) => model.get(name));
      // Its copy has not begun, or it was made by the run that is cut: then it is not around that one is worked.
      if (away.some((node) => node.data !== 'complete' || !node.standbySignal)) return;
      for (const node of away) {
        if (!dead || node.container !== 'running') continue;
        node.state = 'in archive recovery';
        node.container = 'stopped';
      }
      const other = model.nodes.get(nodeName(down));
      if (other && other !== primary && other.container === 'running' && !away.includes(other)) {
        shutDown(other);
        other.container = 'stopped';
      }
      counted += 1;
      const up = [...model.nodes.values()].filter(({ container }) => container === 'running');
      const slots = primary.slots.map(({ name }) => name);
      const waited = readQuorum(primary.settings.synchronous_standby_names ?? '');
      drive(model, wishes[1], {
        segments,
        away: names,
        check(step) {
          expect(step.nodes.filter((name) => names.includes(name))).toEqual([]);
          expect(['switchover', 'stop', 'resize', 'destroy', 'promote', 'fence']).not.toContain(
            step.kind,
          );
          // Only what stands still anyway.
          if (step.kind === 'restart') {
            expect(up.map(({ name }) => name)).not.toContain(step.nodes[0]);
          }
        },
      });
      expect(model.primary).toBe(primary);
      expect(up.every(({ container }) => container === 'running')).toBe(true);
      for (const node of away) {
        const slot = slotName(node.name);
        expect(primary.slots.some(({ name }) => name === slot)).toBe(slots.includes(slot));
      }
      expectSafeStarts(model, names);
      const streaming = [...model.nodes.values()].filter((node) => model.isStreaming(node)).length;
      expect(readQuorum(primary.settings.synchronous_standby_names ?? '')).toBeLessThanOrEqual(
        Math.max(waited, streaming),
      );

      for (const want of [wishes[1], wishes[2]]) {
        drive(model, want, { segments });
        expect(model.primaries).toHaveLength(1);
        for (const node of model.nodes.values()) {
          expect(node.settings).toMatchObject(want.settings);
          expect(node.image).toBe(want.image);
          expect(node.instanceType).toBe(want.instanceType);
        }
      }
    }),
    { seed: 17, numRuns: RUNS },
  );
  expect(counted).toBeGreaterThan(RUNS / 4);
}, 300_000);
