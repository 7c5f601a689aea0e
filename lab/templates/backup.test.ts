import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findIdentity, makeInstanceProfile } from '../aws/iam.ts';
import { isAllowed } from '../contract/evaluate.ts';
import { type Lab, openLab } from './lab.ts';
import {
  applyValues,
  countChanges,
  destroyAll,
  PUBLIC_KEY,
  planValues,
  readState,
  type Values,
  type Workspace,
} from './workspace.ts';

// The way of the nodes to the bucket of their backups.

vi.setConfig({ testTimeout: 120_000 });

const BASE: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  instance_type: 't3.medium',
  replica_count: 1,
  ssh_public_key: PUBLIC_KEY,
};
const BOUNDARY = 'arn:aws:iam::123456789012:policy/postgres-cluster-nodes';
const KEY = 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const backup = (given: object = {}) => ({
  backup: {
    bucket: 'team-backups',
    prefix: 'postgres',
    kms_key_id: null,
    permissions_boundary: null,
    ...given,
  },
});
const ON: Values = { ...BASE, ...backup() };
const source = (given: object = {}) => ({
  restore_from: {
    ...{ bucket: 'old-backups', prefix: '', cluster: 'sales' },
    ...{ kms_key_id: null, permissions_boundary: null },
    ...given,
  },
});
const SOURCE = source();

/** What a cluster that exists gets with its backups. */
const ADDED = {
  'create aws_iam_instance_profile.nodes': 1,
  'create aws_iam_role.nodes': 1,
  'create aws_iam_role_policy.nodes': 1,
  'create aws_vpc_endpoint.s3': 1,
  'update aws_instance.node': 2,
};
const REMOVED = {
  'delete aws_iam_instance_profile.nodes': 1,
  'delete aws_iam_role.nodes': 1,
  'delete aws_iam_role_policy.nodes': 1,
  'delete aws_vpc_endpoint.s3': 1,
};

let lab: Lab;
beforeAll(async () => {
  lab = await openLab('templates-backup');
  await lab.aws.edit(({ instanceProfiles, managedPolicies }) => {
    instanceProfiles.team = makeInstanceProfile('team');
    managedPolicies[BOUNDARY] = '{}';
  });
}, 120_000);
afterAll(() => lab.close());

/** The roles of all nodes, each once. */
const findRoles = () => {
  const { tables } = lab.aws;
  const found = Object.values(tables.instances).map((one) => findIdentity(one, tables)?.role);
  return [...new Set(found)];
};

/** Whether the role of the nodes may do it. */
const may = (action: string, resource: string, context: { [key: string]: string } = {}) => {
  const [role] = findRoles();
  const policies = Object.values(role?.policies ?? {}).map((text) => JSON.parse(text));
  return isAllowed(policies, { action, resource, context });
};
const mayList = (bucket: string, prefix: string) =>
  may('s3:ListBucket', `arn:aws:s3:::${bucket}`, { 's3:prefix': prefix });

