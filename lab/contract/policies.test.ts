import { expect, test } from 'vitest';
import { isAllowed } from './evaluate.ts';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { buildPolicies, listActions, listUnmarked } from './policies.ts';
import { readCalls, readPolicyFile, renderPolicies } from './policy-files.ts';

test('the committed policies are those of the recorded calls', () => {
  for (const [name, text] of Object.entries(renderPolicies(readCalls()))) {
    expect(readPolicyFile(name), `${name}: run node lab/contract/policy-files.ts`).toBe(text);
  }
});

/** The longest managed policy, without white space (IAM User Guide, "IAM and AWS STS quotas"). */
const MANAGED = 6144;

const LONG = {
  CLUSTER: 'c'.repeat(40),
  REGION: 'ap-northeast-1',
  ACCOUNT: '123456789012',
  'STATE-BUCKET': 'b'.repeat(63),
  'STATE-KEY': 'k'.repeat(120),
};

test('the plan role changes nothing: it reads, and connects to port 22 through the endpoint', () => {
  const { Statement } = buildPolicies(readCalls()).plan;
  const actions = Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((one) => !/^(ec2:Describe|s3:(Get|List))/.test(one))).toEqual([
    'ec2-instance-connect:OpenTunnel',
  ]);
});

test('no role reads the user data of an instance of others', () => {
  const { plan, deploy } = buildPolicies(readCalls());
  const request = {
    action: 'ec2:DescribeInstanceAttribute',
    resource: 'arn:aws:ec2:REGION:ACCOUNT:instance/i-0a1b2c3d',
  };
  const region = { 'aws:RequestedRegion': 'REGION' };
  for (const role of [plan, deploy]) {
    expect(isAllowed([role], { ...request, context: region })).toBe(false);
    const context = { ...region, 'aws:ResourceTag/Cluster': 'other' };
    expect(isAllowed([role], { ...request, context })).toBe(false);
    const own = { ...region, 'aws:ResourceTag/Cluster': 'CLUSTER' };
    expect(isAllowed([role], { ...request, context: own })).toBe(true);
  }
});

test('a tunnel leads to port 22, for an hour, through an endpoint of the cluster or a given one', () => {
  const { plan, deploy } = buildPolicies(readCalls());
  const tunnels = [plan, deploy, OPTIONAL_POLICIES.endpoint].map((policy) =>
    policy?.Statement.find(({ Action }) => Action.includes('ec2-instance-connect:OpenTunnel')),
  );
  const limits = {
    NumericEquals: { 'ec2-instance-connect:remotePort': '22' },
    NumericLessThanEquals: { 'ec2-instance-connect:maxTunnelDuration': '3600' },
  };
  const own = { ...limits, StringEquals: { 'aws:ResourceTag/Cluster': 'CLUSTER' } };
  expect(tunnels.map((statement) => statement?.Condition)).toEqual([own, own, limits]);
  expect(tunnels[2]?.Resource).toEqual([
    'arn:aws:ec2:REGION:ACCOUNT:instance-connect-endpoint/ENDPOINT',
  ]);
});

test('whatever the deploy role changes bears the name of the cluster', () => {
  const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
  const open = [...deploy.Statement, ...create.Statement].filter(
    ({ Condition }) =>
      !/"aws:(Resource|Request)Tag\/Cluster":"CLUSTER"/.test(JSON.stringify(Condition ?? {})),
  );
  expect(open.map(({ Sid }) => Sid)).toEqual([
    'Read',
    'FindState',
    'State',
    'Lock',
    'LaunchInterface',
    'LaunchDebian',
    'CreateEndpointRole',
  ]);
});

