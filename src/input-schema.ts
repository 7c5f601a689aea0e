import { z } from 'zod';
import { OLDEST_MAJOR } from './cluster/lifecycle.ts';
import { REGIONS } from './cluster/regions.ts';
import { parseInteger } from './cluster/setting-value.ts';
import { majorOfTag } from './cluster/spec.ts';
import { COMMANDS } from './intent.ts';
import { quoteValue } from './quote.ts';

const REPLICA_LIMIT = 15;
const CLUSTER_NAME_LENGTH = 40;
/** `shared_buffers` counts 8 kB pages. */
const MIN_SHARED_BUFFERS = 16;
const MAX_SHARED_BUFFERS = 2 ** 30 - 1;
/** PostgreSQL keeps three connections for superusers and wants at least one beside them. */
const MIN_CONNECTIONS = 4;
const MAX_CONNECTIONS = 262_143;

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

const optionalNumber = (minimum: number, maximum: number, example: number) =>
  text(
    (value) => value === '' || isWithin(value, minimum, maximum),
    `a whole number from ${minimum} to ${maximum}`,
    String(example),
  ).transform((value) => (value === '' ? null : Number(value)));

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
          });
        }
      }
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
  'max-connections': optionalNumber(MIN_CONNECTIONS, MAX_CONNECTIONS, 200),
  'shared-buffers': text(
    (value) => {
      if (value === '') return true;
      const pages = /^[1-9]\d{0,9}(kB|MB|GB|TB)$/.test(value) ? parseInteger(value, '8kB') : null;
      return pages !== null && pages >= MIN_SHARED_BUFFERS && pages <= MAX_SHARED_BUFFERS;
    },
    'a whole number with a unit (kB, MB, GB or TB; PostgreSQL is case-sensitive about them), 128kB to 8191GB',
    '256MB',
  ),
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
    (value) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(value),
    'letters, digits, dots, dashes and underscores, at most 128 characters',
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
  backend: text((value) => /^[a-z0-9]*$/.test(value), "a Terraform backend's name", 's3'),
  'backend-config': z.string(),
  'working-directory': text(
    // It reaches ssh's command line through the inventory.
    (value) => /^[A-Za-z0-9._/-]*$/.test(value) && !/^\/|(^|\/)\.\.(\/|$)/.test(value),
    'a relative path inside the workspace of letters, digits, dots, dashes and underscores',
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
  'postgres-password': z.string(),
  'replication-password': z.string(),
  'ssh-private-key': z.string(),
  'github-token': z.string(),
});

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
