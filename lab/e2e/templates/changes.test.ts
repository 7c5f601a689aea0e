import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lab, openLab, type Subnets } from '../../templates/lab.ts';
import {
  type Change,
  countChanges,
  PUBLIC_KEY,
  planValues,
  readVariables,
  type Values,
  type Workspace,
} from '../../templates/workspace.ts';

// The effect of each input's change on a running cluster, read from the plan. The table is complete by construction:
// a variable without a row fails.

const BASE: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  instance_type: 't3.medium',
  replica_count: 2,
  ssh_public_key: PUBLIC_KEY,
  ssh_cidrs: ['203.0.113.7/32'],
  client_cidrs: ['10.20.0.0/16'],
  subnet_ids: [],
};

const OTHER_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMvCANEKM1lUF8G7kC39ONgz0upnn7fmpN+AMOYd6YoQ team';

const OTHER_KMS_KEY = 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

/** A private zone of Route 53. */
const ZONE = 'Z0PRIVATE';

interface Row {
  /** The changed variable. */
  readonly variable: string;
  readonly to: unknown;
  /** Counts of `action resource`; `{}` is an empty plan. */
  readonly plan?: { readonly [what: string]: number };
  /** The beginning of each error, if there is no plan. */
  readonly refused?: readonly string[];
  /** Set if instances may be deleted: only for another network. Data volumes never are. */
  readonly replacesInstances?: true;
}

/** One more tag on everything that has tags. */
const TAGGED = {
  'update aws_ebs_volume.data': 3,
  'update aws_instance.node': 3,
  'update aws_key_pair.nodes': 1,
  'update aws_internet_gateway.own': 1,
  'update aws_route_table.own': 1,
  'update aws_security_group.nodes': 1,
  'update aws_subnet.own': 6,
  'update aws_vpc.own': 1,
  'update aws_vpc_security_group_egress_rule.all': 1,
  'update aws_vpc_security_group_ingress_rule.clients': 1,
  'update aws_vpc_security_group_ingress_rule.replication': 1,
  'update aws_vpc_security_group_ingress_rule.ssh': 1,
};

