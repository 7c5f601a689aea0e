import { describe, expect, test } from 'vitest';
import { createPlan, type ResourceOverrides, readFixture } from '../report/fixtures/plan.ts';
import {
  buildNodeChanges,
  buildStageOverrides,
  instanceAddress,
  type NodeChanges,
  readPlannedInstances,
} from './node-changes.ts';
import { type PlanSummary, summarizePlan } from './plan.ts';
import { findUnreviewedChanges } from './plan-differences.ts';

const plan = (...resources: ResourceOverrides[]): PlanSummary =>
  summarizePlan(createPlan(resources));
const instance = (number: number) => instanceAddress(`node-${number}`);
const attachment = (number: number) => `aws_volume_attachment.data["${number}"]`;
const volume = (number: number) => `aws_ebs_volume.data["${number}"]`;

function resize(number: number, to = 't3.large', from = 't3.medium'): ResourceOverrides {
  const same = { id: `i-${number}`, private_ip: `10.42.0.${number}` };
  const address = { public_ip: `203.0.113.${number}`, public_dns: `ec2-${number}` };
  return {
    address: instance(number),
    actions: ['update'],
    before: { ...same, ...address, instance_type: from },
    after: { ...same, instance_type: to },
    unknown: { public_ip: true, public_dns: true },
  };
}

function destroy(number: number): ResourceOverrides[] {
  return [
    [instance(number), { id: `i-${number}`, instance_type: 't3.medium' }] as const,
    [attachment(number), { id: `vai-${number}` }] as const,
    [volume(number), { id: `vol-${number}` }] as const,
  ].map(([address, before]) => ({ address, actions: ['delete'], before }));
}

const create = (address: string, after: object = {}, unknown: object = {}): ResourceOverrides => ({
  address,
  actions: ['create'],
  after,
  unknown: { id: true, ...unknown },
});

const replace = (address: string): ResourceOverrides => ({
  address,
  actions: ['delete', 'create'],
  before: { id: 'old' },
  unknown: { id: true },
});

const rename = (number: number, name: string): ResourceOverrides => ({
  address: volume(number),
  actions: ['update'],
  before: { id: `vol-${number}`, tags: { Name: `orders-node-${number}` } },
  after: { id: `vol-${number}`, tags: { Name: `${name}-node-${number}` } },
});

const node = (number: number, instanceType = 't3.medium') => ({
  name: `node-${number}`,
  instanceId: `i-${number}`,
  instanceType,
  privateAddress: `10.42.0.${number}`,
  publicAddress: '',
  dnsName: '',
  volumeId: `vol-${number}`,
  zone: 'us-east-1a',
});

describe('buildNodeChanges', () => {
  test('groups changes by node', () => {
    const changes = buildNodeChanges(
      plan(
        create(instance(10)),
        create(volume(10)),
        create(instance(2)),
        resize(1),
        replace(instance(3)),
        ...destroy(4),
        { address: instance(5), actions: ['no-op'], before: { id: 'i-5' }, after: { id: 'i-5' } },
      ),
    );
    expect(changes).toEqual({
      create: ['node-2', 'node-10'],
      replace: ['node-3'],
      resize: [{ node: 'node-1', from: 't3.medium', to: 't3.large' }],
      destroy: ['node-4'],
      fresh: ['node-10'],
    });
  });

  const ALL = ['node-1', 'node-2', 'node-3'];
  const TYPES = { from: 't3.medium', to: 't3.large' };

  test.each<[string, Partial<NodeChanges>]>([
    ['cluster-first', { create: ALL, fresh: ALL }],
    ['cluster-scale-out', { create: ['node-4'], fresh: ['node-4'] }],
    ['cluster-scale-in', { destroy: ['node-3'] }],
    ['cluster-type', { resize: ALL.map((one) => ({ node: one, ...TYPES })) }],
    ['cluster-tags', {}],
  ])('reads Terraform’s plan of %s', (fixture, expected) => {
    const nothing = { create: [], replace: [], resize: [], destroy: [], fresh: [] };
    const changes = buildNodeChanges(summarizePlan(readFixture(fixture).json));
    expect(changes).toEqual({ ...nothing, ...expected });
  });

  test('ignores objects left over from an interrupted replacement', () => {
    const [left] = destroy(1);
    const document = createPlan([left as ResourceOverrides]);
    const [entry] = document.resource_changes as object[];
    const leftover = { ...document, resource_changes: [{ ...entry, deposed: 'abc' }] };
    expect(buildNodeChanges(summarizePlan(leftover)).destroy).toEqual([]);
  });
});

describe('buildStageOverrides', () => {
  const reviewed = plan(resize(1), resize(2), ...destroy(3));
  const existing = [node(1), node(2), node(3)];

  test('keeps all types and nodes in the first stage', () => {
    expect(buildStageOverrides(reviewed, { existing, resized: [] })).toEqual({
      instanceTypes: { 1: 't3.medium', 2: 't3.medium', 3: 't3.medium' },
      keptNodes: ['3'],
    });
  });

  test('changes a node that is resized', () => {
    expect(buildStageOverrides(reviewed, { existing, resized: ['node-2'] }).instanceTypes).toEqual({
      1: 't3.medium',
      3: 't3.medium',
    });
  });

  test('prefers the plan to the state, and creates new nodes with their final type', () => {
    const types = plan(resize(1, 't3.large', 't3.small'), create(instance(2)));
    expect(buildStageOverrides(types, { existing, resized: [] })).toEqual({
      instanceTypes: { 1: 't3.small', 3: 't3.medium' },
      keptNodes: [],
    });
  });
});

