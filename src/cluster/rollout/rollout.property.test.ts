import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeName } from '../node.ts';
import { createDesired } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
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

// `rollout` against a model of PostgreSQL (testing/model.ts) that throws when a step breaks one of its rules: the
// invariants of the design hold after every single step.

const requests = createRequests({ min: 1, primaries: 4 });
/** Rollouts that the scenarios have to contain at least. */
const MIN_ROLLOUTS = 8 * SCENARIOS;

const scenarios = fc.record({
  requests: fc.array(requests, { minLength: 2, maxLength: 3 }),
  cut: fc.nat(12),
  happenings: fc.array(disturbances, { maxLength: 2 }),
  segments: segmentLengths,
});
type Scenario = typeof scenarios extends fc.Arbitrary<infer T> ? T : never;

// Regressions, each found once in some thousand scenarios.
const SMALL = { instanceType: 't3.small', memoryMib: 2048, synchronousReplicas: 0 };
const MEDIUM = { ...SMALL, instanceType: 't3.medium', memoryMib: 4096 };
const EXAMPLES: readonly [Scenario][] = [
  /** A replica that ran and did not stream was taken for restarted when it was started. */
  [
    {
      requests: [
        { size: 1, settings: {}, image: 'postgres:17.6', primary: null, ...SMALL },
        {
          size: 3,
          settings: { max_connections: '50' },
          image: 'postgres:17',
          primary: 'node-3',
          ...SMALL,
        },
        { size: 1, settings: {}, image: 'postgres:17', primary: null, ...SMALL },
      ],
      cut: 8,
      happenings: [{ node: 3, what: 'slot dropped' }],
      segments: [7],
    },
  ],
  /** A stopped replica was expected to follow, because its slot would exist again. */
  [
    {
      requests: [
        { size: 1, settings: {}, image: 'postgres:17', primary: null, ...SMALL },
        { size: 2, settings: {}, image: 'postgres:17.6', primary: 'node-1', ...MEDIUM },
      ],
      cut: 7,
      happenings: [
        { node: 1, what: 'slot lost' },
        { node: 1, what: 'slot dropped' },
      ],
      segments: [6],
    },
  ],
  /** Replicas without a primary restart one by one for what the promoted one runs with already. */
  [
    {
      requests: [
        {
          size: 4,
          settings: {},
          image: 'postgres:17',
          primary: null,
          ...SMALL,
          storage: { dataGib: 20, rootGib: 16 },
        },
        {
          size: 4,
          settings: { max_worker_processes: '16' },
          image: 'postgres:17',
          primary: null,
          ...SMALL,
          storage: { dataGib: 20, rootGib: 17 },
        },
      ],
      cut: 4,
      happenings: [
        { node: 1, what: 'fenced' },
        { node: 1, what: 'stopped' },
      ],
      segments: [3],
    },
  ],
  /** A replica that had not read its files restarted for a raised setting before it was its turn. */
  [
    {
      requests: [
        { size: 2, settings: {}, image: 'postgres:17', primary: 'node-2', ...SMALL },
        {
          size: 3,
          settings: { max_worker_processes: '16' },
          image: 'postgres:17',
          primary: null,
          ...SMALL,
        },
      ],
      cut: 0,
      happenings: [
        { node: 1, what: 'file not read' },
        { node: 1, what: 'slot dropped' },
      ],
      segments: [4],
    },
  ],
];

const alterations = fc.oneof(
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

/** Rolls out to the end, and resets what a refusal says that ALTER SYSTEM holds. */
function driveWithResets(model: ModelCluster, request: Request, segments: () => number): void {
  for (;;) {
    try {
      drive(model, request, { segments });
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

describe('a rollout', () => {
  test(
    'keeps the invariants in every sequence, ends, and reaches what is desired wherever it was cut',
    () => {
      let rollouts = 0;
      const onRollout = () => {
        rollouts += 1;
      };
      fc.assert(
        fc.property(scenarios, ({ requests: list, cut, happenings, segments: lengths }) => {
          const options = { segments: cycle(lengths), onRollout };
          const [first, ...changes] = list as [Request, ...Request[]];
          const model = new ModelCluster(createDesired());
          drive(model, first, options);
          expectReached(model, first);
          let written = model.primary?.lsn ?? 0;
          for (const request of changes) {
            drive(model, request, { ...options, limit: cut });
            for (const one of happenings) disturb(model, one);
            drive(model, request, options);
            expectReached(model, request);
            expect(model.primary?.lsn).toBeGreaterThanOrEqual(written);
            written = model.primary?.lsn ?? 0;
          }
        }),
        { ...SEED, numRuns: SCENARIOS, examples: [...EXAMPLES] },
      );
      expect(rollouts).toBeGreaterThanOrEqual(MIN_ROLLOUTS);
    },
    TIMEOUT_MS,
  );

  test(
    'follows what ALTER SYSTEM wrote, or is refused with what to reset',
    () => {
      const altered = fc.record({
        list: fc.tuple(requests, requests, requests),
        changes: fc.array(alterations, { minLength: 1, maxLength: 3 }),
        lengths: segmentLengths,
      });
      fc.assert(
        fc.property(altered, ({ list, changes, lengths }) => {
          const segments = cycle(lengths);
          const model = new ModelCluster(createDesired());
          drive(model, list[0], { segments });
          for (const { node: number, name, value, stopped } of changes) {
            const node = model.nodes.get(nodeName(number));
            if (!node) continue;
            node.auto = { ...node.auto, [name]: value };
            if (stopped && node !== model.primary)
              disturb(model, { node: number, what: 'stopped' });
          }
          for (const request of list.slice(1)) driveWithResets(model, request, segments);
          for (const node of model.nodes.values()) node.auto = {};
          drive(model, list[2], { segments });
          expectReached(model, list[2]);
        }),
        { ...SEED, numRuns: Math.ceil(SCENARIOS / 4) },
      );
    },
    TIMEOUT_MS,
  );
});