describe('a cluster that exists', () => {
  let cluster: Workspace;
  beforeAll(async () => {
    cluster = await lab.deploy('orders', BASE);
  }, 120_000);
  afterAll(() => destroyAll(cluster, ON));

  test('has no role without backups', () => {
    expect(findRoles()).toEqual([undefined]);
    expect([lab.aws.tables.roles, lab.aws.tables.vpcEndpoints]).toEqual([{}, {}]);
  });

  test('gets backups in one apply, on the running nodes', async () => {
    const { changes } = await applyValues(cluster, ON);
    expect(countChanges(changes)).toEqual(ADDED);
    expect(findRoles()).toMatchObject([
      { arn: expect.stringMatching(/:role\/postgres-cluster\//) },
    ]);
    expect((await planValues(cluster, ON)).changes).toEqual([]);
    const [table] = Object.values(lab.aws.tables.vpcEndpoints).flatMap((one) => one.routeTables);
    expect(table).toBe((await readState(cluster)).get('aws_route_table.own[0]')?.id);
  });

  test('writes below its own path, and nowhere else', () => {
    const objects = [
      'team-backups/postgres/orders/archive/x',
      'team-backups/postgres/orders-2/archive/x',
      'team-backups/postgres/sales/archive/x',
      'team-backups/orders/archive/x',
      'other/postgres/orders/archive/x',
    ];
    for (const action of ['s3:GetObject', 's3:PutObject', 's3:DeleteObject']) {
      const allowed = objects.filter((name) => may(action, `arn:aws:s3:::${name}`));
      expect(allowed, action).toEqual(objects.slice(0, 1));
    }
    expect(mayList('team-backups', 'postgres/orders/')).toBe(true);
    expect(mayList('team-backups', 'postgres/orders/archive/archive.info')).toBe(true);
    expect(mayList('team-backups', 'postgres/')).toBe(false);
    expect(may('s3:ListBucket', 'arn:aws:s3:::team-backups')).toBe(false);
    const more = ['s3:DeleteObjectVersion', 's3:PutBucketPolicy', 's3:PutObjectRetention'];
    const object = 'arn:aws:s3:::team-backups/postgres/orders/archive/x';
    expect(more.filter((action) => may(action, object))).toEqual([]);
  });

  test('uses its key through S3 only', async () => {
    const use = (service: string, key = KEY) =>
      may('kms:GenerateDataKey', key, { 'kms:ViaService': `${service}.us-east-1.amazonaws.com` });
    expect(use('s3')).toBe(false);
    const { changes } = await applyValues(cluster, { ...BASE, ...backup({ kms_key_id: KEY }) });
    expect(countChanges(changes)).toEqual({ 'update aws_iam_role_policy.nodes': 1 });
    expect([use('s3'), use('ec2'), use('s3', `${KEY}0`)]).toEqual([true, false, false]);
  });

  test('uses the key of an alias by the alias', async () => {
    const alias = 'arn:aws:kms:us-east-1:123456789012:alias/backups';
    await applyValues(cluster, { ...BASE, ...backup({ kms_key_id: alias }) });
    const use = (name: string) =>
      may('kms:Decrypt', KEY, {
        'kms:ViaService': 's3.us-east-1.amazonaws.com',
        'kms:ResourceAliases': name,
      });
    expect([use('alias/backups'), use('alias/other')]).toEqual([true, false]);
    await applyValues(cluster, ON);
  });

  test('gets a boundary in place', async () => {
    const bounded = { ...BASE, ...backup({ permissions_boundary: BOUNDARY }) };
    const { changes } = await applyValues(cluster, bounded);
    expect(countChanges(changes)).toEqual({ 'update aws_iam_role.nodes': 1 });
    expect(findRoles()).toMatchObject([{ boundary: BOUNDARY }]);
    const missing = { ...BASE, ...backup({ permissions_boundary: `${BOUNDARY}-x` }) };
    await expect(applyValues(cluster, missing)).rejects.toThrow('NoSuchEntity: Scope ARN');
    await applyValues(cluster, ON);
    expect(findRoles()).toMatchObject([{ boundary: null }]);
  });

  test('reads the repository it is restored from, and writes nothing there', async () => {
    const { changes } = await applyValues(cluster, { ...ON, ...SOURCE });
    expect(countChanges(changes)).toEqual({ 'update aws_iam_role_policy.nodes': 1 });
    const object = 'arn:aws:s3:::old-backups/sales/archive/x';
    const actions = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'];
    expect(actions.filter((action) => may(action, object))).toEqual(['s3:GetObject']);
    expect(mayList('old-backups', 'sales/backup/')).toBe(true);
    expect(mayList('old-backups', 'orders/backup/')).toBe(false);
    await applyValues(cluster, ON);
    expect(may('s3:GetObject', object)).toBe(false);
  });

  test('reads with the key of that repository, and writes with its own', async () => {
    const other = `${KEY.slice(0, -4)}beef`;
    const use = () =>
      [KEY, other].map((key) =>
        ['kms:Decrypt', 'kms:GenerateDataKey'].filter((action) =>
          may(action, key, { 'kms:ViaService': 's3.us-east-1.amazonaws.com' }),
        ),
      );
    const own = { ...BASE, ...backup({ kms_key_id: KEY }) };
    await applyValues(cluster, { ...own, ...source({ kms_key_id: other }) });
    expect(use()).toEqual([['kms:Decrypt', 'kms:GenerateDataKey'], ['kms:Decrypt']]);
    await applyValues(cluster, { ...own, ...source({ kms_key_id: KEY }) });
    expect(use()).toEqual([['kms:Decrypt', 'kms:GenerateDataKey'], []]);
    // Without a key of its own as well.
    await applyValues(cluster, { ...ON, ...source({ kms_key_id: other }) });
    expect(use()).toEqual([[], ['kms:Decrypt']]);
    await applyValues(cluster, ON);
  });

  test('gets credentials again after its backups were taken away and came back', async () => {
    const { changes } = await applyValues(cluster, BASE);
    expect(countChanges(changes)).toEqual(REMOVED);
    // An instance keeps the association with the profile that is gone.
    expect(findRoles()).toEqual([undefined]);
    const again = await applyValues(cluster, ON);
    expect(countChanges(again.changes)).toEqual(ADDED);
    expect(findRoles()).toMatchObject([{ name: 'orders-us-east-1-nodes' }]);
  });

  test('gets a profile in place of one that was deleted by hand', async () => {
    await lab.aws.edit(({ instanceProfiles }) => {
      for (const name of Object.keys(instanceProfiles)) {
        if (name !== 'team') delete instanceProfiles[name];
      }
    });
    const { changes } = await applyValues(cluster, ON);
    expect(countChanges(changes)).toEqual({
      'create aws_iam_instance_profile.nodes': 1,
      'update aws_instance.node': 2,
    });
    expect(findRoles()).toMatchObject([{ name: 'orders-us-east-1-nodes' }]);
  });

  test('uses a given profile in place of its own', async () => {
    const given = { ...ON, instance_profile: 'team' };
    const { changes } = await applyValues(cluster, given);
    const { 'delete aws_vpc_endpoint.s3': _, ...gone } = REMOVED;
    expect(countChanges(changes)).toEqual({ ...gone, 'update aws_instance.node': 2 });
    expect(lab.aws.tables.roles).toEqual({});
    expect((await planValues(cluster, given)).changes).toEqual([]);
    await applyValues(cluster, ON);
  });
});

test('a new cluster with the longest name is restored without backups of its own, and leaves nothing', async () => {
  const values = {
    ...{ ...BASE, cluster_name: `o${'r'.repeat(39)}` },
    ...source({ kms_key_id: KEY, permissions_boundary: BOUNDARY }),
    final_snapshot: false,
  };
  const cluster = await lab.deploy('restored', values);
  const snapshots = Object.keys(lab.aws.tables.snapshots).sort();
  const [role] = findRoles();
  expect(role?.name).toHaveLength(40 + '-us-east-1-nodes'.length);
  expect(role?.boundary).toBe(BOUNDARY);
  const key = { 'kms:ViaService': 's3.us-east-1.amazonaws.com' };
  expect([may('kms:Decrypt', KEY, key), may('kms:GenerateDataKey', KEY, key)]).toEqual([
    true,
    false,
  ]);
  expect(may('s3:GetObject', 'arn:aws:s3:::old-backups/sales/backup/x')).toBe(true);
  expect(may('s3:PutObject', 'arn:aws:s3:::old-backups/sales/backup/x')).toBe(false);
  expect((await destroyAll(cluster, values)).errors).toEqual([]);
  // Its volumes have no last snapshot; those of the clusters above have one.
  expect(Object.keys(lab.aws.tables.snapshots).sort()).toEqual(snapshots);
  expect(Object.keys(lab.aws.tables.instanceProfiles)).toEqual(['team']);
  expect([lab.aws.tables.roles, lab.aws.tables.vpcEndpoints]).toEqual([{}, {}]);
});

test('a cluster in given subnets has no endpoint for S3: the network is the team’s', async () => {
  const subnets = Object.values(await lab.makeSubnets('team', { a: 'us-east-1a' }));
  const values = { ...ON, subnet_ids: subnets };
  const { changes, errors } = await planValues(await lab.open('given'), values);
  expect(errors).toEqual([]);
  expect(countChanges(changes)).toMatchObject({ 'create aws_iam_role.nodes': 1 });
  expect(countChanges(changes)).not.toHaveProperty('create aws_vpc_endpoint.s3');
});
