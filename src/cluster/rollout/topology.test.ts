import { describe, expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { createDesired, createHealthy, NEWER_DIGEST, RUNNING_DIGEST } from '../testing/fixtures.ts';
import { changeNode, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';
import { buildTopologyChange } from './topology.ts';

const before = createDesired();

function describeChange(
  desired: DesiredCluster,
  options: { observed?: readonly NodeObservation[]; existing?: DesiredCluster['nodes'] } = {},
) {
  const { observed = createHealthy(before), existing = before.nodes } = options;
  const database = rollout(observed, desired);
  const zones = { 'node-4': 'us-east-1d' };
  const fresh = desired.nodes
    .map(({ name }) => name)
    .filter((name) => !before.nodes.some((node) => node.name === name) || existing.length === 0);
  const terraform = { existing, zones, replaced: [], resized: [], fresh };
  return buildTopologyChange({ observed, ...terraform, database, desired });
}

/** `node-1 primary → replica restarted`, which is what most of it is about. */
const summarize = (changes: ReturnType<typeof buildTopologyChange>): string[] =>
  changes.map(
    ({ name, before: was, after: is, consequence }) =>
      `${name} ${was?.role ?? '–'} → ${is?.role ?? '–'} ${consequence ?? 'unknown'}`,
  );

describe('buildTopologyChange', () => {
  test('no node is touched if nothing changes', () => {
    expect(summarize(describeChange(before))).toEqual([
      'node-1 primary → primary untouched',
      'node-2 replica → replica untouched',
      'node-3 replica → replica untouched',
    ]);
  });

  test('a first deploy', () => {
    expect(summarize(describeChange(before, { observed: [], existing: [] }))).toEqual([
      'node-1 – → primary new',
      'node-2 – → replica new',
      'node-3 – → replica new',
    ]);
  });

  test('a restart after a switchover moves the primary', () => {
    const desired = createDesired({ settings: { ...before.settings, shared_buffers: '1GB' } });
    expect(summarize(describeChange(desired))).toEqual([
      'node-1 primary → replica restarted',
      'node-2 replica → primary restarted',
      'node-3 replica → replica restarted',
    ]);
  });

  test('a reload', () => {
    const desired = createDesired({ settings: { ...before.settings, work_mem: '8MB' } });
    expect(summarize(describeChange(desired)).map((line) => line.split(' ').at(-1))).toEqual([
      'reloaded',
      'reloaded',
      'reloaded',
    ]);
  });

  test('one more node has the zone that is planned for it', () => {
    const changes = describeChange(createDesired({ size: 4 }));
    expect(changes.at(-1)).toMatchObject({
      name: 'node-4',
      before: null,
      after: { role: 'replica', zone: 'us-east-1d', image: 'postgres:17' },
      consequence: 'new',
    });
    expect(summarize(changes)[1]).toBe('node-2 replica → replica reloaded');
  });

  test('one node less', () => {
    const nodes = before.nodes.slice(0, 2);
    const desired = { ...before, nodes, leaving: before.nodes.slice(2) };
    expect(summarize(describeChange(desired)).at(-1)).toBe('node-3 replica → – removed');
  });

  test('a larger type', () => {
    const desired = createDesired({ instanceType: 't3.large', memoryMib: 8192 });
    const changes = describeChange(desired);
    expect(changes.map(({ consequence }) => consequence)).toEqual([
      'resized',
      'resized',
      'resized',
    ]);
    expect(changes[0]).toMatchObject({
      before: { role: 'primary', instanceType: 't3.medium' },
      after: { role: 'replica', instanceType: 't3.large' },
    });
  });

  test('a replica that cannot follow is cloned again, and the others are untouched', () => {
    const observed = changeNode(createHealthy(before), 'node-3', (node) => ({
      ...stopped(node),
      data: 'partial',
    }));
    const changes = summarize(describeChange(before, { observed }));
    expect(changes[2]).toMatch(/re-cloned$/);
    expect(changes.slice(0, 2)).toEqual([
      'node-1 primary → primary untouched',
      'node-2 replica → replica untouched',
    ]);
  });

  test('nodes that were not observed show only what Terraform does', () => {
    const changes = buildTopologyChange({
      observed: [],
      existing: before.nodes,
      zones: {},
      replaced: ['node-2'],
      resized: ['node-3'],
      fresh: [],
      database: { kind: 'unobserved' },
      desired: before,
    });
    expect(summarize(changes)).toEqual([
      'node-1 – → – unknown',
      'node-2 – → – replaced',
      'node-3 – → – resized',
    ]);
  });

  test('steps that are followed by another observation show no final roles', () => {
    const observed = changeNode(createHealthy(before), 'node-1', (node) => ({
      data: 'absent',
      record: null,
      postgres: null,
      volume: { ...node.volume, ready: false },
    }));
    expect(summarize(describeChange(before, { observed }))).toEqual([
      'node-1 – → – unknown',
      'node-2 replica → replica unknown',
      'node-3 replica → replica unknown',
    ]);
  });

  test('a node without an instance that has its volume gets another instance', () => {
    const existing = before.nodes.slice(0, 2);
    const observed = createHealthy(before).slice(0, 2);
    const changes = describeChange(before, { observed, existing });
    expect(changes[2]).toMatchObject({ before: null, consequence: 'replaced' });
  });

  test('the image is a digest where it was observed', () => {
    const desired = createDesired({ image: 'postgres:17.7' });
    const [first] = describeChange(desired);
    expect(first).toMatchObject({
      before: { image: RUNNING_DIGEST },
      after: { image: NEWER_DIGEST },
    });
  });
});