test('the tag of a new thing allows nothing on an existing one', () => {
  const { 'deploy-create': create } = buildPolicies({
    plan: [],
    deploy: ['ec2:AuthorizeSecurityGroupIngress', 'ec2:CreateSubnet', 'ec2:CreateVpc'],
  });
  const allowed = create.Statement.filter(({ Condition }) =>
    JSON.stringify(Condition ?? {}).includes('RequestTag'),
  ).filter(({ Sid }) => Sid.startsWith('Create'));
  expect(allowed.map(({ Action, Resource }) => [...Action, ...Resource])).toEqual([
    ['ec2:AllocateAddress', 'arn:aws:ec2:REGION:ACCOUNT:elastic-ip/*'],
    ['ec2:CreateInstanceConnectEndpoint', 'arn:aws:ec2:REGION:ACCOUNT:instance-connect-endpoint/*'],
    ['ec2:CreateNatGateway', 'arn:aws:ec2:REGION:ACCOUNT:natgateway/*'],
    ['ec2:AuthorizeSecurityGroupIngress', 'arn:aws:ec2:REGION:ACCOUNT:security-group-rule/*'],
    ['ec2:CreateSubnet', 'arn:aws:ec2:REGION:ACCOUNT:subnet/*'],
    ['ec2:CreateVpc', 'arn:aws:ec2:REGION:ACCOUNT:vpc/*'],
  ]);
});

test('each policy fits into a managed one, with long names and a quarter of it to spare', () => {
  for (const [name, text] of Object.entries(renderPolicies(readCalls()))) {
    const filled = Object.entries(LONG).reduce(
      (policy, [placeholder, value]) => policy.replaceAll(placeholder, value),
      JSON.stringify(JSON.parse(text)),
    );
    expect(filled.length, name).toBeLessThan(MANAGED * 0.75);
  }
});

test('an optional policy passes no role but the given ones, and changes no name outside of the clusters', () => {
  const statements = Object.values(OPTIONAL_POLICIES).flatMap(({ Statement }) => Statement);
  const wide = statements.filter(({ Resource }) => Resource.includes('*'));
  expect(wide.flatMap(({ Action }) => Action)).toEqual([
    'route53:ListHostedZones',
    'route53:ListHostedZones',
    'ec2:DescribeIamInstanceProfileAssociations',
    'ec2:DescribePrefixLists',
    'ec2:DescribeVpcEndpoints',
    'ec2:DescribePrefixLists',
    'ec2:DescribeVpcEndpoints',
    'ec2:DescribeIamInstanceProfileAssociations',
    'dlm:CreateLifecyclePolicy',
  ]);
  const find = (action: string) => statements.find(({ Action }) => Action.includes(action));
  expect(find('iam:PassRole')).toMatchObject({
    Resource: ['NODE-ROLE'],
    Condition: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
  });
  expect(find('route53:ChangeResourceRecordSets')?.Condition).toMatchObject({
    'ForAllValues:StringLike': {
      'route53:ChangeResourceRecordSetsNormalizedRecordNames': ['*.CLUSTER.ZONE-NAME'],
    },
  });
});

test('the policies allow every call that names of nodes add', () => {
  const { dns } = readCalls();
  const list = (name: string) =>
    OPTIONAL_POLICIES[name]?.Statement.flatMap(({ Action }) => Action) ?? [];
  expect(dns.plan.filter((action) => !list('plan-dns').includes(action))).toEqual([]);
  expect(dns.deploy.filter((action) => !list('deploy-dns').includes(action))).toEqual([]);
  expect(dns.deploy).toContain('route53:ChangeResourceRecordSets');
});

test('the last snapshot of a volume is made and tagged: its ARN has no account', () => {
  const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
  const ask = (action: string, resource: string, context: Record<string, string>) =>
    isAllowed([deploy, create], { action, resource, context });
  const snapshot = 'arn:aws:ec2:REGION::snapshot/*';
  const asked = { 'aws:RequestTag/Cluster': 'CLUSTER' };
  const volume = 'arn:aws:ec2:REGION:ACCOUNT:volume/vol-1';
  expect(ask('ec2:CreateSnapshot', volume, { 'aws:ResourceTag/Cluster': 'CLUSTER' })).toBe(true);
  expect(ask('ec2:CreateSnapshot', snapshot, asked)).toBe(true);
  expect(ask('ec2:CreateSnapshot', snapshot, {})).toBe(false);
  const within = { ...asked, 'ec2:CreateAction': 'CreateSnapshot' };
  expect(ask('ec2:CreateTags', snapshot, within)).toBe(true);
  expect(ask('ec2:CreateTags', snapshot, asked)).toBe(false);
});

test('a call without a statement is refused, not allowed everywhere', () => {
  expect(() => buildPolicies({ plan: [], deploy: ['ec2:CreateVpcPeeringConnection'] })).toThrow(
    'No statement for ec2:CreateVpcPeeringConnection',
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
