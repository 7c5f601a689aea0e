import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderFiles } from '../desired.ts';
import { namesOf, nodeName } from '../node.ts';
import { createDesired } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
import type { ModelNode } from '../testing/model-node.ts';
import {
  createRequests,
  cycle,
  drive,
  expectReached,
  type Request,
  SCENARIOS,
  SEED,
  segmentLengths,
  TIMEOUT_MS,
} from '../testing/model-scenarios.ts';

// `rollout` against a model whose clients consume logical slots: no change loses one unless that is allowed.

const scenarios = fc.record({
  major: fc.constantFrom(16, 17),
  requests: fc.array(
    fc.record({
      request: createRequests({ min: 1, primaries: 4 }),
      level: fc.constantFrom('logical', 'logical', 'replica'),
      feedback: fc.nat(4),
    }),
    { minLength: 2, maxLength: 3 },
  ),
  /** For each slot, whether it has failover. */
  slots: fc.array(fc.boolean(), { minLength: 1, maxLength: 2 }),
  /** Whether a version of the action configured the nodes that did not copy slots. */
  isOld: fc.boolean(),
  cut: fc.nat(12),
  happenings: fc.array(disturbances, { maxLength: 1 }),
  segments: segmentLengths,
});
type Scenario = typeof scenarios extends fc.Arbitrary<infer T> ? T : never;

/** The successor was never configured to copy slots, and no other step precedes its takeover. */
const NEVER_COPIED: Scenario = {
  major: 17,
  requests: [1, 2].map((number) => ({
    request: {
      size: 2,
      settings: {},
      image: 'postgres:17',
      primary: nodeName(number),
      instanceType: 't3.small',
      memoryMib: 2048,
      synchronousReplicas: 0,
    },
    level: 'logical',
    feedback: 1,
  })),
  slots: [true],
  isOld: true,
  cut: 12,
  happenings: [],
  segments: [9],
};

function disableSlotCopies(model: ModelCluster, node: ModelNode): void {
  const disable = ({ sync_replication_slots, ...rest }: ModelNode['file']) => ({
    ...rest,
    hot_standby_feedback: 'off',
  });
  const primary = model.primary?.name ?? node.name;
  node.file = disable(node.file);
  node.settings = disable(node.settings);
  const files = renderFiles(model.desired, { node: node.name, primary, settings: node.file });
  node.files = { ...node.files, ...files };
}

type Outcome = 'kept' | 'synchronised' | 'refused' | 'refused level';

/** Rolls out to the end, and does what a refusal over logical slots says; returns the refusals. */
function driveWithSlots(
  model: ModelCluster,
  request: Request,
  options: { segments: () => number; limit?: number },
): Outcome[] {
  const outcomes: Outcome[] = [];
  for (let current = request; ; ) {
    try {
      drive(model, current, options);
      return outcomes;
    } catch (error) {
      const text = String(error);
      if (/refused: node-\d: logical slots? .* would be lost/.test(text)) {
        outcomes.push('refused');
        current = { ...current, allowsSlotLoss: true };
      } else if (/refused: wal_level: node-\d has logical slot/.test(text)) {
        outcomes.push('refused level');
        for (const node of model.nodes.values()) node.logicalSlots = [];
      } else throw error;
    }
  }
}

test(
  'a rollout loses no logical slot unless allowed, leaves none behind, and starts every server',
  () => {
    const counts = new Map<Outcome, number>();
    const count = (outcome: Outcome) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    fc.assert(
      fc.property(scenarios, (scenario) => {
        const { major, requests, slots, isOld, cut, happenings } = scenario;
        const segments = cycle(scenario.segments);
        const model = new ModelCluster(createDesired());
        model.major = major;
        for (const [index, { request: base, level, feedback }] of requests.entries()) {
          const request = {
            ...base,
            image: base.image.replace('17', String(major)),
            settings: {
              ...base.settings,
              wal_level: level,
              ...(feedback === 0 ? { hot_standby_feedback: 'off' } : {}),
            },
          };
          const before = model.primary;
          const had = namesOf(before?.logicalSlots ?? []);
          if (index > 0) {
            driveWithSlots(model, request, { segments, limit: cut }).forEach(count);
            for (const one of happenings) disturb(model, one);
          }
          driveWithSlots(model, request, { segments }).forEach(count);
          expectReached(model, request);
          const primary = model.primary as ModelNode;
          for (const node of model.nodes.values()) {
            if (node === primary) continue;
            expect(node.logicalSlots.filter(({ synced }) => !synced)).toEqual([]);
          }
          if (had.length > 0 && primary.logicalSlots.length === had.length) {
            count(primary === before ? 'kept' : 'synchronised');
          }
          if (primary.settings.wal_level !== 'logical') continue;
          // Consumers have created again what an earlier change lost.
          primary.logicalSlots = slots.map((failover, number) => ({
            name: `consumer_${number}`,
            failover: failover && major >= 17,
            synced: false,
          }));
          if (isOld) for (const node of model.nodes.values()) disableSlotCopies(model, node);
          model.advance();
        }
      }),
      { ...SEED, numRuns: Math.ceil(SCENARIOS / 3), examples: [[NEVER_COPIED]] },
    );
    for (const outcome of ['kept', 'synchronised', 'refused', 'refused level'] as const) {
      expect(counts.get(outcome) ?? 0).toBeGreaterThan(SCENARIOS / 150);
    }
  },
  TIMEOUT_MS,
);
