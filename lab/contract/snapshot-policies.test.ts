import { expect, test } from 'vitest';
import { isAllowed, type Request } from './evaluate.ts';
import { OPTIONAL_POLICIES } from './optional-policies.ts';
import { SNAPSHOT_POLICIES } from './snapshot-policies.ts';

const may = (action: string, resource: string, context: Request['context'] = {}) =>
  isAllowed([SNAPSHOT_POLICIES['deploy-snapshots']], { action, resource, context });

const ROLE = 'arn:aws:iam::ACCOUNT:role/postgres-cluster/CLUSTER-REGION-dlm';
const POLICY = 'arn:aws:dlm:REGION:ACCOUNT:policy/policy-1';
const own = { 'aws:ResourceTag/Cluster': 'CLUSTER' };
const marked = { 'aws:RequestTag/Cluster': 'CLUSTER' };

test('the plan role changes nothing', () => {
  const actions = SNAPSHOT_POLICIES['plan-snapshots'].Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((one) => !/^(dlm|iam):(Get|List)/.test(one))).toEqual([]);
});

test('the deploy role makes only a role that has the boundary, and passes it to DLM only', () => {
  const bounded = { 'iam:PermissionsBoundary': 'SNAPSHOT-BOUNDARY' };
  for (const action of ['iam:CreateRole', 'iam:PutRolePolicy', 'iam:PutRolePermissionsBoundary']) {
    expect(may(action, ROLE, bounded), action).toBe(true);
    expect(may(action, ROLE, { 'iam:PermissionsBoundary': 'BOUNDARY' }), action).toBe(false);
    expect(may(action, ROLE), action).toBe(false);
    expect(may(action, ROLE.replace('CLUSTER', 'other'), bounded), action).toBe(false);
  }
  for (const action of ['iam:AttachRolePolicy', 'iam:UpdateAssumeRolePolicy', 'sts:AssumeRole']) {
    expect(may(action, ROLE, bounded), action).toBe(false);
  }
  const pass = (service: string, role = ROLE) =>
    may('iam:PassRole', role, { 'iam:PassedToService': service });
  expect(pass('dlm.amazonaws.com')).toBe(true);
  expect(pass('ec2.amazonaws.com')).toBe(false);
  expect(pass('dlm.amazonaws.com', ROLE.replace('dlm', 'nodes'))).toBe(false);
});

test('the deploy role makes and changes policies of this cluster only', () => {
  const here = { 'aws:RequestedRegion': 'REGION' };
  expect(may('dlm:CreateLifecyclePolicy', '*', { ...marked, ...here })).toBe(true);
  expect(may('dlm:CreateLifecyclePolicy', '*', here)).toBe(false);
  for (const action of ['dlm:UpdateLifecyclePolicy', 'dlm:DeleteLifecyclePolicy']) {
    expect(may(action, POLICY, own), action).toBe(true);
    expect(may(action, POLICY, { 'aws:ResourceTag/Cluster': 'other' }), action).toBe(false);
    expect(may(action, POLICY), action).toBe(false);
  }
});

test('it takes no policy of another cluster over by its tags', () => {
  const foreign = { 'aws:ResourceTag/Cluster': 'other' };
  expect(may('dlm:TagResource', POLICY, marked)).toBe(true);
  expect(may('dlm:TagResource', POLICY, own)).toBe(true);
  expect(may('dlm:TagResource', POLICY, { ...foreign, ...marked })).toBe(false);
  expect(may('dlm:TagResource', POLICY, { ...own, 'aws:RequestTag/Cluster': 'other' })).toBe(false);
  expect(may('dlm:UntagResource', POLICY, { ...own, 'aws:TagKeys': ['Team'] })).toBe(true);
  expect(may('dlm:UntagResource', POLICY, { ...own, 'aws:TagKeys': ['Cluster'] })).toBe(false);
});

test('they are among the optional policies', () => {
  expect(OPTIONAL_POLICIES).toMatchObject(SNAPSHOT_POLICIES);
});
