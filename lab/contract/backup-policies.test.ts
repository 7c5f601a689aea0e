import { expect, test } from 'vitest';
import { BACKUP_POLICIES } from './backup-policies.ts';
import { isAllowed, type Request } from './evaluate.ts';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { buildPolicies } from './policies.ts';
import { readCalls } from './policy-files.ts';

const { deploy, plan, 'deploy-create': create } = buildPolicies(readCalls());
const DEPLOY = [deploy, create, BACKUP_POLICIES['deploy-backup']];
const PLAN = [plan, BACKUP_POLICIES['plan-backup']];
const may = (action: string, resource: string, context: Request['context'] = {}) =>
  isAllowed(DEPLOY, { action, resource, context });

const ROLE = 'arn:aws:iam::ACCOUNT:role/postgres-cluster/CLUSTER-REGION-nodes';
const BOUNDED = { 'iam:PermissionsBoundary': 'BOUNDARY' };

test('the policies allow every call that backups add', () => {
  const { backups } = readCalls();
  const list = (policies: typeof DEPLOY) =>
    policies.flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action));
  const missing = (calls: readonly string[], policies: typeof DEPLOY) =>
    calls.filter((action) => !list(policies).includes(action));
  expect(missing(backups.plan, PLAN)).toEqual([]);
  expect(missing(backups.deploy, DEPLOY)).toEqual([]);
  expect(backups.plan.length).toBeGreaterThan(0);
});

test('the plan role changes nothing', () => {
  const actions = BACKUP_POLICIES['plan-backup'].Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((one) => !/^(ec2:Describe|iam:(Get|List))/.test(one))).toEqual([]);
});

test('the deploy role makes only a role that has the boundary, and changes what it may do only then', () => {
  for (const action of [
    'iam:CreateRole',
    'iam:PutRolePolicy',
    'iam:DeleteRolePolicy',
    'iam:PutRolePermissionsBoundary',
  ]) {
    expect(may(action, ROLE, BOUNDED), action).toBe(true);
    expect(may(action, ROLE), action).toBe(false);
    expect(may(action, ROLE, { 'iam:PermissionsBoundary': 'other' }), action).toBe(false);
  }
});

test('nothing leads to more rights than the boundary has', () => {
  for (const action of [
    'iam:AttachRolePolicy',
    'iam:CreatePolicyVersion',
    'iam:DeleteRolePermissionsBoundary',
    'iam:SetDefaultPolicyVersion',
    'iam:UpdateAssumeRolePolicy',
    'sts:AssumeRole',
  ]) {
    expect(may(action, ROLE, BOUNDED), action).toBe(false);
    expect(may(action, 'BOUNDARY', BOUNDED), action).toBe(false);
  }
});

test('no other role is changed or passed, not even that of another cluster or the deploy role itself', () => {
  const others = [
    'role/postgres-cluster-deploy',
    'role/postgres-cluster/other-REGION-nodes',
    'role/postgres-cluster/CLUSTER-other-nodes',
    'role/CLUSTER-REGION-nodes',
    'role/admin',
  ].map((name) => `arn:aws:iam::ACCOUNT:${name}`);
  const pass = { 'iam:PassedToService': 'ec2.amazonaws.com' };
  for (const action of ['iam:CreateRole', 'iam:PutRolePolicy', 'iam:DeleteRole', 'iam:PassRole']) {
    const context = { ...BOUNDED, ...pass };
    expect(others.filter((role) => may(action, role, context))).toEqual([]);
    expect(may(action, ROLE, context), action).toBe(true);
  }
  expect(may('iam:PassRole', ROLE, { 'iam:PassedToService': 'lambda.amazonaws.com' })).toBe(false);
});

test('a profile and an endpoint are made and removed for this cluster only', () => {
  const own = { 'aws:ResourceTag/Cluster': 'CLUSTER' };
  const asked = { 'aws:RequestTag/Cluster': 'CLUSTER' };
  const arn = (kind: string) => `arn:aws:ec2:REGION:ACCOUNT:${kind}/x`;
  const profile = (name: string) =>
    `arn:aws:iam::ACCOUNT:instance-profile/postgres-cluster/${name}`;
  expect(may('iam:CreateInstanceProfile', profile('CLUSTER-REGION-nodes-1'))).toBe(true);
  expect(may('iam:CreateInstanceProfile', profile('other-REGION-nodes-1'))).toBe(false);
  expect(may('ec2:ReplaceIamInstanceProfileAssociation', arn('instance'), own)).toBe(true);
  expect(may('ec2:ReplaceIamInstanceProfileAssociation', arn('instance'))).toBe(false);
  // Making an endpoint needs the permission on the new thing and on what it is made in.
  expect(may('ec2:CreateVpcEndpoint', arn('vpc-endpoint'), asked)).toBe(true);
  expect(may('ec2:CreateVpcEndpoint', arn('vpc-endpoint'))).toBe(false);
  for (const kind of ['vpc', 'route-table']) {
    expect(may('ec2:CreateVpcEndpoint', arn(kind), own)).toBe(true);
    expect(may('ec2:CreateVpcEndpoint', arn(kind), asked)).toBe(false);
  }
  expect(may('ec2:DeleteVpcEndpoints', arn('vpc-endpoint'), own)).toBe(true);
  expect(may('ec2:DeleteVpcEndpoints', arn('vpc-endpoint'))).toBe(false);
});

test('they are among the optional policies', () => {
  expect(OPTIONAL_POLICIES).toMatchObject(BACKUP_POLICIES);
});
