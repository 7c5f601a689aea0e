import { z } from 'zod';
import { OLDEST_MAJOR } from '../cluster/lifecycle.ts';
import { REGIONS } from '../cluster/regions.ts';
import { type BoundedSetting, describeBounds, isWithinBounds } from '../cluster/setting-bounds.ts';
import { IMAGE_TAG, majorOfTag } from '../cluster/spec.ts';
import { COMMANDS } from '../intent.ts';
import { quoteValue } from '../quote.ts';
import { BACKENDS } from './backend.ts';

const REPLICA_LIMIT = 15;
const CLUSTER_NAME_LENGTH = 40;
/** Bytes that a name in a path, and a whole path, may have on every file system that counts. */
const MOST_SEGMENT_BYTES = 255;
const MOST_PATH_BYTES = 1024;

/** A string that must match, with what is allowed and an example for the message. */
const text = (test: (value: string) => boolean, allowed: string, example: string) =>
  z.string().refine(test, { error: () => `Allowed: ${allowed}, e.g. ${example}.` });

const isWithin = (value: string, minimum: number, maximum: number): boolean =>
  /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum;

const wholeNumber = (minimum: number, maximum: number, example: number) =>
  text(
    (value) => isWithin(value, minimum, maximum),
    `a whole number from ${minimum} to ${maximum}`,
    String(example),
  ).transform(Number);

const list = (test: (value: string) => boolean, allowed: string, example: string) =>
  z
    .string()
    .transform((value) => [...new Set(value.split(/[\s,]+/).filter(Boolean))])
    .superRefine((values, context) => {
      for (const value of values) {
        if (!test(value)) {
          context.addIssue({
            code: 'custom',
            message: `Found ${quoteValue(value)} in the list. Allowed: ${allowed}, e.g. ${example}.`,
            params: { found: value },
          });
        }
      }
    });

/** The input of one setting, or nothing: what `form` matches, within the bounds that `settings` has for it, too. */
const setting = (name: BoundedSetting, form: RegExp) =>
  z.string().refine((value) => value === '' || (form.test(value) && isWithinBounds(name, value)), {
    error: () => `Allowed: ${describeBounds(name)}.`,
  });

