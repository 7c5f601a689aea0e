import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeName } from '../node.ts';
import { createDesired } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
import { observeModel } from '../testing/model-observation.ts';
import {
  buildModelDesired,
  createRequests,
  cycle,
  drive,
  SCENARIOS,
  SEED,
  segmentLengths,
  TIMEOUT_MS,
} from '../testing/model-scenarios.ts';
import { executeStep } from '../testing/model-steps.ts';
import { planDiscard } from './discard.ts';

// `planDiscard` against the model, whose step refuses to delete data that is in use (invariant 7).

const situations = fc.record({
  request: createRequests({ min: 2, primaries: 4 }),
  /** The data of the first one's node is to go. */
  happenings: fc.array(disturbances, { minLength: 1, maxLength: 2 }),
  withData: fc.boolean(),
  lengths: segmentLengths,
});

test(
  'deletes no data that is in use, and the node follows afterwards',
  () => {
    let deleted = 0;
    fc.assert(
      fc.property(situations, ({ request, happenings, withData, lengths }) => {
        const segments = cycle(lengths);
        const model = new ModelCluster(createDesired());
        drive(model, request, { segments });
        const node = model.nodes.get(nodeName(happenings[0]?.node ?? 0));
        if (!node) return;
        for (const one of happenings) disturb(model, one);
        model.advance();
        const rows = model.primary?.lsn;
        model.desired = buildModelDesired(model, request);
        const observation = { observed: observeModel(model), unreachable: [] };
        const options = { desired: model.desired, node: node.name, withData };
        const found = planDiscard(observation, { ...options, isDone: false });
        if (found.kind === 'refused') return;
        expect(found.steps.map(({ kind }) => kind)).toEqual(['discard']);
        const { primary } = model;
        const others = [...model.nodes.values()].filter((one) => one !== node && one !== primary);
        if (withData) expect(others.every((one) => model.isStreaming(one))).toBe(true);
        for (const step of found.steps) executeStep(model, step);
        if (withData) deleted += 1;
        expect(model.primary).toBe(primary);
        expect(primary?.lsn).toBeGreaterThanOrEqual(rows ?? 0);
        drive(model, request, { segments });
        if (node !== model.primary) expect(model.isStreaming(node)).toBe(true);
      }),
      { ...SEED, numRuns: Math.ceil(SCENARIOS / 3) },
    );
    // A planner that refuses everything deletes nothing either.
    expect(deleted).toBeGreaterThan(SCENARIOS / 60);
  },
  TIMEOUT_MS,
);
