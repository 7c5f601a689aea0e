import { expect, test } from 'vitest';
import { ProcessError } from '../process/child-process.ts';
import type { PlannedInstances } from './capacity-failure.ts';
import { explainFailure } from './explain-failure.ts';

/** As the plan has the nodes. */
const PLANNED = Object.fromEntries(
  [1, 2, 4, 5, 10].map((number) => [
    `node-${number}`,
    { type: 't3.medium', zone: `us-east-1${'abc'[(number - 1) % 3]}` },
  ]),
);

const explain = (errors: string | readonly string[], planned: PlannedInstances = PLANNED) =>
  explainFailure(
    new ProcessError('terraform', { exitCode: 1, stdout: '', stderr: [errors].flat().join('\n') }),
    { product: 'Terraform', args: ['apply'], planned },
  ).message;

/** An error as the AWS provider and Terraform write it. */
const refuse = (
  doing: string,
  [operation, status, code, text]: readonly [string, number, string, string],
  address: string,
) => `
Error: ${doing}: operation error EC2: ${operation}, https response error StatusCode: ${status}, RequestID: 3cc60db2-0000-4000-8000-000000000000, api error ${code}: ${text}

  with ${address},
  on nodes.tf line 114, in resource "aws_instance" "node":
 114: resource "aws_instance" "node" {
`;
const launch = (number: number, status: number, code: string, text: string) =>
  refuse(
    'creating EC2 Instance',
    ['RunInstances', status, code, text],
    `aws_instance.node["${number}"]`,
  );
const shortage = (number: number, zone: string) =>
  launch(
    number,
    500,
    'InsufficientInstanceCapacity',
    `We currently do not have sufficient t3.medium capacity in the Availability Zone you requested (${zone}). Our system will be working on provisioning additional capacity. You can currently get t3.medium capacity by not specifying an Availability Zone in your request or choosing us-east-1b, us-east-1f.`,
  );

const VCPUS = [
  'VcpuLimitExceeded',
  'You have requested more vCPU capacity than your current vCPU limit of 1 allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.',
] as const;
const INSTANCES = [
  'InstanceLimitExceeded',
  'You have requested more instances (1) than your current instance limit of 0 allows for the specified instance type.',
] as const;

// AWS's own words name neither the type nor the zone.
test.each<[string, readonly [string, string]]>([
  ['vCPUs', VCPUS],
  ['instances', INSTANCES],
])('the quota of %s names the nodes, the type, the zone, and what to try', (name, refusal) => {
  const message = explain([1, 4, 2].map((number) => launch(number, 400, ...refusal)));
  expect(message.split('\n').filter((line) => /^node-/.test(line))).toEqual([
    expect.stringMatching(
      new RegExp(
        `^node-1, node-4: t3\\.medium in us-east-1a was refused, because the account's quota of ${name} is reached in this region\\. Nodes that exist run on\\. Raise the quota "Running On-Demand Standard \\(A, C, .*\\) instances" \\(https://.*/quotas/L-1216C47A, .*Or give a(?:nother| smaller) instance-type or a? ?.*replica-count`,
      ),
    ),
    expect.stringMatching(/^node-2: t3\.medium in us-east-1b was refused/),
  ]);
});

