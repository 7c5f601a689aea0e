import { describe, expect, test } from 'vitest';
import type { NodeObservation } from '../observation.ts';
import { createDesired, createHealthy } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';
import type { Step } from './step.ts';

const running = createDesired();
const healthy = createHealthy(running);

/** The reasons of the first step of a kind. */
function explain(
  kind: Step['kind'],
  {
    observed = healthy,
    desired = running,
  }: { observed?: NodeObservation[]; desired?: typeof running },
): Step['reasons'] {
  const result = rollout(observed, desired);
  if (result.kind === 'refused') throw new Error(result.refusals.join());
  return result.steps.find((step) => step.kind === kind)?.reasons;
}

const larger = { ...running.settings, max_connections: '200' };
const raised = { kind: 'setting', name: 'max_connections', before: '100', after: '200' };
const image = { kind: 'image', before: 'postgres:17', after: 'postgres:17.7' };
const type = { kind: 'instance-type', before: 't3.medium', after: 't3.large' };
const last = { kind: 'primary-last', primary: 'node-1', successor: 'node-2' };
const outdated = (node: NodeObservation) => ({
  container: node.container && { ...node.container, current: false },
});
const lostSlot = changeNode(healthy, 'node-1', ({ postgres }) => ({
  postgres: postgres && {
    ...postgres,
    slots: postgres.slots.map((slot) =>
      slot.name === 'node_3' ? { ...slot, walStatus: 'lost' } : slot,
    ),
  },
}));

describe('every step says why it is done', () => {
  test.each<[string, Step['kind'], Parameters<typeof explain>[1], object]>([
    [
      'a restart for a setting',
      'restart',
      { desired: { ...running, settings: larger } },
      { 'node-2': [raised] },
    ],
    [
      'a restart for an image',
      'restart',
      { desired: { ...running, image: 'postgres:17.7' } },
      { 'node-2': [image] },
    ],
    [
      'a restart for the options of the container',
      'restart',
      { observed: changeNode(healthy, 'node-3', outdated) },
      { 'node-3': [{ kind: 'container' }] },
    ],
    [
      'a switchover before the primary restarts',
      'switchover',
      { desired: { ...running, settings: larger } },
      { 'node-1': [raised, last] },
    ],
    [
      'a switchover that was asked for',
      'switchover',
      { desired: { ...running, primary: 'node-3' } },
      { 'node-1': [{ kind: 'wanted-primary', node: 'node-3' }] },
    ],
    [
      'a switchover from a node that leaves',
      'switchover',
      {
        desired: { ...running, nodes: running.nodes.slice(1), leaving: running.nodes.slice(0, 1) },
      },
      { 'node-1': [{ kind: 'leaves', node: 'node-1' }] },
    ],
    [
      'a resize',
      'resize',
      { desired: { ...running, instanceType: 't3.large', memoryMib: 8192 } },
      { 'node-2': [type] },
    ],
    [
      'a clone of a node without data',
      'clone',
      {
        observed: changeNode(healthy, 'node-2', () => ({
          data: 'absent',
          postgres: null,
          record: null,
          container: null,
        })),
      },
      { 'node-2': [{ kind: 'no-data' }] },
    ],
    [
      'a clone after an unfinished one',
      'clone',
      {
        observed: changeNode(healthy, 'node-2', () => ({
          data: 'partial',
          postgres: null,
          record: null,
          container: null,
        })),
      },
      { 'node-2': [{ kind: 'unfinished-copy' }] },
    ],
    [
      'a slot that lost its WAL',
      'admit',
      { observed: lostSlot },
      { 'node-1': [{ kind: 'slots', missing: ['node_3'], retired: [] }] },
    ],
    [
      'a clone after its slot lost WAL',
      'clone',
      { observed: lostSlot },
      { 'node-3': [{ kind: 'slot-lost' }] },
    ],
    [
      'a start',
      'start',
      { observed: changeNode(healthy, 'node-3', stopped) },
      { 'node-3': [{ kind: 'down' }] },
    ],
    [
      'a reload',
      'reload',
      { desired: { ...running, settings: { ...running.settings, work_mem: '8MB' } } },
      Object.fromEntries(
        ['node-1', 'node-2', 'node-3'].map((name) => [
          name,
          [{ kind: 'configuration', parts: ['postgresql.conf'] }],
        ]),
      ),
    ],
    [
      'a removal',
      'destroy',
      {
        desired: { ...running, nodes: running.nodes.slice(0, 2), leaving: running.nodes.slice(2) },
      },
      { 'node-3': [{ kind: 'leaves', node: 'node-3' }] },
    ],
    [
      'a lower quorum',
      'reload',
      {
        observed: createHealthy(createDesired({ synchronousReplicas: 2 })),
        desired: createDesired({ synchronousReplicas: 1 }),
      },
      { 'node-1': [{ kind: 'quorum', before: 2, after: 1 }] },
    ],
  ])('%s', (_, kind, change, reasons) => {
    expect(explain(kind, change)).toEqual(reasons);
  });
});
