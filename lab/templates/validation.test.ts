import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Lab, openLab } from './lab.ts';
import { PUBLIC_KEY, planValues, readVariables, type Values, type Workspace } from './workspace.ts';

// Each round starts Terraform, which is slow on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const GOOD: Values = {
  cluster_name: 'orders',
  region: 'us-east-1',
  ssh_public_key: PUBLIC_KEY,
};

/** Backups that a cluster is restored from. */
const SOURCE = {
  ...{ bucket: 'backups', prefix: '', cluster: 'orders' },
  ...{ kms_key_id: null, permissions_boundary: null },
};

/** Values that must not reach AWS, by variable. */
const BAD: { readonly [variable: string]: readonly unknown[] } = {
  cluster_name: [
    '',
    'Orders',
    '1orders',
    'orders-',
    'or_ders',
    '../orders',
    'a'.repeat(41),
    'sg-orders',
  ],
  region: ['', 'us-east', 'us-east-1a', 'US-EAST-1', 'virginia', 'us-east-1\n'],
  instance_type: ['', 't3', 't3.', 'T3.medium', 't3 medium', 't3.medium;'],
  replica_count: [-1, 1.5, 16, 1000],
  node_instance_types: [
    { 'node-1': 't3.medium' },
    { 0: 't3.medium' },
    { 17: 't3.medium' },
    { 1: '' },
    { 1: 't3' },
    { 1: 't3.medium', 2: 'T3.medium' },
  ],
  kept_nodes: [['0'], ['17'], ['x']],
  absent_nodes: [['0'], ['17'], ['x']],
  started_nodes: [['0'], ['17'], ['x']],
  ssh_via: ['', 'ssm', 'Direct'],
  instance_connect_endpoint_id: ['', 'eice-1', 'vpce-0a1b2c3d4e5f60718'],
  instance_connect_endpoint_groups: [['sg-1'], ['default'], ['sg-0a1b2c3d4e5f60718', '']],
  internet_via: ['', 'nat', 'none'],
  dns_zone_id: ['', 'example.internal', 'z0123', `Z${'0'.repeat(32)}`],
  avoid_zones: [['us-east-1'], ['use1-az1'], ['us-east-1a', '']],
  database: [
    { image: 'postgres', settings: {}, primary: null, synchronous_replicas: 0 },
    { image: 'registry:5000/postgres', settings: {}, primary: null, synchronous_replicas: 0 },
    { image: 'postgres:17', settings: {}, primary: null, synchronous_replicas: -1 },
  ],
  ssh_public_key: [
    '',
    'AAAAC3NzaC1lZDI1NTE5',
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= team',
    'ssh-ed25519 AAAA\nssh-ed25519 BBBB',
  ],
  ssh_cidrs: [
    ['203.0.113.7'],
    ['203.0.113.7/33'],
    ['203.0.113.7/24'],
    ['::/0'],
    ['10.0.0.0/8', 'everywhere'],
  ],
  client_cidrs: [['10.20.0.0'], ['10.20.0.0/40'], ['10.20.0.1/16'], ['fd00::/8'], ['']],
  subnet_ids: [['subnet-1'], ['vpc-0a1b2c3d4e5f60718'], ['subnet-0a1b2c3d4e5f60718', '']],
  instance_profile: [
    '',
    'team/nodes',
    'arn:aws:iam::123456789012:instance-profile/n',
    'n'.repeat(129),
  ],
  backup: [
    { bucket: 'a', prefix: '', kms_key_id: null, permissions_boundary: null },
    { bucket: 'team.backups', prefix: '', kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: '/a', kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: 'a/../b', kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: 'a*', kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: null, kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: 'a'.repeat(201), kms_key_id: null, permissions_boundary: null },
    { bucket: 'backups', prefix: '', kms_key_id: 'alias/backups', permissions_boundary: null },
    { bucket: 'backups', prefix: '', kms_key_id: null, permissions_boundary: 'nodes' },
  ],
  restore_from: [
    { ...SOURCE, bucket: 'BACKUPS' },
    { ...SOURCE, prefix: 'a/' },
    { ...SOURCE, cluster: '*' },
    { ...SOURCE, cluster: 'orders/..' },
    { ...SOURCE, kms_key_id: 'alias/backups' },
    { ...SOURCE, permissions_boundary: 'nodes' },
  ],
  snapshots: [
    { keep: 0, time: '03:00', permissions_boundary: null },
    { keep: 1.5, time: '03:00', permissions_boundary: null },
    { keep: 1001, time: '03:00', permissions_boundary: null },
    { keep: 7, time: '24:00', permissions_boundary: null },
    { keep: 7, time: '3:00', permissions_boundary: null },
    { keep: 7, time: null, permissions_boundary: null },
    { keep: 7, time: '03:00', permissions_boundary: 'dlm' },
  ],
  final_snapshot: [null],
  rehearsal_of: ['', 'Orders', 'orders-', 'a'.repeat(41)],
  vpc_cidr: ['', '10.42.0.0', '10.42.0.0/15', '10.42.0.0/25', '10.42.1.0/16', 'fd00::/16'],
  data_volume_size: [0, -1, 10.5, 65537],
  data_volume_iops: [2999, 3000.5, 80001],
  data_volume_throughput: [124, 125.5, 2001],
  root_volume_size: [7, 8.5, 65537],
  kms_key_id: [
    '',
    '1234abcd-12ab-34cd-56ef-1234567890ab',
    'alias/postgres',
    'arn:aws:iam::123456789012:role/postgres',
    'arn:aws:kms:us-east-1:123456789012:key/',
  ],
  tags: [
    { Name: 'x' },
    { Node: 'x' },
    { SnapshotsOf: 'x' },
    { RehearsalOf: 'x' },
    { 'aws:x': 'y' },
    { AWS: 'fine', 'AWS:x': 'y' },
    { long: 'x'.repeat(257) },
  ],
};

