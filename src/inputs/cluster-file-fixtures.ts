import type { Intent } from '../runner/intent.ts';
import { type ClusterFile, parseClusterFile } from './cluster-file.ts';
import type { FileOrigin } from './file-origin.ts';
import { createStep, DEPLOY } from './input-fixtures.ts';
import { type InputResult, readInputs } from './read-inputs.ts';
import type { RawInputs } from './step-inputs.ts';

/** Path of the file. */
export const CLUSTER_FILE_PATH = 'clusters/orders.yml';

/** A public key. */
export const KEY_A =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
/** Another one. */
export const KEY_B =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC';

/** A file with every key, each with another value than the default. */
export const FULL_FILE = `# yaml-language-server: $schema=…
cluster_name: orders
instance_type: t3.large
replica_count: 3
region: eu-central-1
primary: node-2
synchronous_replicas: 1
max_connections: 200
shared_buffers: 1GB
settings:
  work_mem: 8MB
  jit: off
  random_page_cost: 1.10
  log_line_prefix: '%m [%p] '
image: ghcr.io/acme/postgres
image_tag: 17.10
ssh_user: debian
ssh_public_key: ${KEY_A} orders
ssh_cidrs: [203.0.113.0/24]
client_cidrs:
  - 10.0.0.0/16
  - 10.1.0.0/16
subnet_ids:
  - subnet-0a1b2c3d4e5f60718
ssh_via: instance-connect-endpoint
instance_connect_endpoint_id: eice-0a1b2c3d4e5f60718
ssh_address: private
internet_via: nat-gateway
avoid_zones: [eu-central-1c]
dns_zone_id: Z0123456789ABCDEFGHIJ
instance_profile: postgres-nodes
vpc_cidr: 10.1.0.0/20
data_volume_size: 500
data_volume_iops: 6000
data_volume_throughput: 250
root_volume_size: 20
kms_key_id: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
tags:
  Team: orders
  Cost center: 0042
backup:
  bucket: acme-backups
  prefix: production
  schedule:
    time: 03:15
restore:
  from:
    bucket: acme-backups
    cluster: sales
  time: 2026-11-26T05:12:00Z
snapshots:
  keep: 3
  time: 04:15
clone_from: replica
clone_max_rate: 50MB
storage_alert_percent: 90
wait_minutes: 60
backend: s3
backend_config:
  bucket: states
  key: postgres/orders.tfstate
  region: eu-central-1
  assume_role:
    role_arn: arn:aws:iam::123456789012:role/states
working_directory: infrastructure/orders
allow_destroy_label: may-destroy
allow_collation_label: may-sort
allow_slot_loss_label: may-lose
allow_plan_label: may-plan
label_prefix: db/
on_plan_change: apply
comment: shared
terraform_binary: tofu
require_signature: false
`;

/** Parses a file as if it came from the repository. */
export const parseFile = (text: string | Buffer): Promise<ClusterFile> =>
  parseClusterFile(CLUSTER_FILE_PATH, Buffer.from(text));

/** Step inputs beside a file: secrets. */
const BARE: RawInputs = { 'ssh-cidrs': '', backend: '', 'backend-config': '' };

/**
 * Reads the inputs of a run with this file. `existing` makes it a pull request's, `before` a merge's: the default
 * branch's file, or the file before the merge (null if there is none).
 */
export async function readInputsFromFile(
  text: string | Buffer,
  options: {
    step?: RawInputs;
    intent?: Intent;
    existing?: string | null;
    before?: string | null;
  } = {},
): Promise<InputResult> {
  const { step = {}, intent = DEPLOY, existing, before } = options;
  const file = await parseFile(text);
  const read = async (other: string | null) => (other === null ? null : await parseFile(other));
  const origin: FileOrigin =
    existing !== undefined
      ? { kind: 'proposed', branch: 'main', existing: await read(existing) }
      : before !== undefined
        ? { kind: 'merged', before: await read(before) }
        : { kind: 'default-branch' };
  return readInputs({ step: createStep({ ...BARE, ...step }), file: { file, origin } }, intent);
}

/** The required keys only. */
export const MINIMAL_FILE = `cluster_name: orders
ssh_cidrs: [203.0.113.0/24]
backend: local
`;
