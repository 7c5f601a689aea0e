import { expect, test } from 'vitest';
import { summarizePlan } from '../terraform/plan.ts';
import { countUndescribed, isNewCluster, summarizeChanges } from './changes.ts';
import { createPlan, type ResourceOverrides, readFixture } from './fixtures/plan.ts';

const before = { id: 'x', instance_type: 't3.small', size: 20 };
const make = (address: string, ...actions: string[]): ResourceOverrides => ({
  address,
  actions,
  before,
  after: { ...before, instance_type: 't3.large', size: 40 },
});
const instance = (number: number) => `aws_instance.node["${number}"]`;
const volume = (number: number) => `aws_ebs_volume.data["${number}"]`;
const attachment = (number: number) => `aws_volume_attachment.data["${number}"]`;
const node = (number: number, ...actions: string[]) =>
  [instance, volume, attachment].map((name) => make(name(number), ...actions));
const withProfile = (number: number): ResourceOverrides => ({
  address: instance(number),
  actions: ['update'],
  before: { id: 'i-1', iam_instance_profile: '' },
  after: { id: 'i-1', iam_instance_profile: 'nodes' },
});
const withTag = (number: number): ResourceOverrides => ({
  address: volume(number),
  actions: ['update'],
  before: { id: 'vol-1', tags: { Node: 'node-1' }, tags_all: { Node: 'node-1' } },
  after: {
    id: 'vol-1',
    tags: { Node: 'node-1', SnapshotsOf: 'orders' },
    tags_all: { Node: 'node-1', SnapshotsOf: 'orders' },
  },
});
const plan = (...resources: ResourceOverrides[]) => summarizePlan(createPlan(resources));

test.each<[string, ResourceOverrides[], string[]]>([
  ['nothing', [], []],
  ['one node that leaves', node(3, 'delete'), ['removes node-3']],
  ['two', [...node(3, 'delete'), ...node(4, 'delete')], ['removes node-3, node-4']],
  ['three', [3, 4, 5].flatMap((number) => node(number, 'delete')), ['removes 3 nodes']],
  ['a volume whose instance is gone', [make(volume(3), 'delete')], ['removes the data of node-3']],
  ['a new node beside others', [make(instance(1), 'no-op'), ...node(4, 'create')], ['adds node-4']],
  [
    'a new instance around the data',
    [make(instance(2), 'delete', 'create'), make(attachment(2), 'delete', 'create')],
    ['replaces node-2'],
  ],
  [
    'a blank volume',
    [make(volume(2), 'delete', 'create'), make(attachment(2), 'delete', 'create')],
    ['replaces the data of node-2'],
  ],
  ['another type', [make(instance(1), 'update')], ['resizes node-1']],
  ['a larger volume', [make(volume(1), 'update')], ['changes the storage of node-1']],
  [
    'networks of clients',
    [make('aws_vpc_security_group_ingress_rule.clients["10.0.0.0/8"]', 'create')],
    ['changes who may connect'],
  ],
  [
    'an endpoint and what belongs to it',
    [
      make('aws_ec2_instance_connect_endpoint.own[0]', 'create'),
      make('aws_security_group.endpoint[0]', 'create'),
    ],
    ['adds the Instance Connect Endpoint', 'creates 1 other resource'],
  ],
  [
    'the role with which nodes back up, and what belongs to it',
    [
      make('aws_iam_role.nodes[0]', 'create'),
      make('aws_iam_role_policy.nodes[0]', 'create'),
      make('aws_iam_instance_profile.nodes[0]', 'create'),
      make('aws_vpc_endpoint.s3[0]', 'create'),
      ...[1, 2].map(withProfile),
    ],
    ['adds the role of the nodes', 'creates 1 other resource'],
  ],
  ['its end', [make('aws_iam_role.nodes[0]', 'delete')], ['removes the role of the nodes']],
  [
    'another path in the bucket, and another resource',
    [make('aws_iam_role_policy.nodes[0]', 'update'), make('aws_vpc.own[0]', 'update')],
    ['changes the role of the nodes', 'changes 1 other resource'],
  ],
  [
    'snapshots, and the tag of the volumes for them',
    [
      make('aws_dlm_lifecycle_policy.snapshots[0]', 'create'),
      make('aws_iam_role.snapshots[0]', 'create'),
      make('aws_iam_role_policy.snapshots[0]', 'create'),
      ...[1, 2].map(withTag),
    ],
    ['adds snapshots of the volumes'],
  ],
  [
    'fewer of them, and another tag of a volume',
    [
      make('aws_dlm_lifecycle_policy.snapshots[0]', 'update'),
      { ...withTag(1), after: { id: 'vol-1', tags: { SnapshotsOf: 'orders', Team: 'a' } } },
    ],
    ['changes snapshots of the volumes', 'changes 1 other resource'],
  ],
  [
    'what is not of a node, losses first',
    [make('aws_vpc.own[0]', 'update'), make('aws_db.x', 'delete')],
    ['destroys 1 resource', 'changes 1 resource'],
  ],
])('summarizes %s', (_, resources, expected) => {
  expect(summarizeChanges(plan(...resources))).toEqual(expected);
});

test('a first deploy is a new cluster, whatever else it makes', () => {
  const first = summarizePlan(readFixture('cluster-first').json);
  expect(summarizeChanges(first)).toEqual(['new cluster of 3 nodes']);
  expect(summarizeChanges(first, 'done')).toEqual(['made a new cluster of 3 nodes']);
  expect(countUndescribed(first)).toBe(0);
});

test('new instances around kept volumes are no new cluster', () => {
  expect(isNewCluster(plan(make(instance(1), 'create'), make(volume(1), 'no-op')))).toBe(false);
});

test('what is done is said in the past', () => {
  expect(summarizeChanges(plan(...node(3, 'delete')), 'done')).toEqual(['removed node-3']);
});
