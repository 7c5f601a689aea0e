import type { Policy, Statement } from './statements.ts';

/** The role with which DLM makes snapshots of a cluster (`templates/aws/snapshots.tf`): of no other cluster. */
const ROLE = 'arn:aws:iam::ACCOUNT:role/postgres-cluster/CLUSTER-REGION-dlm';
const POLICIES = 'arn:aws:dlm:REGION:ACCOUNT:policy/*';
const OWN = { 'aws:ResourceTag/Cluster': 'CLUSTER' };
const MARKED = { 'aws:RequestTag/Cluster': 'CLUSTER' };

const read: readonly Statement[] = [
  {
    Sid: 'ReadSnapshotRole',
    Effect: 'Allow',
    Action: [
      'iam:GetRole',
      'iam:GetRolePolicy',
      'iam:ListAttachedRolePolicies',
      'iam:ListRolePolicies',
    ],
    Resource: [ROLE],
  },
  {
    Sid: 'ReadSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:GetLifecyclePolicy', 'dlm:ListTagsForResource'],
    // Without a condition on tags: one that was deleted by hand has none, and must be found missing.
    Resource: [POLICIES],
  },
];

const role: readonly Statement[] = [
  // A role without the boundary gets no permissions. See backup-policies.ts.
  {
    Sid: 'MakeSnapshotRole',
    Effect: 'Allow',
    Action: [
      'iam:CreateRole',
      'iam:DeleteRolePolicy',
      'iam:PutRolePermissionsBoundary',
      'iam:PutRolePolicy',
    ],
    Resource: [ROLE],
    Condition: { StringEquals: { 'iam:PermissionsBoundary': 'SNAPSHOT-BOUNDARY' } },
  },
  {
    Sid: 'ChangeSnapshotRole',
    Effect: 'Allow',
    Action: ['iam:DeleteRole', 'iam:ListInstanceProfilesForRole', 'iam:TagRole', 'iam:UntagRole'],
    Resource: [ROLE],
  },
  {
    Sid: 'PassSnapshotRole',
    Effect: 'Allow',
    Action: ['iam:PassRole'],
    Resource: [ROLE],
    Condition: { StringEquals: { 'iam:PassedToService': 'dlm.amazonaws.com' } },
  },
];

/** Service Authorization Reference, "Actions, resources, and condition keys for Amazon Data Lifecycle Manager". */
const lifecycle: readonly Statement[] = [
  {
    Sid: 'CreateSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:CreateLifecyclePolicy'],
    // It knows no resource.
    Resource: ['*'],
    Condition: { StringEquals: { ...MARKED, 'aws:RequestedRegion': 'REGION' } },
  },
  // DLM has no key for the call that a tag is set in, so the first tags are allowed on each policy without Cluster.
  {
    Sid: 'TagNewSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:TagResource'],
    Resource: [POLICIES],
    Condition: { StringEquals: MARKED, StringEqualsIfExists: OWN },
  },
  {
    Sid: 'TagSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:TagResource'],
    Resource: [POLICIES],
    Condition: { StringEquals: OWN, StringEqualsIfExists: MARKED },
  },
  {
    Sid: 'UntagSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:UntagResource'],
    Resource: [POLICIES],
    Condition: {
      StringEquals: OWN,
      'ForAllValues:StringNotEquals': { 'aws:TagKeys': ['Cluster', 'ManagedBy'] },
      Null: { 'aws:TagKeys': 'false' },
    },
  },
  {
    Sid: 'ChangeSnapshotPolicy',
    Effect: 'Allow',
    Action: ['dlm:DeleteLifecyclePolicy', 'dlm:UpdateLifecyclePolicy'],
    Resource: [POLICIES],
    Condition: { StringEquals: OWN },
  },
];

const policy = (...Statement: Statement[]): Policy => ({ Version: '2012-10-17', Statement });

/**
 * What the two roles need for a cluster with `snapshots`, by file name without `.json`. SNAPSHOT-BOUNDARY is the ARN of a
 * policy. moto has no DLM: the calls of the policy are those that the real provider 5.100.0 was seen to make, and reading
 * its tags.
 */
export const SNAPSHOT_POLICIES: {
  readonly [name in 'plan-snapshots' | 'deploy-snapshots']: Policy;
} = {
  'plan-snapshots': policy(...read),
  'deploy-snapshots': policy(...read, ...role, ...lifecycle),
};