/** Edge cases that must pass. */
const EDGES: readonly Values[] = [
  {
    cluster_name: 'a',
    replica_count: 0,
    kept_nodes: ['1', '16'],
    absent_nodes: ['1', '16'],
    started_nodes: ['1', '16'],
    ssh_via: 'instance-connect-endpoint',
    instance_connect_endpoint_id: 'eice-0a1b2c3d',
    instance_connect_endpoint_groups: ['sg-0a1b2c3d', 'sg-0a1b2c3d4e5f60718'],
    internet_via: 'nat-gateway',
    avoid_zones: ['us-gov-west-1a'],
    ssh_cidrs: ['0.0.0.0/0'],
    vpc_cidr: '10.0.0.0/24',
    data_volume_size: 1,
    data_volume_iops: 3000,
    data_volume_throughput: 125,
    backup: { bucket: 'abc', prefix: '', kms_key_id: null, permissions_boundary: null },
    snapshots: { keep: 1, time: '00:00', permissions_boundary: null },
    restore_from: {
      ...{ ...SOURCE, bucket: `a${'-'.repeat(61)}0`, prefix: 'a/b.c/_d', cluster: 'a' },
      kms_key_id: 'arn:aws:kms:us-east-1:123456789012:alias/team/backups',
      permissions_boundary: 'arn:aws:iam::aws:policy/AmazonS3FullAccess',
    },
    final_snapshot: false,
    rehearsal_of: 'a',
    kms_key_id: 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  },
  {
    cluster_name: `a${'-'.repeat(38)}0`,
    replica_count: 15,
    node_instance_types: { 1: 't2.small', 16: 't3.2xlarge' },
    root_volume_size: 8,
    data_volume_size: 65536,
    data_volume_iops: 80000,
    data_volume_throughput: 2000,
    kms_key_id: 'arn:aws:kms:us-east-1:123456789012:alias/team/postgres',
    backup: {
      bucket: 'team-backups',
      prefix: 'a'.repeat(200),
      kms_key_id: 'arn:aws:kms:us-east-1:123456789012:alias/team/backups',
      permissions_boundary: 'arn:aws:iam::aws:policy/AmazonS3FullAccess',
    },
    tags: { Team: '' },
  },
];

let lab: Lab;
let workspace: Workspace;

beforeAll(async () => {
  lab = await openLab('templates-validation');
  workspace = await lab.open('validation');
}, 120_000);

afterAll(() => lab.close());

describe('the validation of variables', () => {
  test('exists and is tested for every variable', () => {
    const variables = readVariables();
    expect([...variables].filter(([, { hasValidation }]) => !hasValidation)).toEqual([]);
    expect(Object.keys(BAD).sort()).toEqual([...variables.keys()].sort());
  });

  // One plan refuses one bad value of every variable, so a round costs as much as a single value.
  const rounds = Math.max(...Object.values(BAD).map((values) => values.length));
  test.each([...Array(rounds).keys()])('refuses bad values, round %i', async (round) => {
    const bad = Object.fromEntries(
      Object.entries(BAD).flatMap(([variable, values]) =>
        round < values.length ? [[variable, values[round]]] : [],
      ),
    );
    const { errors } = await planValues(workspace, { ...GOOD, ...bad });
    const refused = errors
      .filter(({ summary }) => summary === 'Invalid value for variable')
      .map(({ detail }) => /^(\w+) must/.exec(detail)?.[1] ?? detail);
    expect([...new Set(refused)].sort()).toEqual(Object.keys(bad).sort());
  });

  test.each(EDGES)('accepts $cluster_name', async (values) => {
    expect((await planValues(workspace, { ...GOOD, ...values })).errors).toEqual([]);
  });
});
