import { z } from 'zod';
import { OLDEST_MAJOR } from '../cluster/end-of-life.ts';
import { type BoundedSetting, describeBounds, isWithinBounds } from '../cluster/settings/bounds.ts';
import { IMAGE_TAG, majorOfTag } from '../cluster/spec.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { BACKENDS } from './backend.ts';
import { parsePublicKey } from './public-key.ts';
import { REGIONS } from './regions.ts';

const MAX_REPLICAS = 15;
const MAX_NAME_LENGTH = 40;
/** Bytes that a name in a path, and a whole path, may have on every file system that counts. */
const MAX_SEGMENT_BYTES = 255;
const MAX_PATH_BYTES = 1024;

/** What a value may be, as a message says it after "Allowed: ". */
const explain = (allowed: string, example: string) => ({
  error: () => `Allowed: ${allowed}, e.g. ${example}.`,
});

type Explanation = ReturnType<typeof explain>;

/** A text that passes the test; `json` is as much of the test as JSON Schema can say. */
const text = (
  test: (value: string) => boolean,
  allowed: Explanation,
  json: Readonly<Record<string, unknown>> = {},
) => z.string(allowed).refine(test, allowed).meta(json);

const matching = (pattern: RegExp, allowed: Explanation) =>
  text((value) => pattern.test(value), allowed, { pattern: pattern.source });

const wholeNumber = (minimum: number, maximum: number, example: number) => {
  const allowed = explain(`a whole number from ${minimum} to ${maximum}`, String(example));
  return z
    .number(allowed)
    .refine((value) => Number.isInteger(value) && value >= minimum && value <= maximum, allowed)
    .meta({ type: 'integer', minimum, maximum });
};

/** A list of what passes `test`, of which `pattern` is what JSON Schema can say. */
const list = (
  pattern: RegExp,
  {
    test,
    allowed,
    example,
  }: { test: (value: string) => boolean; allowed: string; example: string },
) =>
  z
    .array(z.string(explain(allowed, example)).meta({ pattern: pattern.source }), {
      error: () => `Allowed: a list of ${allowed}, e.g. [${example}].`,
    })
    .superRefine((values, context) => {
      for (const [index, found] of values.entries()) {
        if (test(found)) continue;
        context.addIssue({
          code: 'custom',
          message: `Found ${quoteValue(found)} in the list. Allowed: ${allowed}, e.g. ${example}.`,
          params: { found },
          path: [index],
        });
      }
    })
    .transform((values) => [...new Set(values)]);

const CIDR = /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/;
const networks = (example: string) =>
  list(CIDR, {
    test: isCidr,
    allowed: 'IPv4 networks in CIDR form without host bits',
    example,
  });

const SUBNET = /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/;
const IMAGE =
  /^([a-z0-9][a-z0-9.-]*(:\d+)?\/)?[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;

/** Bounds are those that `settings` has for it, too. */
const explainBounds = (name: BoundedSetting) => ({
  error: () => `Allowed: ${describeBounds(name)}.`,
});

/** A label, or nothing. */
const label = (nothing: string, example: string) =>
  text(
    (value) => value.length <= 50 && value === value.trim() && !/\p{Cc}/u.test(value),
    explain(`the name of a label, at most 50 characters, or nothing ${nothing}`, example),
    { maxLength: 50 },
  );

/**
 * What describes a cluster: every key of a cluster file, each value on its own. Inputs of the step have the same
 * names, with dashes; `decodeInput` makes these values of their texts.
 */
export const clusterSchema = z.strictObject({
  cluster_name: text(
    // EC2 keeps names that begin with sg- for itself.
    (value) => /^(?!sg-)[a-z]([a-z0-9-]*[a-z0-9])?$/.test(value) && value.length <= MAX_NAME_LENGTH,
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
    explain('the name of a node, or nothing to leave the primary where it is', 'node-2'),
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
  // Read setting by setting; see settings-input.ts.
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
    // In a file 17 needs no quotes.
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
  instance_profile: matching(
    // IAM User Guide, "IAM and AWS STS quotas".
    /^[A-Za-z0-9_+=,.@-]{1,128}$/,
    explain('the name of an existing IAM instance profile, not its ARN', 'postgres-nodes'),
  ).optional(),
  backend: z
    .enum(
      BACKENDS as [string, ...string[]],
      explain(`a Terraform backend, one of ${BACKENDS.join(', ')}`, 's3'),
    )
    .optional(),
  // Read argument by argument; see backend.ts.
  backend_config: z.record(z.string(), z.unknown()).optional(),
  working_directory: text(
    isFolder,
    explain(
      `a relative path inside the workspace of letters, digits, dots, dashes and underscores, without .., .git or .github, at most ${MAX_SEGMENT_BYTES} characters a name and ${MAX_PATH_BYTES} in all`,
      'infrastructure/postgres',
    ),
    { maxLength: MAX_PATH_BYTES },
  ).optional(),
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
    // It is started, not given to a shell.
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

/** The name of a key among the inputs of the step. */
export const nameInput = (key: ClusterKey): string => key.replaceAll('_', '-');

/** The key behind the name of an input; null where no file has it. */
export function findKey(input: string): ClusterKey | null {
  const key = input.replaceAll('-', '_');
  return Object.hasOwn(clusterSchema.shape, key) ? (key as ClusterKey) : null;
}

/** How a value is written: as one text, number or flag, as a list, or as a map with a reader of its own. */
export type Form = 'text' | 'number' | 'flag' | 'list' | 'settings' | 'backend';

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
  instance_profile: 'text',
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

/**
 * Makes of an input's text the value that the schema checks. What is none of that form stays a text, which the schema
 * then refuses.
 */
export function decodeInput(key: ClusterKey, value: string): unknown {
  switch (FORMS[key]) {
    case 'number':
      return /^\d{1,9}$/.test(value) ? Number(value) : value;
    case 'flag':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'list':
      return value.split(/[\s,]+/).filter(Boolean);
    default:
      return value;
  }
}

/** What it allows is ASCII: a character is a byte. */
function isFolder(path: string): boolean {
  // It reaches ssh's command line through the inventory.
  if (!/^[A-Za-z0-9._/-]*$/.test(path) || path.startsWith('/')) return false;
  const names = path.split('/').map((name) => name.toLowerCase());
  return (
    path.length <= MAX_PATH_BYTES &&
    names.every((name) => name.length <= MAX_SEGMENT_BYTES) &&
    // What lies there is Git's, or runs in workflows. Some file systems do not tell letter case apart.
    !names.some((name) => ['..', '.git', '.github'].includes(name))
  );
}

function isCidr(value: string): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(value);
  if (!match) return false;
  // Some programs read a leading zero as octal.
  if (match.slice(1).some((part) => /^0\d/.test(part))) return false;
  const [a, b, c, d, prefix] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if ([a, b, c, d].some((octet) => octet > 255) || prefix > 32) return false;
  const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  // EC2 rejects rules with host bits set.
  return (
    prefix === 32 || (prefix === 0 ? address === 0 : (address & (0xffffffff >>> prefix)) === 0)
  );
}