/** Each input on its own: what it may say, and its typed value. */
export const inputSchema = z.object({
  command: text(
    (value) => (COMMANDS as readonly string[]).includes(value),
    COMMANDS.join(', '),
    'auto',
  ),
  fenced: text(
    (value) => /^(node-[1-9]\d?)?$/.test(value),
    'the name of the node that is down for good, or nothing to have the action see to it',
    'node-1',
  ),
  'cluster-name': text(
    // EC2 keeps names that begin with sg- for itself.
    (value) =>
      /^(?!sg-)[a-z]([a-z0-9-]*[a-z0-9])?$/.test(value) && value.length <= CLUSTER_NAME_LENGTH,
    `lower-case letters, digits and dashes, beginning with a letter and not with sg-, at most ${CLUSTER_NAME_LENGTH} characters`,
    'orders-db',
  ),
  'instance-type': text(
    (value) =>
      /^[a-z][a-z0-9-]*\.(nano|micro|small|medium|large|metal|\d*xlarge|metal-\d+xl)$/.test(value),
    'an EC2 instance type',
    't3.medium',
  ),
  'replica-count': wholeNumber(0, REPLICA_LIMIT, 2),
  region: z.string().superRefine((value, context) => {
    if (REGIONS.includes(value)) return;
    const alike = REGIONS.filter((region) => region.slice(0, 3) === value.slice(0, 3));
    const allowed =
      alike.length > 0 ? `one of ${alike.join(', ')}, …` : 'the code of an AWS region';
    context.addIssue({ code: 'custom', message: `Allowed: ${allowed}, e.g. us-east-1.` });
  }),
  primary: text(
    (value) => /^(node-[1-9]\d?)?$/.test(value),
    'the name of a node, or nothing to leave the primary where it is',
    'node-2',
  ),
  'synchronous-replicas': wholeNumber(0, REPLICA_LIMIT, 1),
  'max-connections': setting('max_connections', /^\d{1,9}$/),
  'shared-buffers': setting('shared_buffers', /^[1-9]\d{0,9}(kB|MB|GB|TB)$/),
  settings: z.string(),
  image: text(
    (value) =>
      /^([a-z0-9][a-z0-9.-]*(:\d+)?\/)?[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/.test(
        value,
      ),
    'an image repository without tag',
    'postgres or registry.example.com/team/postgres',
  ),
  'image-tag': text(
    (value) => IMAGE_TAG.test(value),
    'letters, digits, dots, dashes and underscores, at most 128 characters, with or without @sha256: and 64 hexadecimal digits',
    '17 or 17.6-bookworm',
  ).refine((value) => (majorOfTag(value) ?? OLDEST_MAJOR) >= OLDEST_MAJOR, {
    error: `Allowed: PostgreSQL ${OLDEST_MAJOR} or later, e.g. 17.`,
  }),
  'ssh-user': text(
    (value) => /^[a-z_][a-z0-9_-]{0,31}$/.test(value),
    'a user name of the image',
    'admin',
  ),
  'ssh-cidrs': list(isCidr, 'IPv4 networks in CIDR form without host bits', '203.0.113.0/24'),
  'client-cidrs': list(isCidr, 'IPv4 networks in CIDR form without host bits', '10.0.0.0/16'),
  'subnet-ids': list(
    (value) => /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/.test(value),
    'ids of existing subnets',
    'subnet-0a1b2c3d4e5f60718',
  ),
  backend: text(
    (value) => value === '' || BACKENDS.includes(value),
    `a Terraform backend, one of ${BACKENDS.join(', ')}`,
    's3',
  ),
  'backend-config': z.string(),
  'working-directory': text(
    isFolder,
    `a relative path inside the workspace of letters, digits, dots, dashes and underscores, without .., .git or .github, at most ${MOST_SEGMENT_BYTES} characters a name and ${MOST_PATH_BYTES} in all`,
    'infrastructure/postgres',
  ),
  'allow-destroy-label': text(
    (value) => value.length <= 50 && value === value.trim() && !/[\p{Cc}]/u.test(value),
    'the name of a label, at most 50 characters, or nothing to refuse always',
    'allow-destroy',
  ),
  'label-prefix': text(
    (value) => /^([A-Za-z0-9][A-Za-z0-9 ._/:-]{0,29})?$/.test(value),
    'letters, digits, spaces and . _ / : -, at most 30 characters, or nothing to set no labels',
    'postgres/',
  ),
  'on-plan-change': text(
    (value) => value === 'fail' || value === 'apply',
    'fail or apply',
    'fail',
  ).transform((value) => value as 'fail' | 'apply'),
  comment: text((value) => value === 'own' || value === 'shared', 'own or shared', 'own').transform(
    (value) => value as 'own' | 'shared',
  ),
  'terraform-binary': text(
    // It is started, not given to a shell.
    (value) => /^[^\p{Cc}]{0,4096}$/u.test(value),
    'a program on PATH or its path, or nothing to take what there is',
    'tofu',
  ),
  'review-key': text(
    (value) => value === '' || value.length >= 32,
    'at least 32 characters, or nothing for no signature',
    'the output of openssl rand -hex 32',
  ),
  'require-signature': text(
    (value) => value === 'true' || value === 'false',
    'true or false',
    'true',
  ).transform((value) => value === 'true'),
  'postgres-password': z.string(),
  'replication-password': z.string(),
  'ssh-private-key': z.string(),
  'github-token': z.string(),
});

/** What it allows is ASCII: a character is a byte. */
function isFolder(path: string): boolean {
  // It reaches ssh's command line through the inventory.
  if (!/^[A-Za-z0-9._/-]*$/.test(path) || path.startsWith('/')) return false;
  const names = path.split('/').map((name) => name.toLowerCase());
  return (
    path.length <= MOST_PATH_BYTES &&
    names.every((name) => name.length <= MOST_SEGMENT_BYTES) &&
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
