import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBackup, createDesired } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { disturb } from '../testing/model-disturbances.ts';
import {
  createRequests,
  cycle,
  drive,
  expectReached,
  SCENARIOS,
  SEED,
  segmentLengths,
  TIMEOUT_MS,
} from '../testing/model-scenarios.ts';

// The model throws when a replica replays WAL that the archive lacks, or that is not of its primary's history.

test(
  'a replica that lost its WAL is never cloned while the archive has it, wherever a rollout was cut',
  () => {
    const losses = fc.record({
      node: fc.integer({ min: 1, max: 4 }),
      what: fc.constantFrom('slot lost', 'slot dropped', 'stopped', 'container outdated'),
    });
    const scenarios = fc.record({
      request: createRequests({ min: 2, primaries: 0 }),
      primary: fc.constantFrom(null, 'node-1', 'node-2'),
      losses: fc.array(losses, { minLength: 1, maxLength: 3 }),
      cut: fc.nat(6),
      segments: segmentLengths,
    });
    let caughtUp = 0;
    fc.assert(
      fc.property(scenarios, ({ request, primary, losses: list, cut, segments }) => {
        const options = { segments: cycle(segments) };
        const model = new ModelCluster(createDesired());
        const archived = { ...request, backup: createBackup(), allowsBackupLoss: true };
        drive(model, archived, options);
        // The archive's first whole segment is behind every replica.
        for (let mib = 0; mib < 40; mib += 1) model.advance();
        for (const one of list) {
          const isOutdated = one.what === 'container outdated';
          const node = model.nodes.get(`node-${one.node}`);
          // Programs that a running container lacks, or a primary that is down, are another matter.
          if (node === model.primary || (isOutdated && node?.container === 'running')) continue;
          disturb(model, one);
        }
        const wanted = { ...archived, primary };
        const steps = [
          ...drive(model, wanted, { ...options, limit: cut }),
          ...drive(model, wanted, options),
        ];
        expectReached(model, wanted);
        expect(steps.filter(({ kind }) => kind === 'clone')).toEqual([]);
        for (const node of model.nodes.values()) expect(node.movedAside).toBe(0);
        caughtUp += steps.some((step) => step.kind === 'start' && step.fromArchive) ? 1 : 0;
      }),
      { ...SEED, numRuns: Math.ceil(SCENARIOS / 20) },
    );
    expect(caughtUp).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
