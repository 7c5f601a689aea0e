import { expect, test } from 'vitest';
import { explainCredentials, explainProfile, isAccessFailure } from './credentials.ts';

// Messages of Terraform 1.11 with its s3 backend, of the AWS provider 6, and of OpenTofu.
test.each([
  'Error: No valid credential sources found\n\n  with provider["registry.terraform.io/hashicorp/aws"],\n\nError: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request canceled',
  'Error: No valid credential sources found\n\nPlease see https://www.terraform.io/docs/language/settings/backends/s3.html\nfor more information about providing credentials.',
  'Error: error configuring S3 Backend: no valid credential sources for S3 Backend found.',
])('explains how to get credentials if there are none: %s', (stderr) => {
  expect(explainCredentials(stderr)).toMatch(
    /no AWS credentials\. Put aws-actions\/configure-aws-credentials .* before this step.*id-token: write/,
  );
});

test.each([
  'Error: validating provider credentials: retrieving caller identity from STS: operation error STS: GetCallerIdentity, https response error StatusCode: 403, api error ExpiredToken: The security token included in the request is expired',
  'Error: api error InvalidClientTokenId: The security token included in the request is invalid.',
  'Error: api error AuthFailure: AWS was not able to validate the provided access credentials',
])('reports credentials that AWS rejects: %s', (stderr) => {
  expect(explainCredentials(stderr)).toMatch(/AWS does not accept the credentials.*expired/);
});

test.each([
  [
    'reading EC2 Instance Types: api error UnauthorizedOperation: You are not authorized to perform this operation',
    true,
  ],
  ['No valid credential sources found', true],
  [
    'reading EC2 Instance Type (m9.huge): api error InvalidInstanceType: The following supplied instance types do not exist: [m9.huge]',
    false,
  ],
  ['dial tcp: lookup ec2.us-east-1.amazonaws.com: i/o timeout', false],
])('distinguishes an access failure from other failures: %s', (stderr, expected) => {
  expect(isAccessFailure(stderr)).toBe(expected);
});

test('the role of the endpoint is not that of the nodes', () => {
  const refused =
    'Error: not authorized to perform: iam:CreateServiceLinkedRole on resource: arn:aws:iam::123456789012:role/aws-service-role/ec2-instance-connect.amazonaws.com/x';
  expect(explainProfile(refused)).toBeNull();
});

test('returns null for other failures', () => {
  expect(
    explainCredentials('Error: creating EC2 Instance: api error InsufficientInstanceCapacity'),
  ).toBeNull();
});

test.each([
  [
    'Error: creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 400, api error InvalidParameterValue: Value (nodes) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name',
    /no instance profile with this name\. Correct instance-profile/,
  ],
  [
    'Error: updating EC2 Instance (i-0): associating instance profile: api error UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/deploy/x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/nodes',
    /Allow iam:PassRole on that role/,
  ],
  [
    'Error: creating EC2 Instance: api error InvalidParameterValue: Value (orders-us-east-1-nodes-20261127003002123400000001) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name',
    /does not know the new instance profile of the nodes yet\. Run the job again/,
  ],
  [
    'Error: creating IAM Role (orders-us-east-1-nodes): operation error IAM: CreateRole, https response error StatusCode: 403, api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/deploy/x is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::123456789012:role/postgres-cluster/orders-us-east-1-nodes because no identity-based policy allows the iam:CreateRole action',
    /deploy-backup\.json .* permissions_boundary .* instance-profile/,
  ],
  [
    'Error: reading IAM Role (orders-us-east-1-nodes): api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/plan/x is not authorized to perform: iam:GetRole on resource: role orders-us-east-1-nodes because no identity-based policy allows the iam:GetRole action',
    /plan-backup\.json/,
  ],
  [
    'Error: updating EC2 Instance (i-0): associating instance profile: api error UnauthorizedOperation: not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/postgres-cluster/orders-us-east-1-nodes',
    /deploy-backup\.json/,
  ],
  [
    'Error: creating IAM Role (orders-us-east-1-nodes): api error NoSuchEntity: Scope ARN: arn:aws:iam::123456789012:policy/nodes does not exist or is not attachable.',
    /no policy with the ARN in permissions_boundary of backup/,
  ],
])(
  'returns the next step if EC2 or IAM refuses an instance profile or its role: %s',
  (stderr, expected) => {
    expect(explainProfile(stderr)).toMatch(expected);
    expect(explainCredentials(stderr)).toBeNull();
  },
);
