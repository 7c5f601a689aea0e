import { locate, OWN, type Policy, type Statement } from './statements.ts';

/** The role of a cluster's nodes and its instance profiles (`templates/aws/backup.tf`): of no other cluster. */
const ROLE = 'arn:aws:iam::ACCOUNT:role/postgres-cluster/CLUSTER-REGION-nodes';
const PROFILES = 'arn:aws:iam::ACCOUNT:instance-profile/postgres-cluster/CLUSTER-REGION-nodes-*';

const read: readonly Statement[] = [
  {
    Sid: 'ReadNodeRole',
    Effect: 'Allow',
    Action: [
      'iam:GetInstanceProfile',
      'iam:GetRole',
      'iam:GetRolePolicy',
      'iam:ListAttachedRolePolicies',
      'iam:ListRolePolicies',
    ],
    Resource: [ROLE, PROFILES],
  },
  {
    Sid: 'ReadEndpoints',
    Effect: 'Allow',
    Action: ['ec2:DescribePrefixLists', 'ec2:DescribeVpcEndpoints'],
    Resource: ['*'],
    Condition: { StringEquals: { 'aws:RequestedRegion': 'REGION' } },
  },
];

/**
 * What the permissions of a role depend on (Service Authorization Reference, "Actions, resources, and condition keys for
 * AWS Identity and Access Management (IAM)"): a role without the boundary gets none. The trust of a role can be chosen
 * when it is made, but not its limits, and the boundary is for instances only.
 */
const makeRole: Statement = {
  Sid: 'MakeNodeRole',
  Effect: 'Allow',
  Action: [
    'iam:CreateRole',
    'iam:DeleteRolePolicy',
    'iam:PutRolePermissionsBoundary',
    'iam:PutRolePolicy',
  ],
  Resource: [ROLE],
  Condition: { StringEquals: { 'iam:PermissionsBoundary': 'BOUNDARY' } },
};

const profile: readonly Statement[] = [
  {
    Sid: 'ChangeNodeRole',
    Effect: 'Allow',
    Action: [
      'iam:AddRoleToInstanceProfile',
      'iam:CreateInstanceProfile',
      'iam:DeleteInstanceProfile',
      'iam:DeleteRole',
      'iam:ListInstanceProfilesForRole',
      'iam:RemoveRoleFromInstanceProfile',
      'iam:TagInstanceProfile',
      'iam:TagRole',
      'iam:UntagInstanceProfile',
      'iam:UntagRole',
    ],
    Resource: [ROLE, PROFILES],
  },
  {
    Sid: 'PassNodeRole',
    Effect: 'Allow',
    Action: ['iam:PassRole'],
    Resource: [ROLE],
    Condition: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
  },
];

/** The profile of the cluster's own instances. */
export const associate: readonly Statement[] = [
  {
    Sid: 'AssociateProfile',
    Effect: 'Allow',
    Action: [
      'ec2:AssociateIamInstanceProfile',
      'ec2:DisassociateIamInstanceProfile',
      'ec2:ReplaceIamInstanceProfileAssociation',
    ],
    Resource: locate('instance'),
    Condition: { StringEquals: OWN },
  },
  {
    Sid: 'ReadProfiles',
    Effect: 'Allow',
    Action: ['ec2:DescribeIamInstanceProfileAssociations'],
    Resource: ['*'],
    Condition: { StringEquals: { 'aws:RequestedRegion': 'REGION' } },
  },
];

const endpoint: readonly Statement[] = [
  {
    Sid: 'CreateVpcEndpoint',
    Effect: 'Allow',
    Action: ['ec2:CreateVpcEndpoint'],
    Resource: locate('vpc-endpoint'),
    Condition: { StringEquals: { 'aws:RequestTag/Cluster': 'CLUSTER' } },
  },
  {
    Sid: 'ChangeVpcEndpoint',
    Effect: 'Allow',
    Action: ['ec2:CreateVpcEndpoint', 'ec2:DeleteVpcEndpoints', 'ec2:ModifyVpcEndpoint'],
    Resource: locate('route-table', 'vpc', 'vpc-endpoint'),
    Condition: { StringEquals: OWN },
  },
  {
    Sid: 'TagNewVpcEndpoint',
    Effect: 'Allow',
    Action: ['ec2:CreateTags'],
    Resource: locate('vpc-endpoint'),
    Condition: {
      StringEquals: {
        'aws:RequestTag/Cluster': 'CLUSTER',
        'ec2:CreateAction': 'CreateVpcEndpoint',
      },
    },
  },
];

const policy = (...Statement: Statement[]): Policy => ({ Version: '2012-10-17', Statement });

/** What the two roles need for a cluster with `backup`, by file name without `.json`. BOUNDARY is the ARN of a policy. */
export const BACKUP_POLICIES: { readonly [name in 'plan-backup' | 'deploy-backup']: Policy } = {
  'plan-backup': policy(...read),
  'deploy-backup': policy(...read, makeRole, ...profile, ...associate, ...endpoint),
};
