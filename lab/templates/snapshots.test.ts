import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { runLifecyclePolicy } from '../aws/lifecycle.ts';
import { isAllowed } from '../contract/evaluate.ts';
import { type Lab, openLab } from './lab.ts';
import {
  applyValues,
  countChanges,
  destroyAll,
  PUBLIC_KEY,
  planValues,
  type Values,
  type Workspace,
} from './workspace.ts';

// Daily snapshots of the data volumes. Data Lifecycle Manager runs when a test says so.

vi.setConfig({ testTimeout: 120_000 });

const BASE: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  instance_type: 't3.medium',
  replica_count: 1,
  ssh_public_key: PUBLIC_KEY,
};
const BOUNDARY = 'arn:aws:iam::123456789012:policy/postgres-cluster-snapshots';
const snapshots = (given: object = {}) => ({
  snapshots: { keep: 2, time: '03:00', permissions_boundary: null, ...given },
});
const ON: Values = { ...BASE, ...snapshots() };

let lab: Lab;
beforeAll(async () => {
  lab = await openLab('templates-snapshots');
  await lab.aws.edit(({ managedPolicies }) => {
    managedPolicies[BOUNDARY] = '{}';
  });
}, 120_000);
afterAll(() => lab.close());

const listPolicies = () => Object.values(lab.aws.tables.lifecyclePolicies);
const listSnapshots = (cluster: string) =>
  Object.values(lab.aws.tables.snapshots).filter(({ tags }) => tags.Cluster === cluster);

/** Lets all policies run on a day; returns what their roles were refused. */
async function runPolicies(day: number): Promise<string[]> {
  const refused: string[] = [];
  await lab.aws.edit((tables) => {
    for (const { id } of listPolicies()) {
      const may: Parameters<typeof runLifecyclePolicy>[1]['may'] = (role, request) =>
        isAllowed(
          Object.values(role.policies).map((text) => JSON.parse(text)),
          {
            ...request,
            context: Object.fromEntries(
              Object.entries(request.tags).map(([key, value]) => [`aws:ResourceTag/${key}`, value]),
            ),
          },
        );
      refused.push(...runLifecyclePolicy(id, { tables, at: `2026-11-0${day}T03:00:00Z`, may }));
    }
  });
  return refused;
}