const ROWS: readonly Row[] = [
  {
    variable: 'cluster_name',
    to: 'sales',
    plan: {
      'update aws_ebs_volume.data': 3,
      'update aws_instance.node': 3,
      'replace aws_key_pair.nodes': 1,
      'replace aws_security_group.nodes': 1,
      'replace aws_vpc_security_group_egress_rule.all': 1,
      'replace aws_vpc_security_group_ingress_rule.clients': 1,
      'replace aws_vpc_security_group_ingress_rule.replication': 1,
      'replace aws_vpc_security_group_ingress_rule.ssh': 1,
      'update aws_internet_gateway.own': 1,
      'update aws_route_table.own': 1,
      'update aws_subnet.own': 6,
      'update aws_vpc.own': 1,
    },
  },
  {
    variable: 'region',
    to: 'eu-west-1',
    refused: ['The cluster lives in us-east-1 and cannot move to eu-west-1'],
  },
  { variable: 'instance_type', to: 't3.large', plan: { 'update aws_instance.node': 3 } },
  { variable: 'instance_type', to: 't2.small', plan: { 'update aws_instance.node': 3 } },
  {
    variable: 'instance_type',
    to: 't4g.medium',
    refused: [1, 2, 3].map(
      (node) => `node-${node} runs x86_64 and instance_type t4g.medium is arm64`,
    ),
  },
  {
    variable: 'instance_type',
    to: 't3.giant',
    refused: ['reading EC2 Instance Type (t3.giant)'],
  },
  {
    variable: 'replica_count',
    to: 3,
    plan: {
      'create aws_ebs_volume.data': 1,
      'create aws_instance.node': 1,
      'create aws_volume_attachment.data': 1,
    },
  },
  { variable: 'node_instance_types', to: { 2: 't3.medium', 9: 't3.large' }, plan: {} },
  {
    variable: 'node_instance_types',
    to: { 2: 't3.large' },
    plan: { 'update aws_instance.node': 1 },
  },
  { variable: 'kept_nodes', to: ['3'], plan: {} },
  { variable: 'kept_nodes', to: ['1'], plan: {} },
  { variable: 'absent_nodes', to: ['9'], plan: {} },
  {
    variable: 'started_nodes',
    to: ['2', '9'],
    plan: { 'create aws_ec2_instance_state.started': 1 },
  },
  // The requested database settings are recorded beside the resources and change none of them.
  {
    variable: 'database',
    to: {
      image: 'postgres:17',
      settings: { work_mem: '8MB' },
      primary: 'node-2',
      synchronous_replicas: 1,
    },
    plan: {},
  },
  { variable: 'ssh_public_key', to: OTHER_KEY, plan: { 'replace aws_key_pair.nodes': 1 } },
  // A trailing line break in a file does not make another key.
  { variable: 'ssh_public_key', to: `${BASE.ssh_public_key}\n`, plan: {} },
  {
    variable: 'ssh_cidrs',
    to: ['198.51.100.0/24'],
    plan: {
      'create aws_vpc_security_group_ingress_rule.ssh': 1,
      'delete aws_vpc_security_group_ingress_rule.ssh': 1,
    },
  },
  {
    variable: 'client_cidrs',
    to: ['10.30.0.0/16', '10.20.0.0/16', '10.30.0.0/16'],
    plan: { 'create aws_vpc_security_group_ingress_rule.clients': 1 },
  },
  {
    variable: 'ssh_via',
    to: 'instance-connect-endpoint',
    plan: {
      'create aws_ec2_instance_connect_endpoint.own': 1,
      'create aws_security_group.endpoint': 1,
      'create aws_vpc_security_group_egress_rule.endpoint': 1,
      'create aws_vpc_security_group_ingress_rule.endpoint': 1,
    },
  },
  // Connections are direct, so a given endpoint and its groups are not used.
  { variable: 'instance_connect_endpoint_id', to: 'eice-0a1b2c3d4e5f60718', plan: {} },
  { variable: 'instance_connect_endpoint_groups', to: ['sg-0a1b2c3d4e5f60718'], plan: {} },
  // Existing nodes stay where they are.
  { variable: 'avoid_zones', to: ['us-east-1a'], plan: {} },
  {
    variable: 'internet_via',
    to: 'nat-gateway',
    plan: {
      'create aws_eip.nat': 1,
      'create aws_nat_gateway.own': 1,
      'create aws_route.public': 1,
      'create aws_route_table.public': 1,
      'create aws_route_table_association.public': 1,
      'create aws_subnet.public': 1,
      'update aws_route.internet': 1,
      'update aws_subnet.own': 6,
    },
  },
  { variable: 'dns_zone_id', to: ZONE, plan: { 'create aws_route53_record.node': 3 } },
  {
    variable: 'backup',
    to: { bucket: 'team-backups', prefix: '', kms_key_id: null, permissions_boundary: null },
    plan: {
      'create aws_iam_instance_profile.nodes': 1,
      'create aws_iam_role.nodes': 1,
      'create aws_iam_role_policy.nodes': 1,
      'create aws_vpc_endpoint.s3': 1,
      'update aws_instance.node': 3,
    },
  },
  {
    variable: 'restore_from',
    to: {
      ...{ bucket: 'team-backups', prefix: '', cluster: 'sales' },
      ...{ kms_key_id: null, permissions_boundary: null },
    },
    plan: {
      'create aws_iam_instance_profile.nodes': 1,
      'create aws_iam_role.nodes': 1,
      'create aws_iam_role_policy.nodes': 1,
      'create aws_vpc_endpoint.s3': 1,
      'update aws_instance.node': 3,
    },
  },
  {
    variable: 'snapshots',
    to: { keep: 7, time: '03:00', permissions_boundary: null },
    plan: {
      'create aws_dlm_lifecycle_policy.snapshots': 1,
      'create aws_iam_role.snapshots': 1,
      'create aws_iam_role_policy.snapshots': 1,
      'update aws_ebs_volume.data': 3,
    },
  },
  // Only a rehearsal sets it.
  { variable: 'final_snapshot', to: false, plan: { 'update aws_ebs_volume.data': 3 } },
  { variable: 'instance_profile', to: 'postgres-nodes', plan: { 'update aws_instance.node': 3 } },
  {
    variable: 'vpc_cidr',
    to: '10.50.0.0/16',
    replacesInstances: true,
    plan: {
      'replace aws_instance.node': 3,
      'replace aws_volume_attachment.data': 3,
      'replace aws_security_group.nodes': 1,
      'replace aws_vpc_security_group_egress_rule.all': 1,
      'replace aws_vpc_security_group_ingress_rule.clients': 1,
      'replace aws_vpc_security_group_ingress_rule.replication': 1,
      'replace aws_vpc_security_group_ingress_rule.ssh': 1,
      'update aws_internet_gateway.own': 1,
      'replace aws_route.internet': 1,
      'replace aws_route_table.own': 1,
      'replace aws_route_table_association.own': 6,
      'replace aws_subnet.own': 6,
      'replace aws_vpc.own': 1,
    },
  },
  { variable: 'data_volume_size', to: 40, plan: { 'update aws_ebs_volume.data': 3 } },
  { variable: 'data_volume_iops', to: 6000, plan: { 'update aws_ebs_volume.data': 3 } },
  { variable: 'data_volume_throughput', to: 250, plan: { 'update aws_ebs_volume.data': 3 } },
  { variable: 'root_volume_size', to: 32, plan: { 'update aws_instance.node': 3 } },
  // Volumes keep the key that they were created with.
  { variable: 'kms_key_id', to: OTHER_KMS_KEY, plan: {} },
  {
    variable: 'tags',
    to: { Team: 'payments' },
    plan: TAGGED,
  },
  // Only a rehearsal sets it.
  { variable: 'rehearsal_of', to: 'sales', plan: TAGGED },
];

