import { expect, test } from 'vitest';
import { buildPolicies, listActions, listUnmarked } from './policies.ts';
import { readCalls, readPolicyFile, renderPolicies } from './policy-files.ts';

test('the committed policies are those of the recorded calls', () => {
  for (const [name, text] of Object.entries(renderPolicies(readCalls()))) {
    expect(readPolicyFile(name), `${name}: run node lab/contract/policy-files.ts`).toBe(text);
  }
});

test('the plan role changes nothing but reads', () => {
  const actions = buildPolicies(readCalls()).plan.Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((one) => !/^(ec2:Describe|s3:(Get|List))/.test(one))).toEqual([]);
});

test('whatever the deploy role changes bears the name of the cluster', () => {
  const open = buildPolicies(readCalls()).deploy.Statement.filter(
    ({ Condition }) =>
      !/"aws:(Resource|Request)Tag\/Cluster":"CLUSTER"/.test(JSON.stringify(Condition ?? {})),
  );
  expect(open.map(({ Sid }) => Sid)).toEqual([
    'Read',
    'LaunchInterface',
    'LaunchDebian',
    'FindState',
    'State',
    'Lock',
  ]);
});

test('the tag of a new thing allows nothing on an existing one', () => {
  const { deploy } = buildPolicies({
    plan: [],
    deploy: ['ec2:AuthorizeSecurityGroupIngress', 'ec2:CreateSubnet', 'ec2:CreateVpc'],
  });
  const allowed = deploy.Statement.filter(({ Condition }) =>
    JSON.stringify(Condition ?? {}).includes('RequestTag'),
  ).filter(({ Sid }) => Sid.startsWith('Create'));
  expect(allowed.map(({ Action, Resource }) => [...Action, ...Resource])).toEqual([
    ['ec2:AuthorizeSecurityGroupIngress', 'arn:aws:ec2:REGION:ACCOUNT:security-group-rule/*'],
    ['ec2:CreateSubnet', 'arn:aws:ec2:REGION:ACCOUNT:subnet/*'],
    ['ec2:CreateVpc', 'arn:aws:ec2:REGION:ACCOUNT:vpc/*'],
  ]);
});

test('a policy fits into a role, whose inline policies have at most 10,240 characters without white space', () => {
  for (const policy of Object.values(buildPolicies(readCalls()))) {
    const filled = JSON.stringify(policy)
      .replaceAll('CLUSTER', 'c'.repeat(40))
      .replaceAll('REGION', 'ap-northeast-1')
      .replaceAll('ACCOUNT', '123456789012')
      .replaceAll('STATE-BUCKET', 'b'.repeat(40))
      .replaceAll('STATE-KEY', 'k'.repeat(60));
    expect(filled.length).toBeLessThan(10_240);
  }
});

test('a call without a statement is refused, not allowed everywhere', () => {
  expect(() => buildPolicies({ plan: [], deploy: ['ec2:CreateNatGateway'] })).toThrow(
    'No statement for ec2:CreateNatGateway',
  );
  expect(() => buildPolicies({ plan: ['ec2:StopInstances'], deploy: [] })).toThrow(
    'No statement for ec2:StopInstances',
  );
});

test('calls that need no permission are left out', () => {
  const recorded = ['ec2:DescribeVpcs', 'sts:GetCallerIdentity', 'ec2:DescribeVpcs'];
  expect(listActions(recorded.map((action) => ({ action })))).toEqual(['ec2:DescribeVpcs']);
});

test('a call that makes something names the cluster in its tags', () => {
  const call = (kind: string, value: string) => ({
    action: 'ec2:CreateVpc',
    parameters: new URLSearchParams({
      'TagSpecification.1.ResourceType': kind,
      'TagSpecification.1.Tag.1.Key': 'Name',
      'TagSpecification.1.Tag.1.Value': 'orders',
      'TagSpecification.1.Tag.2.Key': 'Cluster',
      'TagSpecification.1.Tag.2.Value': value,
    }),
  });
  expect(listUnmarked([call('vpc', 'orders')], 'orders')).toEqual([]);
  expect(listUnmarked([call('vpc', 'other'), call('subnet', 'orders')], 'orders')).toEqual([
    'ec2:CreateVpc vpc',
    'ec2:CreateVpc vpc',
  ]);
  const launch = { action: 'ec2:RunInstances', parameters: new URLSearchParams() };
  expect(listUnmarked([launch], 'orders')).toEqual([
    'ec2:RunInstances instance',
    'ec2:RunInstances volume',
  ]);
  const other = { action: 'ec2:StopInstances', parameters: new URLSearchParams() };
  expect(listUnmarked([other], 'orders')).toEqual([]);
});
