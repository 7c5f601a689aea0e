import fc from 'fast-check';
import { expect, test } from 'vitest';
import { namesOf, nodeName, slotName } from '../node.ts';
import { HOT_STANDBY_SENSITIVE } from '../settings/settings.ts';
import { createDesired, DEFAULTS } from '../testing/fixtures.ts';
import { ModelCluster } from '../testing/model.ts';
import { type ModelNode, shutDown } from '../testing/model-node.ts';
import { createRequests, cycle, drive, segmentLengths } from '../testing/model-scenarios.ts';
import { readQuorum } from './node-settings.ts';
import type { Step } from './step.ts';

// `rollout` around unreachable nodes, against the model (invariants 5, 7 and 9): no running server is stopped, no slot is
// dropped, an unplanned start is safe, and once every node is back the rollout reaches what was asked for.

const RUNS = 200;
const TIMEOUT_MS = 300_000;

const requests = createRequests({ min: 3, primaries: 3 });
const scenarios = fc.record({
  list: fc.tuple(requests, requests, requests),
  /** Steps of the second request after which the nodes become unreachable. */
  cut: fc.nat(8),
  numbers: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
  /** Whether their machines are lost as well; otherwise only the login fails. */
  isDead: fc.boolean(),
  /** A replica that can be reached and is down. */
  down: fc.nat(4),
  lengths: segmentLengths,
});

/** What a server would start with now. */
const startsWith = (node: ModelNode, name: string) => Number(node.file[name] ?? DEFAULTS[name]);

function expectSafeStarts(model: ModelCluster, unreachable: readonly string[]): void {
  const { primary } = model;
  if (!primary) throw new Error('no primary');
  for (const node of model.nodes.values()) {
    if (node === primary || unreachable.includes(node.name) || !model.isReplicaUp(node)) continue;
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

test(
  'a rollout around unreachable nodes stops no server, and reaches what is desired once they are back',
  () => {
    let counted = 0;
    fc.assert(
      fc.property(scenarios, ({ list, cut, numbers, isDead, down, lengths }) => {
        const segments = cycle(lengths);
        const model = new ModelCluster(createDesired());
        drive(model, list[0], { segments });
        drive(model, list[1], { segments, limit: cut });
        model.advance();
        const { primary } = model;
        const unreachable = numbers.map(nodeName);
        if (!primary || unreachable.includes(primary.name)) return;
        const nodes = unreachable.map((name) => model.get(name));
        // A node whose copy has not finished belongs to the run that was cut, and a rollout does not work around it.
        if (nodes.some((node) => node.data !== 'complete' || !node.standbySignal)) return;
        for (const node of nodes) {
          if (!isDead || node.container !== 'running') continue;
          node.state = 'in archive recovery';
          node.container = 'stopped';
        }
        const other = model.nodes.get(nodeName(down));
        if (other && other !== primary && other.container === 'running' && !nodes.includes(other)) {
          shutDown(other);
          other.container = 'stopped';
        }
        counted += 1;
        const up = [...model.nodes.values()].filter(({ container }) => container === 'running');
        const slots = namesOf(primary.slots);
        const quorum = readQuorum(primary.settings.synchronous_standby_names ?? '');
        const onStep = (step: Step) => {
          expect(step.nodes.filter((name) => unreachable.includes(name))).toEqual([]);
          expect(['switchover', 'stop', 'resize', 'destroy', 'promote', 'fence']).not.toContain(
            step.kind,
          );
          // Only a server that is down anyway restarts.
          if (step.kind === 'restart') expect(namesOf(up)).not.toContain(step.nodes[0]);
        };
        drive(model, list[1], { segments, unreachable, onStep });
        expect(model.primary).toBe(primary);
        expect(up.every(({ container }) => container === 'running')).toBe(true);
        for (const slot of unreachable.map(slotName)) {
          expect(namesOf(primary.slots).includes(slot)).toBe(slots.includes(slot));
        }
        expectSafeStarts(model, unreachable);
        const streaming = [...model.nodes.values()].filter((node) => model.isStreaming(node));
        expect(readQuorum(primary.settings.synchronous_standby_names ?? '')).toBeLessThanOrEqual(
          Math.max(quorum, streaming.length),
        );

        for (const request of [list[1], list[2]]) {
          drive(model, request, { segments });
          expect(model.primaries).toHaveLength(1);
          for (const node of model.nodes.values()) {
            expect(node.settings).toMatchObject(request.settings);
            expect(node.image).toBe(request.image);
            expect(node.instanceType).toBe(request.instanceType);
          }
        }
      }),
      { seed: 17, numRuns: RUNS },
    );
    expect(counted).toBeGreaterThan(RUNS / 4);
  },
  TIMEOUT_MS,
);
