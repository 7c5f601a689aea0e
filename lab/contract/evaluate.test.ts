import { expect, test } from 'vitest';
import { holds, isAllowed } from './evaluate.ts';
import { buildPolicies } from './policies.ts';
import { readCalls } from './policy-files.ts';

test('values of a policy are alternatives, and a missing key fulfils no plain operator', () => {
  expect(holds('StringEquals', ['a', 'b'], ['b'])).toBe(true);
  expect(holds('StringEquals', ['a', 'b'], ['c'])).toBe(false);
  expect(holds('StringEquals', ['a*'], ['ab'])).toBe(false);
  expect(holds('StringLike', ['a*'], ['ab'])).toBe(true);
  expect(holds('StringEquals', ['a'], undefined)).toBe(false);
  expect(holds('StringEqualsIfExists', ['a'], undefined)).toBe(true);
  expect(holds('ForAllValues:StringNotEquals', ['a', 'b'], ['c', 'b'])).toBe(false);
  expect(holds('ForAllValues:StringNotEquals', ['a', 'b'], ['c'])).toBe(true);
  expect(holds('Null', ['false'], undefined)).toBe(false);
  expect(holds('NumericLessThanEquals', ['3600'], ['3601'])).toBe(false);
  expect(() => holds('IpAddress', [], [])).toThrow('does not know IpAddress');
});

test('a subnet of another cluster gets no instance, whatever the tag of the request', () => {
  const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
  const launch = (tag: string) =>
    isAllowed([deploy, create], {
      action: 'ec2:RunInstances',
      resource: 'arn:aws:ec2:REGION:ACCOUNT:subnet/subnet-1',
      context: { 'aws:RequestTag/Cluster': 'CLUSTER', 'aws:ResourceTag/Cluster': tag },
    });
  expect([launch('CLUSTER'), launch('other')]).toEqual([true, false]);
});

test('the tag of the cluster can be neither removed nor given to another cluster', () => {
  const { deploy, 'deploy-create': create } = buildPolicies(readCalls());
  const ask = (action: string, context: { [key: string]: string | string[] }) =>
    isAllowed([deploy, create], {
      action,
      resource: 'arn:aws:ec2:REGION:ACCOUNT:volume/vol-1',
      context: { 'aws:ResourceTag/Cluster': 'CLUSTER', ...context },
    });
  expect(ask('ec2:DeleteTags', { 'aws:TagKeys': ['Team'] })).toBe(true);
  expect(ask('ec2:DeleteTags', { 'aws:TagKeys': ['Team', 'Cluster'] })).toBe(false);
  expect(ask('ec2:DeleteTags', {})).toBe(false);
  expect(ask('ec2:CreateTags', { 'aws:RequestTag/Team': 'a' })).toBe(true);
  expect(ask('ec2:CreateTags', { 'aws:RequestTag/Cluster': 'other' })).toBe(false);
});
