import fc from 'fast-check';
import { expect } from 'vitest';
import type { BackupSpec, RestoreSpec } from '../backup.ts';
import { renderBackupFiles } from '../backup-configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import { namesOf, nodeName, slotName } from '../node.ts';
import { renderSynchronous } from '../rollout/node-settings.ts';
import { type Rollout, rollout } from '../rollout/rollout.ts';
import type { Step } from '../rollout/step.ts';
import { mergeSettings } from '../settings/settings.ts';
import { createDesired, createNode } from './fixtures.ts';
import type { ModelCluster } from './model.ts';
import type { ModelNode } from './model-node.ts';
import { observeModel } from './model-observation.ts';
import { executeStep } from './model-steps.ts';

// What the property tests of the rollout share: random requests, and rollouts driven to their end against the model.

const { SCENARIOS: LONG } = process.env;
/**
 * The number of scenarios. Each is about ten pairs of an observed and a desired cluster. `SCENARIOS=20000` is for a long
 * run with different scenarios each time. Without it they are always the same, so that no change fails by chance.
 */
export const SCENARIOS = Number(LONG ?? 1_300);
/** The fixed seed, or none for a long run. */
export const SEED = LONG === undefined ? { seed: 17 } : {};
/** For a test with all scenarios. */
export const TIMEOUT_MS = 300_000 + 100 * SCENARIOS;

/** What a team asks for. */
export interface Request {
  readonly size: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly image: string;
  readonly instanceType: string;
  readonly memoryMib: number;
  readonly primary: string | null;
  readonly synchronousReplicas: number;
  readonly allowsSlotLoss?: boolean;
  readonly backup?: BackupSpec | null;
  readonly allowsBackupLoss?: boolean;
  readonly restore?: RestoreSpec | null;
  readonly storage?: { readonly dataGib: number; readonly rootGib: number };
}

/** Requests for clusters of at least `min` nodes; one of the first `primaries` nodes may be asked for as primary. */
export function createRequests({
  min,
  primaries,
}: {
  min: number;
  primaries: number;
}): fc.Arbitrary<Request> {
  return fc
    .record({
      size: fc.integer({ min, max: 4 }),
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
      primary: fc.nat(primaries),
      synchronousReplicas: fc.nat(2),
      storage: fc.record({
        dataGib: fc.constantFrom(20, 21, 40),
        rootGib: fc.constantFrom(16, 17),
      }),
    })
    .map(({ instance: [instanceType, memoryMib], primary, synchronousReplicas, ...rest }) => ({
      ...rest,
      instanceType,
      memoryMib,
      primary: primary === 0 ? null : nodeName(Math.min(primary, rest.size)),
      synchronousReplicas: Math.min(synchronousReplicas, rest.size - 1),
    }));
}

/** After how many steps, each time, the nodes are observed again. */
export const segmentLengths = fc.array(fc.integer({ min: 1, max: 9 }), {
  minLength: 1,
  maxLength: 4,
});

/** Returns the lengths one after the other, again and again. */
export function cycle(lengths: readonly number[]): () => number {
  let count = 0;
  return () => lengths[count++ % lengths.length] as number;
}

/** Returns the cluster that `request` asks for in the model's state. */
export function buildModelDesired(
  model: ModelCluster,
  request: Request,
  unreachable: readonly string[] = [],
): DesiredCluster {
  const existing = (number: number) => model.nodes.get(nodeName(number));
  const numbers = [1, 2, 3, 4];
  const node = (number: number) => ({
    ...createNode(number),
    instanceType: existing(number)?.instanceType ?? request.instanceType,
  });
  return createDesired({
    ...request,
    nodes: numbers.filter((number) => number <= request.size).map(node),
    leaving: numbers.filter((number) => number > request.size && existing(number)).map(node),
    unreachable,
  });
}

interface DriveOptions {
  readonly segments: () => number;
  /** Steps after which the run is cut. */
  readonly limit?: number;
  readonly unreachable?: readonly string[];
  readonly onRollout?: (result: Rollout) => void;
  readonly onStep?: (step: Step) => void;
}

/** Rolls out until nothing is left to do, with a new observation after each segment; returns the steps. */
export function drive(model: ModelCluster, request: Request, options: DriveOptions): Step[] {
  const { segments, limit = Infinity, unreachable = [], onRollout, onStep } = options;
  const done: Step[] = [];
  for (let round = 0; round < 100; round += 1) {
    model.desired = buildModelDesired(model, request, unreachable);
    model.advance();
    const observed = observeModel(model).filter(({ name }) => !unreachable.includes(name));
    const result = rollout(observed, model.desired);
    onRollout?.(result);
    if (result.kind === 'refused') throw new Error(`refused: ${result.refusals.join(' ')}`);
    if (result.steps.length === 0) {
      expect(result.deferral?.nodes ?? []).toEqual(unreachable);
      return done;
    }
    model.growVolumes();
    let left = segments();
    for (const step of result.steps) {
      // A check leaves nothing behind, so a run that ends after it equals one that ends before it.
      if (step.kind !== 'check') left -= 1;
      if (left < 0) break;
      if (done.length >= limit) return done;
      done.push(step);
      onStep?.(step);
      try {
        executeStep(model, step);
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

/** Expects the cluster to be what `request` asks for. */
export function expectReached(model: ModelCluster, request: Request): void {
  const { desired } = model;
  model.advance();
  expect([...model.nodes.keys()].sort()).toEqual(namesOf(desired.nodes));
  expect(model.primaries).toHaveLength(1);
  const primary = model.primary as ModelNode;
  if (desired.primary !== null) expect(primary.name).toBe(desired.primary);
  const replicas = [...model.nodes.values()].filter((node) => node !== primary);
  expect(namesOf(primary.slots).sort()).toEqual(namesOf(replicas).map(slotName).sort());
  for (const node of model.nodes.values()) {
    expect(node.settings).toMatchObject({
      ...request.settings,
      synchronous_standby_names: renderSynchronous(desired),
    });
    const { dataGib, rootGib } = desired.storage;
    expect(node.settings).toMatchObject({
      max_slot_wal_keep_size: mergeSettings({}, { dataGib }).max_slot_wal_keep_size,
    });
    // One that was larger before is left alone.
    const { data, root } = node.volumes;
    if (data.device === dataGib) expect(data.filesystem).toBe(dataGib);
    if (root.device === rootGib) expect(root.filesystem).toBe(rootGib);
    expect(node.files).toMatchObject(renderBackupFiles(desired));
    expect(node.hasTools).toBe(desired.backup !== null || desired.restore !== null);
    expect(node.image).toBe(request.image);
    expect(node.instanceType).toBe(request.instanceType);
    expect(node.standbySignal).toBe(node !== primary);
  }
  for (const replica of replicas) {
    expect(model.isStreaming(replica)).toBe(true);
    expect(replica.slots).toEqual([]);
    expect(replica.lsn).toBe(primary.lsn);
  }
}
