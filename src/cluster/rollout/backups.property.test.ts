import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRunningPrimary } from '../replication.ts';
import { createBackup, createDesired, createSource } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb, disturbances } from '../testing/model-disturbances.ts';
import { observeModel } from '../testing/model-observation.ts';
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

// Backups that are switched on and off between other changes, against the model, which throws when archiving begins before
// its repository exists or its programs are there, and when they are removed before it has ended.

const backups = fc.constantFrom(
  null,
  createBackup(),
  createBackup({ retentionDays: 7 }),
  createBackup({ prefix: 'elsewhere' }),
);
const RESTORE = { from: createSource(), time: null };
const requests = fc
  .record({ request: createRequests({ min: 1, primaries: 4 }), backup: backups })
  .map(({ request, backup }): Request => ({ ...request, backup, allowsBackupLoss: true }));

/** Few: every other property of a rollout is tested without backups. */
const RUNS = Math.ceil(SCENARIOS / 20);

test(
  'backups begin and end wherever a rollout was cut, and every node is ready to go on with them',
  () => {
    const scenarios = fc.record({
      restored: fc.boolean(),
      requests: fc.array(requests, { minLength: 2, maxLength: 3 }),
      cut: fc.nat(12),
      happenings: fc.array(disturbances, { maxLength: 2 }),
      segments: segmentLengths,
    });
    fc.assert(
      fc.property(scenarios, ({ restored, requests: list, cut, happenings, segments }) => {
        const options = { segments: cycle(segments) };
        const model = new ModelCluster(createDesired());
        const [first, ...changes] = list as [Request, ...Request[]];
        const start = { ...first, restore: restored ? RESTORE : null };
        drive(model, start, { ...options, limit: cut });
        drive(model, start, options);
        expectStarted(model, start);
        for (const request of changes) {
          drive(model, request, { ...options, limit: cut });
          for (const one of happenings) disturb(model, one);
          drive(model, request, options);
          expectReached(model, request);
          expectBackup(model);
        }
      }),
      { ...SEED, numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);

/** A repository that is in use has a full backup. */
function expectBackup(model: ModelCluster): void {
  const { backup } = observeModel(model).find(isRunningPrimary) ?? {};
  expect(backup === null).toBe(model.desired.backup === null);
  expect(backup?.backups.length).not.toBe(0);
}

/** Programs that only a restore needed may stay. */
function expectStarted(model: ModelCluster, request: Request): void {
  const settled = { ...request, restore: null };
  drive(model, settled, { segments: () => 9 });
  expectReached(model, settled);
}

test(
  'no server is touched for backups alone',
  () => {
    const pairs = fc.record({ request: requests, before: backups, segments: segmentLengths });
    fc.assert(
      fc.property(pairs, ({ request, before, segments }) => {
        const model = new ModelCluster(createDesired());
        drive(model, { ...request, backup: before }, { segments: cycle(segments) });
        const steps = drive(model, request, { segments: cycle(segments) });
        expectReached(model, request);
        const kinds = new Set(steps.map(({ kind }) => kind));
        expect(
          [...kinds].filter((kind) => !['prepare', 'archive', 'backup'].includes(kind)),
        ).toEqual([]);
        const prepared = steps.filter(({ kind }) => kind === 'prepare');
        expect(prepared.every((step) => 'tools' in step)).toBe(true);
      }),
      { ...SEED, numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);
