import { z } from 'zod';
import { OLDEST_MAJOR } from '../cluster/end-of-life.ts';
import { isWithinBounds } from '../cluster/settings/bounds.ts';
import { IMAGE_TAG, majorOfTag, parseRate } from '../cluster/spec.ts';
import { BACKENDS } from './backend.ts';
import { backupMap, restoreMap, snapshotsMap } from './backup-fields.ts';
import { parsePublicKey } from './public-key.ts';
import { REGIONS } from './regions.ts';
import {
  explain,
  explainBounds,
  folder,
  isClusterName,
  isVpcNetwork,
  label,
  list,
  MAX_NAME_LENGTH,
  matching,
  networks,
  text,
  wholeNumber,
} from './schema-fields.ts';
import { readTagLines, tagMap } from './tags.ts';

const MAX_REPLICAS = 15;

const SUBNET = /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/;
const ENDPOINT = /^eice-([0-9a-f]{8}|[0-9a-f]{17})$/;
const ZONE = /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/;
const IMAGE =
  /^([a-z0-9][a-z0-9.-]*(:\d+)?\/)?[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;

/**
 * The description of a cluster: every key of a cluster file, each value checked on its own. Inputs of the step have the
 * same names, with dashes; `decodeInput` converts their texts to these values.
 */
export const clusterSchema = z.strictObject({
  cluster_name: text(
    isClusterName,
    explain(
      `lower-case letters, digits and dashes, beginning with a letter and not with sg-, at most ${MAX_NAME_LENGTH} characters`,
      'orders-db',
    ),
    { pattern: '^(?!sg-)[a-z]([a-z0-9-]*[a-z0-9])?$', maxLength: MAX_NAME_LENGTH },
  ).optional(),
  instance_type: matching(
    /^[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)$/,
    explain('an EC2 instance type', 't3.medium'),
  ).optional(),
  replica_count: wholeNumber(0, MAX_REPLICAS, 2).optional(),
  region: z
    .enum(REGIONS as [string, ...string[]], {
      error: ({ input }) => {
        const alike = REGIONS.filter((region) => region.slice(0, 3) === String(input).slice(0, 3));
        const allowed =
          alike.length > 0 ? `one of ${alike.join(', ')}, …` : 'the code of an AWS region';
        return `Allowed: ${allowed}, e.g. us-east-1.`;
      },
    })
    .optional(),
  primary: matching(
    /^(node-[1-9]\d?)?$/,
    explain('the name of a node, or nothing to keep the present primary', 'node-2'),
  ).optional(),
  synchronous_replicas: wholeNumber(0, MAX_REPLICAS, 1).optional(),
  max_connections: z
    .number(explainBounds('max_connections'))
    .refine(
      (value) => Number.isInteger(value) && isWithinBounds('max_connections', String(value)),
      explainBounds('max_connections'),
    )
    .meta({ type: 'integer', minimum: 4 })
    .optional(),
  shared_buffers: text(
    (value) => /^[1-9]\d{0,9}(kB|MB|GB|TB)$/.test(value) && isWithinBounds('shared_buffers', value),
    explainBounds('shared_buffers'),
    { pattern: '^[1-9]\\d{0,9}(kB|MB|GB|TB)$' },
  ).optional(),
  // Checked setting by setting in settings-input.ts.
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  image: matching(
    IMAGE,
    explain('an image repository without tag', 'postgres or registry.example.com/team/postgres'),
  ).optional(),
  image_tag: text(
    (value) => IMAGE_TAG.test(value),
    explain(
      'letters, digits, dots, dashes and underscores, at most 128 characters, with or without @sha256: and 64 hexadecimal digits',
      '17 or 17.6-bookworm',
    ),
  )
    .refine((value) => (majorOfTag(value) ?? OLDEST_MAJOR) >= OLDEST_MAJOR, {
      error: `Allowed: PostgreSQL ${OLDEST_MAJOR} or later, e.g. 17.`,
    })
    // A file may say 17 without quotes.
    .meta({ type: ['string', 'number'], pattern: IMAGE_TAG.source })
    .optional(),
  ssh_user: matching(
    /^[a-z_][a-z0-9_-]{0,31}$/,
    explain('a user name of the image', 'admin'),
  ).optional(),
  ssh_public_key: z
    .string(explain('the line that ssh-keygen -y writes', 'ssh-ed25519 AAAA…'))
    .transform((value, context) => {
      const result = parsePublicKey(value);
      if ('key' in result) return result.key;
      context.addIssue({ code: 'custom', message: result.problem });
      return z.NEVER;
    })
    .optional(),
  ssh_cidrs: networks('203.0.113.0/24').optional(),
  client_cidrs: networks('10.0.0.0/16').optional(),
  subnet_ids: list(SUBNET, {
    test: (value) => SUBNET.test(value),
    allowed: 'ids of existing subnets',
    example: 'subnet-0a1b2c3d4e5f60718',
  }).optional(),
  ssh_via: z
    .enum(
      ['instance-connect-endpoint', 'direct'],
      explain('instance-connect-endpoint or direct', 'instance-connect-endpoint'),
    )
    .optional(),
  instance_connect_endpoint_id: matching(
    ENDPOINT,
    explain('the id of an existing EC2 Instance Connect Endpoint', 'eice-0a1b2c3d4e5f60718'),
  ).optional(),
  ssh_address: z.enum(['private', 'public'], explain('private or public', 'private')).optional(),
  internet_via: z
    .enum(
      ['public-addresses', 'nat-gateway'],
      explain('public-addresses or nat-gateway', 'nat-gateway'),
    )
    .optional(),
  avoid_zones: list(ZONE, {
    test: (value) => ZONE.test(value),
    allowed: 'availability zones',
    example: 'us-east-1e',
  }).optional(),
  dns_zone_id: matching(
    // Route 53 API Reference, "ResourceId": at most 32 characters.
    /^Z[0-9A-Z]{1,31}$/,
    explain('the id of a private Route 53 hosted zone', 'Z0123456789ABCDEFGHIJ'),
  ).optional(),
  instance_profile: matching(
    // IAM User Guide, "IAM and AWS STS quotas".
    /^[A-Za-z0-9_+=,.@-]{1,128}$/,
    explain('the name of an existing IAM instance profile, not its ARN', 'postgres-nodes'),
  ).optional(),
  vpc_cidr: text(
    isVpcNetwork,
    explain('an IPv4 network from /16 to /24 without host bits', '10.42.0.0/16'),
    { pattern: '^\\d{1,3}(\\.\\d{1,3}){3}/(1[6-9]|2[0-4])$' },
  ).optional(),
  // EBS User Guide, "General Purpose SSD volumes" (gp3), the limits since September 2025.
  data_volume_size: wholeNumber(1, 65_536, 500).optional(),
  data_volume_iops: wholeNumber(3_000, 80_000, 6_000).optional(),
  data_volume_throughput: wholeNumber(125, 2_000, 250).optional(),
  // The machine image requires 8 GiB.
  root_volume_size: wholeNumber(8, 65_536, 16).optional(),
  kms_key_id: matching(
    /^arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:\d{12}:(key\/[A-Za-z0-9-]{1,128}|alias\/[A-Za-z0-9/_-]{1,250})$/,
    explain(
      'the ARN of a KMS key',
      'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    ),
  ).optional(),
  tags: tagMap().optional(),
  backup: backupMap().optional(),
  restore: restoreMap().optional(),
  snapshots: snapshotsMap().optional(),
  clone_from: z.enum(['primary', 'replica'], explain('primary or replica', 'replica')).optional(),
  clone_max_rate: text(
    (value) => parseRate(value) !== null,
    explain('a rate per second from 32kB to 1GB', '50MB'),
    { pattern: '^[1-9]\\d{0,6}(kB|MB|GB)$' },
  ).optional(),
  storage_alert_percent: wholeNumber(1, 99, 80).optional(),
  wait_minutes: wholeNumber(1, 7_200, 330).optional(),
  backend: z
    .enum(
      BACKENDS as [string, ...string[]],
      explain(`a Terraform backend, one of ${BACKENDS.join(', ')}`, 's3'),
    )
    .optional(),
  // Checked argument by argument in backend.ts.
  backend_config: z.record(z.string(), z.unknown()).optional(),
  working_directory: folder('infrastructure/postgres').optional(),
  allow_destroy_label: label('to refuse always', 'allow-destroy').optional(),
  allow_collation_label: label('to refuse always', 'allow-collation-change').optional(),
  allow_slot_loss_label: label('to refuse always', 'allow-slot-loss').optional(),
  allow_plan_label: label('to plan no pull request of a fork', 'allow-plan').optional(),
  label_prefix: matching(
    /^([A-Za-z0-9][A-Za-z0-9 ._/:-]{0,29})?$/,
    explain(
      'letters, digits, spaces and . _ / : -, at most 30 characters, or nothing to set no labels',
      'postgres/',
    ),
  ).optional(),
  on_plan_change: z.enum(['fail', 'apply'], explain('fail or apply', 'fail')).optional(),
  comment: z.enum(['own', 'shared'], explain('own or shared', 'own')).optional(),
  terraform_binary: text(
    // It is started directly, without a shell.
    (value) => /^[^\p{Cc}]{0,4096}$/u.test(value),
    explain('a program on PATH or its path, or nothing to take what there is', 'tofu'),
    { maxLength: 4096 },
  ).optional(),
  require_signature: z.boolean(explain('true or false', 'true')).optional(),
});

/** A key of a cluster file. */
export type ClusterKey = keyof typeof clusterSchema.shape;

/** All keys of a cluster file, in the order of the contract. */
export const CLUSTER_KEYS = Object.keys(clusterSchema.shape) as readonly ClusterKey[];

/** Returns the name of the input for a key. */
export const nameInput = (key: ClusterKey): string => key.replaceAll('_', '-');

/** Returns the key for an input; null if a cluster file cannot have it. */
export function findKey(input: string): ClusterKey | null {
  const key = input.replaceAll('-', '_');
  return Object.hasOwn(clusterSchema.shape, key) ? (key as ClusterKey) : null;
}

/** How a value is written: one text, number or flag, a list, or a map with its own parser. */
export type Form = 'text' | 'number' | 'flag' | 'list' | 'map' | 'tags' | 'settings' | 'backend';

/** The form of each key. */
export const FORMS: Readonly<Record<ClusterKey, Form>> = {
  cluster_name: 'text',
  instance_type: 'text',
  replica_count: 'number',
  region: 'text',
  primary: 'text',
  synchronous_replicas: 'number',
  max_connections: 'number',
  shared_buffers: 'text',
  settings: 'settings',
  image: 'text',
  image_tag: 'text',
  ssh_user: 'text',
  ssh_public_key: 'text',
  ssh_cidrs: 'list',
  client_cidrs: 'list',
  subnet_ids: 'list',
  ssh_via: 'text',
  instance_connect_endpoint_id: 'text',
  ssh_address: 'text',
  internet_via: 'text',
  avoid_zones: 'list',
  dns_zone_id: 'text',
  instance_profile: 'text',
  vpc_cidr: 'text',
  data_volume_size: 'number',
  data_volume_iops: 'number',
  data_volume_throughput: 'number',
  root_volume_size: 'number',
  kms_key_id: 'text',
  tags: 'tags',
  backup: 'map',
  restore: 'map',
  snapshots: 'map',
  clone_from: 'text',
  clone_max_rate: 'text',
  storage_alert_percent: 'number',
  wait_minutes: 'number',
  backend: 'text',
  backend_config: 'backend',
  working_directory: 'text',
  allow_destroy_label: 'text',
  allow_collation_label: 'text',
  allow_slot_loss_label: 'text',
  allow_plan_label: 'text',
  label_prefix: 'text',
  on_plan_change: 'text',
  comment: 'text',
  terraform_binary: 'text',
  require_signature: 'flag',
};

/** Converts an input's text to the value that the schema checks. Text of another form stays text and fails the schema. */
export function decodeInput(key: ClusterKey, value: string): unknown {
  switch (FORMS[key]) {
    case 'number':
      return /^\d{1,9}$/.test(value) ? Number(value) : value;
    case 'flag':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'map':
      return readJson(value) ?? value;
    case 'list':
      return value.split(/[\s,]+/).filter(Boolean);
    case 'tags':
      return readTagLines(value) ?? value;
    default:
      return value;
  }
}

/** Parses JSON; undefined if the text is not JSON. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