/** The addresses of instances or data volumes that a plan would delete. */
function listLosses(changes: readonly Change[], type: 'aws_instance' | 'aws_ebs_volume'): string[] {
  return changes
    .filter(({ action }) => action === 'replace' || action === 'delete')
    .map(({ address }) => address)
    .filter((address) => address.startsWith(`${type}.`));
}

let lab: Lab;
let own: Workspace;
let given: Workspace;
let subnets: Subnets;

beforeAll(async () => {
  lab = await openLab('templates-changes');
  await lab.aws.edit(({ hostedZones }) => {
    hostedZones[ZONE] = { id: ZONE, name: 'example.internal', isPrivate: true };
  });
  own = await lab.deploy('own', BASE);
  subnets = await lab.makeSubnets('team', { b1: 'us-east-1b', b2: 'us-east-1b', c: 'us-east-1c' });
  given = await lab.deploy('given', {
    ...BASE,
    cluster_name: 'guest',
    subnet_ids: [subnets.b2, subnets.c],
  });
}, 120_000);

afterAll(() => lab.close());

describe('a change of an input', () => {
  test('has a row for every variable', () => {
    // subnet_ids has its own table below.
    const covered = new Set([...ROWS.map(({ variable }) => variable), 'subnet_ids']);
    expect([...covered].sort()).toEqual([...readVariables().keys()].sort());
  });

  test('plans nothing if nothing changes', async () => {
    expect((await planValues(own, BASE)).changes).toEqual([]);
  });

  test.each(ROWS)('$variable → $to', async (row) => {
    const { changes, errors } = await planValues(own, { ...BASE, [row.variable]: row.to });
    expect(errors.map(({ summary, detail }) => `${summary}\n${detail}`).sort()).toEqual(
      (row.refused ?? []).map((start) => expect.stringContaining(start)),
    );
    if (row.plan) expect(countChanges(changes)).toEqual(row.plan);
    expect(listLosses(changes, 'aws_ebs_volume')).toEqual([]);
    if (!row.replacesInstances) expect(listLosses(changes, 'aws_instance')).toEqual([]);
  });
});