describe('findUnreviewedChanges', () => {
  const reviewed = plan(
    resize(1),
    resize(2),
    ...destroy(3),
    rename(1, 'sales'),
    create('aws_vpc.own[0]', { tags: { Name: 'orders' } }, { tags_all: true }),
    create(attachment(4), { device_name: '/dev/sdf' }, { instance_id: true }),
  );

  test.each<[string, ResourceOverrides[]]>([
    ['nothing', []],
    ['one of the resizes', [resize(2)]],
    ['the last stage', destroy(3)],
    [
      'an end that looks different by now',
      [{ address: volume(3), actions: ['delete'], before: { id: 'vol-3', size: 40 } }],
    ],
    [
      'what was not known',
      [
        create('aws_vpc.own[0]', { tags: { Name: 'orders' }, tags_all: { Cluster: 'orders' } }),
        create(attachment(4), { device_name: '/dev/sdf', instance_id: 'i-4' }),
      ],
    ],
    ['a change to all nodes, including one that is removed later', [rename(3, 'sales')]],
    [
      'an old default tag of the root volume of a node that is removed later',
      [
        {
          ...{ address: instance(3), actions: ['update'] },
          before: { id: 'i-3', root_block_device: [{ tags: { Team: 'a' }, tags_all: { T: 'a' } }] },
          after: { id: 'i-3', root_block_device: [{ tags: {}, tags_all: {} }] },
        },
      ],
    ],
    ['an untouched resource', [{ address: 'aws_vpc.other', actions: ['no-op'] }]],
  ])('finds nothing in %s', (_, resources) => {
    expect(findUnreviewedChanges(plan(...resources), reviewed)).toEqual([]);
  });

  test.each<[string, ResourceOverrides, RegExp]>([
    [
      'another node',
      resize(4),
      /node\["4"\]: instance_type would change .* the review left it as it is/,
    ],
    [
      'another tag of the root volume of a node that is removed later',
      {
        ...{ address: instance(3), actions: ['update'] },
        before: { id: 'i-3', root_block_device: [{ tags: { Team: 'a' } }] },
        after: { id: 'i-3', root_block_device: [{ tags: { Team: 'b' } }] },
      },
      /root_block_device\[0\]\.tags\.Team would change "a" → "b"/,
    ],
    ['another action', replace(instance(1)), /would be replaced; .* was to be changed/],
    [
      'another value',
      resize(1, 't3.xlarge'),
      /instance_type .*"t3.xlarge"; the review .*"t3.large"/,
    ],
    [
      'another start',
      resize(1, 't3.large', 't3.small'),
      /"t3.small" → "t3.large"; the review said/,
    ],
    [
      'one more attribute',
      { ...resize(1), after: { id: 'i-1', private_ip: '10.42.9.9', instance_type: 't3.large' } },
      /private_ip .*; the review left it as it is/,
    ],
    [
      'a value that is open again',
      create('aws_vpc.own[0]', {}, { tags: { Name: true } }),
      /tags.Name would change nothing → \(known after apply\)/,
    ],
    [
      'another volume that goes',
      { address: volume(3), actions: ['delete'], before: { id: 'vol-9' } },
      /is vol-9 now, the review was of vol-3/,
    ],
    ['another name for a node that is removed later', rename(3, 'other'), /other-node-3/],
    ['a resize of a node that is removed later', resize(3), /instance_type would change/],
  ])('names %s', (_, resource, sentence) => {
    const found = findUnreviewedChanges(plan(resource), reviewed);
    expect(found[0]).toMatch(sentence);
    expect(found[0]?.startsWith(`${resource.address}: `)).toBe(true);
  });

  test('distinguishes a sensitive value only from an absent one', () => {
    const secret = (value: string) => {
      const document = createPlan([create('aws_vpc.own[0]', { key: value })]);
      const [entry] = document.resource_changes as { change: object }[];
      const change = { ...entry?.change, after_sensitive: { key: true } };
      return summarizePlan({ ...document, resource_changes: [{ ...entry, change }] });
    };
    expect(findUnreviewedChanges(secret('hunter22'), secret('hunter23'))).toEqual([]);
    expect(findUnreviewedChanges(secret('hunter22'), plan(create('aws_vpc.own[0]')))).toEqual([
      'aws_vpc.own[0]: key would change nothing → (sensitive value); the review left it as it is.',
    ]);
  });

  test('finds no unreviewed changes in the same plan, without outputs', () => {
    for (const name of ['cluster-first', 'cluster-type', 'cluster-scale-in', 'replace', 'move']) {
      const summary = summarizePlan(readFixture(name).json);
      expect(findUnreviewedChanges(summary, { ...summary, outputs: [] }), name).toEqual([]);
    }
  });
});

test('a plan has the type and the zone of the instances that it creates', () => {
  const planned = readPlannedInstances(
    plan(
      create(instance(1), { instance_type: 't3.medium', availability_zone: 'us-east-1a' }),
      create(instance(2), { instance_type: 't3.medium' }, { availability_zone: true }),
      create(volume(2), { availability_zone: 'us-east-1b' }),
      create(instance(3), { instance_type: 't3.medium' }, { availability_zone: true }),
      resize(4),
    ),
  );
  expect(planned).toEqual({
    'node-1': { type: 't3.medium', zone: 'us-east-1a' },
    'node-2': { type: 't3.medium', zone: 'us-east-1b' },
    'node-3': { type: 't3.medium', zone: '' },
    'node-4': { type: 't3.large', zone: '' },
  });
});
