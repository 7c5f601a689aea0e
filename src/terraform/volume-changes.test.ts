import { expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { summarizePlan } from './plan.ts';
import { listShrinks, listVolumeChanges } from './volume-changes.ts';

const plan = (...resources: ResourceOverrides[]) => summarizePlan(createPlan(resources));

const volume = (number: number, before: object, after: object): ResourceOverrides => ({
  address: `aws_ebs_volume.data["${number}"]`,
  actions: ['update'],
  before: { id: `vol-${number}`, ...before },
  after: { id: `vol-${number}`, ...after },
});

const root = (number: number, before: number, after: number): ResourceOverrides => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['update'],
  before: { id: `i-${number}`, root_block_device: [{ volume_size: before, encrypted: true }] },
  after: { id: `i-${number}`, root_block_device: [{ volume_size: after, encrypted: true }] },
});

test('the volumes that a plan changes in place are listed with their values', () => {
  const changes = listVolumeChanges(
    plan(
      root(1, 16, 20),
      volume(
        10,
        { size: 20, iops: 3000, throughput: 125 },
        { size: 40, iops: 6000, throughput: 125 },
      ),
      volume(2, { size: 20, throughput: 125 }, { size: 20, throughput: 250 }),
      volume(1, { size: 20, tags: null }, { size: 20, tags: { Team: 'a' } }),
    ),
  );
  expect(changes).toEqual([
    { node: 'node-10', kind: 'data', attribute: 'size', before: 20, after: 40 },
    { node: 'node-10', kind: 'data', attribute: 'iops', before: 3000, after: 6000 },
    { node: 'node-2', kind: 'data', attribute: 'throughput', before: 125, after: 250 },
    { node: 'node-1', kind: 'root', attribute: 'size', before: 16, after: 20 },
  ]);
});

test('new and replaced volumes are not changed in place', () => {
  const { before, after } = volume(1, { size: 40 }, { size: 20 });
  const address = 'aws_ebs_volume.data["1"]';
  for (const actions of [['delete', 'create'], ['create'], ['delete'], ['no-op']]) {
    const one = { address, actions, before: actions[0] === 'create' ? null : before, after };
    expect(listVolumeChanges(plan(one))).toEqual([]);
  }
});

test('a smaller size is a shrink, fewer IOPS are none', () => {
  const shrinks = listShrinks(
    plan(volume(1, { size: 40, iops: 6000 }, { size: 20, iops: 3000 }), root(2, 16, 8)),
  );
  expect(shrinks.map(({ node, kind }) => `${node} ${kind}`)).toEqual([
    'node-1 data',
    'node-2 root',
  ]);
});