describe('a change outside the cluster', () => {
  test('leaves an instance profile that somebody attached by hand', async () => {
    const attach = (name: string | null) =>
      lab.aws.edit(({ instances }) => {
        for (const instance of Object.values(instances)) instance.iamProfile = name;
      });
    await attach('by-hand');
    expect((await planValues(own, BASE)).changes).toEqual([]);
    await attach(null);
  });

  test('ignores a newer image', async () => {
    lab.aws.publishImage('us-east-1', '20991231-0000');
    expect((await planValues(own, BASE)).changes).toEqual([]);
  });

  test.each([
    { zones: 'fedcba', plan: {} },
    {
      zones: 'gbacfde',
      plan: { 'create aws_subnet.own': 1, 'create aws_route_table_association.own': 1 },
    },
  ])('accepts the zones $zones', async ({ zones, plan }) => {
    await lab.setZones('us-east-1', zones);
    const { changes } = await planValues(own, BASE);
    await lab.setZones('us-east-1', null);
    expect(countChanges(changes)).toEqual(plan);
  });
});

describe('zones added between others', () => {
  test('move no subnet', async () => {
    const values = { ...BASE, cluster_name: 'gaps' };
    await lab.setZones('us-east-1', 'bdf');
    const gaps = await lab.deploy('gaps', values);
    await lab.setZones('us-east-1', null);
    expect(countChanges((await planValues(gaps, values)).changes)).toEqual({
      'create aws_subnet.own': 3,
      'create aws_route_table_association.own': 3,
    });
  });
});

describe('a change of subnet_ids', () => {
  const values = (...names: string[]) => ({
    ...BASE,
    cluster_name: 'guest',
    subnet_ids: names.map((name) => subnets[name]),
  });

  test.each([
    { to: 'the same', names: ['b2', 'c'] },
    { to: 'another order', names: ['c', 'b2'] },
    { to: 'a second subnet in a zone', names: ['b1', 'b2', 'c'] },
    { to: 'another subnet of the same zone', names: ['b1', 'c'] },
  ])('to $to moves nothing', async ({ names }) => {
    expect((await planValues(given, values(...names))).changes).toEqual([]);
  });

  test('to fewer zones than contain data is refused', async () => {
    const { errors, warnings } = await planValues(given, values('c'));
    expect(errors.map(({ detail }) => detail).sort()).toEqual([
      expect.stringContaining(
        'The data of node-1 lies in zone us-east-1b, where the cluster has no subnet (only in us-east-1c)',
      ),
      expect.stringContaining(
        'The data of node-3 lies in zone us-east-1b, where the cluster has no subnet (only in us-east-1c)',
      ),
    ]);
    expect(warnings[0]?.detail).toContain('All nodes are in one zone (us-east-1c)');
  });

  test('to two VPCs at once is refused', async () => {
    const other = await lab.makeSubnets('other', { a: 'us-east-1a' });
    const mixed = values('b2', 'c');
    const { errors } = await planValues(given, {
      ...mixed,
      subnet_ids: [...mixed.subnet_ids, other.a],
    });
    expect(errors.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^subnet_ids must all lie in one VPC; these lie in vpc-\w+, vpc-\w+/),
    ]);
  });

  test('to another VPC replaces the instances and keeps the data', async () => {
    const { changes, errors } = await planValues(given, values());
    expect(errors).toEqual([]);
    expect(listLosses(changes, 'aws_instance')).toHaveLength(3);
    expect(listLosses(changes, 'aws_ebs_volume')).toEqual([]);
  });
});
