import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runLifecyclePolicy } from './lifecycle.ts';
import { ProviderClient } from './provider-client.ts';
import type { Fields } from './values.ts';

let aws: ProviderClient;
beforeEach(async () => {
  aws = await ProviderClient.open();
  const trust = (service: string) =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: service } }],
    });
  for (const service of ['dlm', 'ec2']) {
    await aws.apply('aws_iam_role', {
      name: service,
      assume_role_policy: trust(`${service}.amazonaws.com`),
    });
  }
});
afterEach(() => aws.close());

const TYPE = 'aws_dlm_lifecycle_policy';
const policy = (given: Fields = {}, details: Fields = {}, rule: Fields = {}): Fields => ({
  description: 'Daily snapshots',
  execution_role_arn: 'arn:aws:iam::123456789012:role/dlm',
  policy_details: [
    {
      resource_types: ['VOLUME'],
      target_tags: { Of: 'orders' },
      schedule: [
        {
          name: 'daily',
          copy_tags: true,
          create_rule: [{ interval: 24, interval_unit: 'HOURS', times: ['03:00'], ...rule }],
          retain_rule: [{ count: 2 }],
        },
      ],
      ...details,
    },
  ],
  ...given,
});

test('a policy is recorded, changed in place and removed', async () => {
  const made = await aws.apply(TYPE, policy());
  expect(made).toMatchObject({
    arn: expect.stringMatching(/^arn:aws:dlm:us-east-1:123456789012:policy\/policy-[0-9a-f]{17}$/),
    state: 'ENABLED',
    tags_all: { Cluster: 'lab' },
  });
  expect(await aws.refresh(TYPE, made)).toEqual(made);
  const changed = policy({}, {}, { times: ['04:00'] });
  expect((await aws.plan(TYPE, changed, made)).replace).toEqual([]);
  const after = await aws.apply(TYPE, changed, made);
  expect(Object.values(aws.tables.lifecyclePolicies)).toMatchObject([
    { schedule: { times: ['04:00'], count: 2 } },
  ]);
  await aws.destroy(TYPE, after);
  expect(aws.tables.lifecyclePolicies).toEqual({});
});

test.each<[string, Fields, string]>([
  [
    'a missing role',
    policy({ execution_role_arn: 'arn:aws:iam::123456789012:role/none' }),
    'does not exist',
  ],
  [
    'a role of another service',
    policy({ execution_role_arn: 'arn:aws:iam::123456789012:role/ec2' }),
    'cannot be assumed by dlm.amazonaws.com',
  ],
  ['no target tags', policy({}, { target_tags: {} }), 'missing: {TargetTags}'],
  ['a tag of AWS', policy({}, { target_tags: { 'aws:x': 'y' } }), 'Invalid target tags'],
])('%s is refused', async (_, given, words) => {
  await expect(aws.apply(TYPE, given)).rejects.toThrow(
    /operation error DLM: CreateLifecyclePolicy, .*InvalidRequestException/,
  );
  await expect(aws.apply(TYPE, given)).rejects.toThrow(words);
});

test.each<[string, Fields]>([
  ['an interval', policy({}, {}, { interval: 5 })],
  ['a time', policy({}, {}, { times: ['24:00'] })],
  ['a description', policy({ description: 'volumes of "orders"' })],
])('%s that the provider does not allow is refused at plan', async (_, given) => {
  expect((await aws.validate(TYPE, given)).diagnostics).toHaveLength(1);
});

describe('a run', () => {
  const yes = () => true;
  const run = (day: number, may: Parameters<typeof runLifecyclePolicy>[1]['may'] = yes) => {
    const [id = ''] = Object.keys(aws.tables.lifecyclePolicies);
    return runLifecyclePolicy(id, { tables: aws.tables, at: `2026-11-0${day}T03:00:00Z`, may });
  };
  const list = () => Object.values(aws.tables.snapshots);
  beforeEach(async () => {
    await aws.apply(TYPE, policy());
    for (const name of ['orders', 'other']) {
      await aws.apply('aws_ebs_volume', {
        ...{ availability_zone: 'us-east-1a', size: 1 },
        tags: { Of: name },
      });
    }
  });

  test('makes a snapshot of each volume that bears a target tag, and keeps the newest', () => {
    expect([1, 2, 3].flatMap((day) => run(day))).toEqual([]);
    expect(list().map(({ created }) => created.slice(0, 10))).toEqual(['2026-11-02', '2026-11-03']);
    expect(list().map(({ tags }) => tags.Of)).toEqual(['orders', 'orders']);
  });

  test('does what its role may do only', () => {
    expect(run(1, (_, { action }) => action !== 'ec2:CreateTags')).toEqual([
      expect.stringMatching(/^ec2:CreateTags snap-/),
    ]);
    expect(list()).toEqual([]);
    for (const day of [2, 3]) run(day);
    expect(run(4, (_, { action }) => action !== 'ec2:DeleteSnapshot')).toEqual([
      expect.stringMatching(/^ec2:DeleteSnapshot snap-/),
    ]);
    expect(list()).toHaveLength(3);
  });
});
