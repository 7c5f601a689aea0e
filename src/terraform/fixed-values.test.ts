import { describe, expect, test } from 'vitest';
import { createPlan, type ResourceOverrides } from '../report/fixtures/plan.ts';
import { explainFixedValues } from './fixed-values.ts';
import { explainApplyRefusal, permit } from './permit.ts';
import { summarizePlan } from './plan.ts';

const plan = (...resources: ResourceOverrides[]) => summarizePlan(createPlan(resources));

const volume = (number: number, before: number, after: number): ResourceOverrides => ({
  address: `aws_ebs_volume.data["${number}"]`,
  actions: ['update'],
  before: { id: `vol-${number}`, size: before },
  after: { id: `vol-${number}`, size: after },
});
const root = (number: number, before: number, after: number): ResourceOverrides => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['update'],
  before: { id: `i-${number}`, root_block_device: [{ volume_size: before }] },
  after: { id: `i-${number}`, root_block_device: [{ volume_size: after }] },
});
const vpc = (before: string, after: string): ResourceOverrides => ({
  address: 'aws_vpc.own[0]',
  actions: ['delete', 'create'],
  before: { id: 'vpc-1', cidr_block: before },
  after: { cidr_block: after },
  unknown: { id: true },
  replacePaths: [['cidr_block']],
  reason: 'replace_because_cannot_update',
});

const SHRINK = plan(volume(1, 40, 30), volume(2, 60, 30), volume(3, 20, 30), root(2, 16, 10));
const NETWORK = plan(vpc('10.42.0.0/16', '10.50.0.0/16'));

test('a smaller volume is refused with the size that the largest one has', () => {
  expect(explainFixedValues(SHRINK)).toEqual([
    'data-volume-size: 30 GiB is smaller than the data volume of node-1 (40 GiB), node-2 (60 GiB), and EBS cannot shrink a volume. Give at least 60. For smaller volumes build a new cluster and move the data.',
    'root-volume-size: 10 GiB is smaller than the root volume of node-2 (16 GiB), and EBS cannot shrink a volume. Give at least 16. For smaller volumes build a new cluster and move the data.',
  ]);
});

test('another network of the VPC is refused', () => {
  expect(explainFixedValues(NETWORK)).toEqual([
    'vpc-cidr: the VPC of the cluster has the network 10.42.0.0/16, which cannot become 10.50.0.0/16: the VPC would be replaced, and with it every instance at the same time. Give 10.42.0.0/16 again. For another network build a new cluster and move the data.',
  ]);
});

const internet = (before: object, after: object): ResourceOverrides => ({
  address: 'aws_route.internet[0]',
  actions: ['update'],
  before: { id: 'r-1', ...before },
  after: { id: 'r-1', ...after },
});
const NAT = { nat_gateway_id: 'nat-1', gateway_id: '' };
const GATEWAY = { nat_gateway_id: '', gateway_id: 'igw-1' };
const kept = (number: number, address: string): ResourceOverrides => ({
  address: `aws_instance.node["${number}"]`,
  actions: ['no-op'],
  before: { id: `i-${number}`, public_ip: address },
  after: { id: `i-${number}`, public_ip: address },
});

test('a NAT gateway stays while nodes have no other way to the internet', () => {
  const nodes = [kept(10, ''), kept(2, ''), kept(1, '203.0.113.9')];
  expect(explainFixedValues(plan(internet(NAT, GATEWAY), ...nodes))).toEqual([
    expect.stringMatching(/^internet-via: node-2, node-10 would reach .* Give nat-gateway again\./),
  ]);
  const gone: ResourceOverrides = { ...kept(2, ''), actions: ['delete'], after: null };
  for (const resources of [
    [internet(NAT, GATEWAY), kept(1, '203.0.113.9'), gone],
    [internet(GATEWAY, NAT), ...nodes],
    [internet(NAT, { ...NAT, nat_gateway_id: 'nat-2' }), ...nodes],
    nodes,
  ]) {
    expect(explainFixedValues(plan(...resources))).toEqual([]);
  }
});

test('larger and replaced volumes, and a first VPC, are not refused', () => {
  const replaced: ResourceOverrides = { ...volume(1, 40, 30), actions: ['delete', 'create'] };
  const first: ResourceOverrides = {
    ...vpc('', '10.42.0.0/16'),
    actions: ['create'],
    before: null,
  };
  for (const resource of [volume(1, 20, 40), root(1, 16, 20), replaced, first]) {
    expect(explainFixedValues(plan(resource))).toEqual([]);
  }
});

describe('no scope permits them', () => {
  const whole = permit(
    { planFile: 'x', summary: plan(volume(1, 20, 40)) },
    { kind: 'plan', label: null, labels: null },
  );
  test.each([
    { kind: 'plan', label: 'allow', labels: ['allow'] },
    { kind: 'plan', label: 'allow', labels: ['allow'], partly: true },
    { kind: 'stage', whole },
    { kind: 'replacement', node: 'node-1', volume: true },
    { kind: 'halt' },
  ] as const)('$kind', (scope) => {
    for (const summary of [SHRINK, NETWORK]) {
      expect(explainApplyRefusal(summary, scope)).toEqual(explainFixedValues(summary));
      expect(() => permit({ planFile: 'x', summary }, scope)).toThrow(/Give (at least 60|10\.42)/);
    }
  });
});
