import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeName } from '../node.ts';
import type { CloneSpec } from '../spec.ts';
import { createDesired } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { discardData, failCopy, fits, observeCopies } from '../testing/model-copies.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
import {
  buildModelDesired,
  createRequests,
  cycle,
  expectReached,
  type Request,
  SCENARIOS,
  SEED,
  segmentLengths,
  TIMEOUT_MS,
} from '../testing/model-scenarios.ts';
import { executeStep } from '../testing/model-steps.ts';
import { rollout } from './rollout.ts';

// `rollout` against a model whose copies run while runs come and go. The model throws where a copy is begun that does not
// fit, where one that could go on is ended or begun anew, and where old data of a node that is copied to is promoted.

type CopyRequest = Request & { readonly clone: CloneSpec };
const SIZE = 15;

/** What happens to a copy, or to anything else, after a run. */
const happenings = fc.oneof(
  disturbances,
  fc.record({
    node: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom('copy killed', 'rebooted', 'no space'),
  }),
);

function happen(model: ModelCluster, one: { node: number; what: string }): void {
  const node = model.nodes.get(nodeName(one.node));
  if (!node) return;
  if (one.what === 'copy killed' || one.what === 'no space') failCopy(node, one.what);
  else if (one.what === 'rebooted') {
    if (node.copy?.state === 'running') failCopy(node, 'the copy was cut');
  } else disturb(model, one);
  // Nothing runs on an instance that is gone.
  if (!node.mounted) failCopy(node, 'the copy was cut');
}

/**
 * Rolls out for `runs` runs, or to the end. Each run watches a copy for `patience` calls, then ends; returns whether
 * nothing is left to do.
 */
function deploy(
  model: ModelCluster,
  request: CopyRequest,
  { segments, patience, runs = 300 }: { segments: () => number; patience: number; runs?: number },
): boolean {
  const { copies } = model;
  if (copies === null) throw new Error('copies take no time');
  for (let run = 0; run < runs; run += 1) {
    model.desired = buildModelDesired(model, request);
    model.advance();
    const result = rollout(observeCopies(model), model.desired);
    if (result.kind === 'refused') {
      makeRoom(model, result.refusals);
      continue;
    }
    if (result.steps.length === 0) return true;
    model.growVolumes();
    let left = segments();
    for (const step of result.steps) {
      // A check leaves nothing behind: a run that ends after it equals one that ends before it.
      if (step.kind !== 'check') left -= 1;
      if (left < 0) break;
      Object.assign(copies, { pending: false, refused: false, repeated: false });
      executeStep(model, step);
      for (let calls = 1; copies.pending && calls < patience; calls += 1) {
        Object.assign(copies, { pending: false, repeated: true });
        executeStep(model, step);
      }
      if (copies.pending || copies.refused) break;
    }
  }
  return false;
}

/** Does what a refusal says: deletes the present data of nodes on which there is really no room. */
function makeRoom(model: ModelCluster, refusals: readonly string[]): void {
  for (const refusal of refusals) {
    const name = /discard: (node-\d) and discard-data: true/.exec(refusal)?.[1];
    if (name === undefined) throw new Error(`refused: ${refusal}`);
    const node = model.get(name);
    expect(fits(model, node)).toBe(false);
    expect(node).not.toBe(model.primary);
    discardData(node);
  }
}

test(
  'copies that outlive their runs: none is lost, none is begun twice, and the cluster is reached',
  () => {
    let adopted = 0;
    const requests = fc
      .tuple(
        createRequests({ min: 2, primaries: 4 }),
        fc.record({
          from: fc.constantFrom('primary' as const, 'replica' as const),
          maxRate: fc.constantFrom(null, 1024),
        }),
      )
      .map(([request, clone]): CopyRequest => ({ ...request, clone }));
    const scenarios = fc.record({
      list: fc.tuple(requests, requests),
      rounds: fc.integer({ min: 1, max: 12 }),
      patience: fc.integer({ min: 1, max: 6 }),
      runs: fc.integer({ min: 1, max: 6 }),
      events: fc.array(happenings, { minLength: 1, maxLength: 3 }),
      lengths: segmentLengths,
    });
    fc.assert(
      fc.property(scenarios, ({ list, rounds, patience, runs, events, lengths }) => {
        const model = new ModelCluster(createDesired());
        model.copies = {
          rounds,
          size: SIZE,
          ...{ pending: false, refused: false, repeated: false },
        };
        const options = { segments: cycle(lengths), patience };
        const [first, second] = list;
        expect(deploy(model, first, options)).toBe(true);
        expectReached(model, first);
        const written = model.primary?.lsn ?? 0;
        for (const one of events) {
          happen(model, one);
          deploy(model, second, { ...options, runs });
          if ([...model.nodes.values()].some(({ copy }) => copy !== null)) adopted += 1;
        }
        expect(deploy(model, second, options)).toBe(true);
        expectReached(model, second);
        expect(model.primary?.lsn).toBeGreaterThanOrEqual(Math.max(written, model.acknowledged));
        for (const { copy } of model.nodes.values()) expect(copy?.state ?? 'failed').toBe('failed');
      }),
      { ...SEED, numRuns: Math.ceil(SCENARIOS / 4) },
    );
    // Runs that left a copy to the next one.
    expect(adopted).toBeGreaterThan(SCENARIOS / 50);
  },
  TIMEOUT_MS,
);