describe('a cluster that exists', () => {
  let cluster: Workspace;
  let other: Workspace;
  beforeAll(async () => {
    cluster = await lab.deploy('orders', BASE);
    other = await lab.deploy('orders-2', {
      ...BASE,
      cluster_name: 'orders-2',
      vpc_cidr: '10.43.0.0/16',
    });
  }, 120_000);
  afterAll(async () => {
    await destroyAll(cluster, ON);
    await destroyAll(other, { ...BASE, cluster_name: 'orders-2', vpc_cidr: '10.43.0.0/16' });
  });

  test('has no policy and no role without snapshots', () => {
    expect([lab.aws.tables.roles, lab.aws.tables.lifecyclePolicies]).toEqual([{}, {}]);
  });

  test('gets snapshots without a change of its nodes', async () => {
    const { changes } = await applyValues(cluster, ON);
    expect(countChanges(changes)).toEqual({
      'create aws_dlm_lifecycle_policy.snapshots': 1,
      'create aws_iam_role.snapshots': 1,
      'create aws_iam_role_policy.snapshots': 1,
      'update aws_ebs_volume.data': 2,
    });
    expect(listPolicies()).toMatchObject([
      {
        enabled: true,
        targetTags: { SnapshotsOf: 'orders' },
        schedule: { interval: 24, times: ['03:00'], count: 2, copyTags: true },
      },
    ]);
    expect((await planValues(cluster, ON)).changes).toEqual([]);
  });

  test('has as many snapshots of each data volume as are kept, and no other volume has any', async () => {
    expect([await runPolicies(1), await runPolicies(2), await runPolicies(3)].flat()).toEqual([]);
    const made = listSnapshots('orders').map(({ tags, created }) => `${tags.Name} ${created}`);
    expect(made.sort()).toEqual([
      'orders-node-1-data 2026-11-02T03:00:00Z',
      'orders-node-1-data 2026-11-03T03:00:00Z',
      'orders-node-2-data 2026-11-02T03:00:00Z',
      'orders-node-2-data 2026-11-03T03:00:00Z',
    ]);
    expect(Object.values(lab.aws.tables.snapshots)).toHaveLength(4);
  });

  test('the role can do nothing to another cluster', async () => {
    const [role] = Object.values(lab.aws.tables.roles);
    const policies = Object.values(role?.policies ?? {}).map((text) => JSON.parse(text));
    const may = (action: string, kind: string, context: Record<string, string>) =>
      isAllowed(policies, { action, resource: `arn:aws:ec2:us-east-1::${kind}/x`, context });
    const last = { 'aws:ResourceTag/Cluster': 'orders', 'aws:ResourceTag/SnapshotsOf': 'orders' };
    const made = { 'aws:ResourceTag/aws:dlm:lifecycle-policy-id': 'policy-0a1b2c3d4e5f60718' };
    const own = { ...last, ...made };
    const foreign = {
      ...made,
      'aws:ResourceTag/Cluster': 'orders-2',
      'aws:ResourceTag/SnapshotsOf': 'orders-2',
    };
    expect(may('ec2:CreateSnapshot', 'volume', own)).toBe(true);
    expect(may('ec2:CreateSnapshot', 'volume', foreign)).toBe(false);
    expect(may('ec2:DeleteSnapshot', 'snapshot', own)).toBe(true);
    expect(may('ec2:DeleteSnapshot', 'snapshot', foreign)).toBe(false);
    expect(may('ec2:DeleteSnapshot', 'snapshot', last)).toBe(false);
    expect(may('kms:CreateGrant', 'snapshot', own)).toBe(false);
    expect(may('ec2:CreateTags', 'volume', own)).toBe(false);
    for (const action of ['ec2:DeleteVolume', 'ec2:ModifySnapshotAttribute', 'ec2:CopySnapshot']) {
      expect(may(action, 'snapshot', own), action).toBe(false);
      expect(may(action, 'volume', own), action).toBe(false);
    }
  });

  test('gets another time, a smaller count and a boundary in place', async () => {
    const changed = {
      ...BASE,
      ...snapshots({ keep: 1, time: '04:30', permissions_boundary: BOUNDARY }),
    };
    const { changes } = await applyValues(cluster, changed);
    expect(countChanges(changes)).toEqual({
      'update aws_dlm_lifecycle_policy.snapshots': 1,
      'update aws_iam_role.snapshots': 1,
    });
    expect(listPolicies()).toMatchObject([{ schedule: { times: ['04:30'], count: 1 } }]);
    expect(Object.values(lab.aws.tables.roles)).toMatchObject([{ boundary: BOUNDARY }]);
    expect(await runPolicies(4)).toEqual([]);
    expect(listSnapshots('orders').map(({ created }) => created.slice(8, 10))).toEqual([
      '04',
      '04',
    ]);
    await applyValues(cluster, ON);
  });

  test('takes the policy away, and its snapshots stay', async () => {
    const before = listSnapshots('orders').length;
    const { changes } = await applyValues(cluster, BASE);
    expect(countChanges(changes)).toEqual({
      'delete aws_dlm_lifecycle_policy.snapshots': 1,
      'delete aws_iam_role.snapshots': 1,
      'delete aws_iam_role_policy.snapshots': 1,
      'update aws_ebs_volume.data': 2,
    });
    expect(lab.aws.tables.roles).toEqual({});
    expect(listSnapshots('orders')).toHaveLength(before);
  });

  test('gets a policy in place of one that was deleted by hand', async () => {
    await applyValues(cluster, ON);
    await lab.aws.edit((tables) => {
      tables.lifecyclePolicies = {};
    });
    const { changes } = await applyValues(cluster, ON);
    expect(countChanges(changes)).toEqual({ 'create aws_dlm_lifecycle_policy.snapshots': 1 });
  });
});

test('a new cluster with the longest name has snapshots beside backups, and leaves them', async () => {
  const values = {
    ...BASE,
    cluster_name: `o${'r'.repeat(39)}`,
    ...snapshots({ keep: 7 }),
    backup: { bucket: 'backups', prefix: '', kms_key_id: null, permissions_boundary: null },
  };
  const cluster = await lab.deploy('long', values);
  // Terraform makes them at the same time.
  const lengths = Object.values(lab.aws.tables.roles).map(({ name }) => name.length);
  expect(lengths.sort()).toEqual([40 + '-us-east-1-dlm'.length, 40 + '-us-east-1-nodes'.length]);
  expect(await runPolicies(1)).toEqual([]);
  expect((await destroyAll(cluster, values)).errors).toEqual([]);
  expect([lab.aws.tables.roles, lab.aws.tables.lifecyclePolicies]).toEqual([{}, {}]);
  // Two that the policy made, and the last one of each volume.
  expect(listSnapshots(values.cluster_name)).toHaveLength(4);
});
