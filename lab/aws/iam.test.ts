import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findIdentity } from './iam.ts';
import { ProviderClient } from './provider-client.ts';
import type { Fields } from './values.ts';

let aws: ProviderClient;
beforeEach(async () => {
  aws = await ProviderClient.open();
});
afterEach(() => aws.close());

const TRUST = JSON.stringify({ Statement: [{ Effect: 'Allow' }], Version: '2012-10-17' });
const role: Fields = { name: 'nodes', path: '/team/', assume_role_policy: TRUST };
const policy: Fields = { name: 'backups', role: 'nodes', policy: TRUST };

describe('a role', () => {
  test('is recorded with the values that IAM sets', async () => {
    expect(await aws.apply('aws_iam_role', role)).toMatchObject({
      id: 'nodes',
      arn: 'arn:aws:iam::123456789012:role/team/nodes',
      max_session_duration: 3600,
      permissions_boundary: '',
      tags_all: { Cluster: 'lab' },
      unique_id: expect.stringMatching(/^AROA[0-9A-F]{17}$/),
    });
  });

  test('has its trust policy with the names in order', async () => {
    const trust = '{ "Version": "2012-10-17", "Statement": [] }';
    const made = await aws.apply('aws_iam_role', { ...role, assume_role_policy: trust });
    expect(made.assume_role_policy).toBe('{"Statement":[],"Version":"2012-10-17"}');
  });

  test('shows its policies after a refresh, and is not deleted before them', async () => {
    const made = await aws.apply('aws_iam_role', role);
    const inline = await aws.apply('aws_iam_role_policy', policy);
    expect(inline).toMatchObject({ id: 'nodes:backups' });
    expect(made.inline_policy).toEqual([]);
    expect(await aws.refresh('aws_iam_role', made)).toMatchObject({
      inline_policy: [{ name: 'backups', policy: expect.stringMatching(/^\{"Version"/) }],
    });
    await expect(aws.destroy('aws_iam_role', made)).rejects.toThrow('DeleteConflict');
    await aws.destroy('aws_iam_role_policy', inline);
    await aws.destroy('aws_iam_role', made);
    expect(aws.tables.roles).toEqual({});
  });

  test.each<[string, Fields, string]>([
    ['a second one of that name', role, 'EntityAlreadyExists: Role with name nodes already exists'],
    ['a long name', { ...role, name: 'n'.repeat(65) }, 'ValidationError'],
    ['a missing boundary', { ...role, name: 'b', permissions_boundary: 'arn:x' }, 'NoSuchEntity'],
  ])('is refused: %s', async (_name, given, words) => {
    await aws.apply('aws_iam_role', role);
    await expect(aws.apply('aws_iam_role', given)).rejects.toThrow(words);
  });
});

test('a policy of a missing role, and one that is too long, are refused', async () => {
  await expect(aws.apply('aws_iam_role_policy', policy)).rejects.toThrow(
    /putting IAM Role \(nodes\) Policy \(backups\): operation error IAM: PutRolePolicy, .*NoSuchEntity/,
  );
  await aws.apply('aws_iam_role', role);
  const long = { ...policy, policy: JSON.stringify({ Id: 'x'.repeat(10_240) }) };
  await expect(aws.apply('aws_iam_role_policy', long)).rejects.toThrow('LimitExceeded');
});

describe('an instance profile', () => {
  test('has a role, which is what an instance gets', async () => {
    await aws.apply('aws_iam_role', role);
    const made = await aws.apply('aws_iam_instance_profile', { name_prefix: 'n-', role: 'nodes' });
    expect(made).toMatchObject({ name: expect.stringMatching(/^n-\d{18}/), name_prefix: 'n-' });
    const instance = { iamProfile: String(made.name) };
    expect(findIdentity(instance, aws.tables)?.role.name).toBe('nodes');
    await aws.destroy('aws_iam_instance_profile', made);
    expect(findIdentity(instance, aws.tables)).toBeNull();
  });

  test('of a missing role is left without one', async () => {
    await expect(
      aws.apply('aws_iam_instance_profile', { name: 'lost', role: 'nobody' }),
    ).rejects.toThrow('adding IAM Role (nobody) to IAM Instance Profile (lost)');
    expect(aws.tables.instanceProfiles.lost?.role).toBeNull();
  });
});