test.each([
  ['x2iedn.xlarge', /"Running On-Demand X instances" \(https:\S+\/L-7295265B,/],
  ['zz9.large', /"Running On-Demand … instances" of the type's family \(https:\S+\/ec2\/quotas,/],
])('the quota of %s is the one of its family', (type, quota) => {
  const message = explain(launch(1, 400, ...VCPUS), { 'node-1': { type, zone: '' } });
  expect(message).toMatch(quota);
  expect(message).toContain(`node-1: ${type} was refused`);
  expect(message).not.toContain('L-1216C47A');
});

test('an instance that a quota does not let start again does not run on', () => {
  const start = refuse(
    'starting EC2 Instance (i-1)',
    ['StartInstances', 400, ...VCPUS],
    'aws_instance.node["1"]',
  );
  expect(explain(start)).toMatch(/^node-1: t3\.medium in us-east-1a was refused/m);
  expect(explain(start)).not.toContain('run on');
});

test('a lack of capacity of EBS names the node, the type, the zone, and what to try', () => {
  const refusal = refuse(
    'creating EBS Volume',
    [
      'CreateVolume',
      500,
      'InsufficientVolumeCapacity',
      'There is not enough capacity to fulfill your EBS volume request.',
    ],
    'aws_ebs_volume.data["2"]',
  );
  expect(explain(refusal)).toMatch(
    /^node-2: EBS has no capacity for a gp3 volume in us-east-1b now \(for t3\.medium\)\. .*add us-east-1b to avoid-zones/m,
  );
});

test('a lack of capacity names the nodes, the type, the zone, and what to try, per zone', () => {
  const message = explain([
    shortage(10, 'us-east-1a'),
    shortage(2, 'us-east-1c'),
    shortage(4, 'us-east-1a'),
  ]);
  expect(message).toMatch(
    /^node-4, node-10: EC2 has no capacity for t3\.medium in us-east-1a now\. Nodes that exist run on\. Run this job again later, give another instance-type, or add us-east-1a to avoid-zones/m,
  );
  expect(message).toMatch(/^node-2: EC2 has no capacity for t3\.medium in us-east-1c now\./m);
});

test.each<[string, string, RegExp]>([
  [
    'a type that the zone does not have',
    launch(
      5,
      400,
      'Unsupported',
      'Your requested instance type (t3.medium) is not supported in your requested Availability Zone (us-east-1e). Please retry your request by not specifying an Availability Zone or choosing us-east-1a, us-east-1b.',
    ),
    /^node-5: t3\.medium does not exist in us-east-1e\. .* add us-east-1e to avoid-zones/m,
  ],
  [
    'an account that is being verified',
    launch(
      1,
      400,
      'PendingVerification',
      'Your request for accessing resources in this region is being validated',
    ),
    /^node-1: AWS is still verifying the account/m,
  ],
  [
    'the quota of Elastic IPs',
    refuse(
      'creating EC2 EIP',
      [
        'AllocateAddress',
        400,
        'AddressLimitExceeded',
        'The maximum number of addresses has been reached.',
      ],
      'aws_eip.nat[0]',
    ),
    /L-0263D0A3.* internet-via to public-addresses/,
  ],
  [
    'the quota of VPCs',
    refuse(
      'creating EC2 VPC',
      ['CreateVpc', 400, 'VpcLimitExceeded', 'The maximum number of VPCs has been reached.'],
      'aws_vpc.own[0]',
    ),
    /L-F678F1CE.* subnet-ids/,
  ],
  [
    'the quota of internet gateways',
    refuse(
      'creating EC2 Internet Gateway',
      [
        'CreateInternetGateway',
        400,
        'InternetGatewayLimitExceeded',
        'The maximum number of internet gateways has been reached.',
      ],
      'aws_internet_gateway.own[0]',
    ),
    /L-A4707A72/,
  ],
  [
    'the quota of NAT gateways',
    refuse(
      'creating EC2 NAT Gateway',
      [
        'CreateNatGateway',
        400,
        'NatGatewayLimitExceeded',
        'The maximum number of NAT Gateways has been reached.',
      ],
      'aws_nat_gateway.own[0]',
    ),
    /L-FE5A380F/,
  ],
  [
    'a second endpoint',
    `
Error: creating EC2 Instance Connect Endpoint

  with aws_ec2_instance_connect_endpoint.own[0],

operation error EC2: CreateInstanceConnectEndpoint, https response error
StatusCode: 400, RequestID: 1, api error ResourceLimitExceeded: The maximum
number of EC2 Instance Connect Endpoints in the VPC vpc-1 has been reached.
`,
    /name it in instance-connect-endpoint-id/,
  ],
  [
    'a zone that does not exist',
    "Error: reading Route 53 Hosted Zone (Z0): couldn't find resource",
    /no hosted zone with the id in dns-zone-id/,
  ],
])('explains %s', (_, stderr, nextStep) => {
  expect(explain(stderr)).toMatch(nextStep);
});

test('an instance that cannot be started again has another message', () => {
  const start = refuse(
    'starting EC2 Instance (i-1)',
    ['StartInstances', 500, 'InsufficientInstanceCapacity', 'Insufficient capacity.'],
    'aws_instance.node["1"]',
  );
  expect(explain(start)).not.toContain('avoid-zones');
});
