import { expect, test } from 'vitest';
import { isAllowed } from './evaluate.ts';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { buildPolicies } from './policies.ts';
import { readCalls } from './policy-files.ts';
import { listOpenWrites, listRefusedWrites, listRequests } from './requests.ts';

const { deploy, 'deploy-create': create } = buildPolicies(readCalls());

/** The resources of a write that the deploying role may not touch, by kind and id. */
function listRefused(
  [action, parameters]: readonly [string, Record<string, string>],
  options: { tag?: string } = {},
): string[] {
  const call = { action, parameters: new URLSearchParams(parameters) };
  return listRequests(call, { cluster: 'orders', ...options })
    .filter(
      (request) =>
        !isAllowed(
          [deploy, create].flatMap((policy) => policy ?? []),
          request,
        ),
    )
    .map((request) => `${request.action} ${request.resource.split(':').at(-1)}`);
}

const tag = (kind: string, cluster: string) => ({
  'TagSpecification.1.ResourceType': kind,
  'TagSpecification.1.Tag.1.Key': 'Cluster',
  'TagSpecification.1.Tag.1.Value': cluster,
});
const LAUNCH = {
  ImageId: 'ami-0a1b2c3d4e5f60718',
  KeyName: 'orders-1',
  SubnetId: 'subnet-0a1b2c3d4e5f60718',
  'SecurityGroupId.1': 'sg-0a1b2c3d4e5f60718',
};

test('a launch is decided on for everything that it names and makes', () => {
  expect(listRefused(['ec2:RunInstances', { ...LAUNCH, ...tag('instance', 'orders') }])).toEqual(
    [],
  );
  expect(listRefused(['ec2:RunInstances', { ...LAUNCH, ...tag('instance', 'sales') }])).toEqual([
    'ec2:RunInstances instance/new',
    'ec2:CreateTags instance/new',
  ]);
  expect(listRefused(['ec2:RunInstances', LAUNCH], { tag: 'sales' })).toEqual([
    'ec2:RunInstances key-pair/orders-1',
    'ec2:RunInstances subnet/subnet-0a1b2c3d4e5f60718',
    'ec2:RunInstances security-group/sg-0a1b2c3d4e5f60718',
  ]);
});

test('a tag of the cluster is set on its own things only, and not taken away', () => {
  const change = {
    'ResourceId.1': 'vol-0a1b2c3d4e5f60718',
    'Tag.1.Key': 'Team',
    'Tag.1.Value': 'a',
  };
  expect(listRefused(['ec2:CreateTags', change])).toEqual([]);
  expect(listRefused(['ec2:CreateTags', change], { tag: 'sales' })).toHaveLength(1);
  const removal = { ...change, 'Tag.1.Key': 'Cluster' };
  expect(listRefused(['ec2:DeleteTags', change])).toEqual([]);
  expect(listRefused(['ec2:DeleteTags', removal])).toHaveLength(1);
});

test('names are changed in the zone of the cluster, below its own name only', () => {
  const policies = [OPTIONAL_POLICIES['deploy-dns']].flatMap((policy) => policy ?? []);
  const change = (Name: string, Type = 'A') => ({
    action: 'route53:ChangeResourceRecordSets',
    parameters: new URLSearchParams({ Name, Type }),
  });
  const refused = (call: ReturnType<typeof change>) =>
    listRefusedWrites([call], { policies, cluster: 'orders' });
  expect(refused(change('Node-1.orders.example.internal.'))).toEqual([]);
  for (const call of [
    change('node-1.sales.example.internal'),
    change('node-1.orders.example.internal', 'CNAME'),
    change('orders.example.internal'),
  ]) {
    expect(refused(call)).toEqual(['route53:ChangeResourceRecordSets hostedzone']);
  }
  expect(listOpenWrites([change('node-1.orders.example.internal')], policies)).toEqual([]);
});
