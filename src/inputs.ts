import { z } from 'zod';
import { readBackend } from './backend.ts';
import { OLDEST_MAJOR } from './cluster/lifecycle.ts';
import { REGIONS } from './cluster/regions.ts';
import { parseMemory } from './cluster/settings.ts';
import { majorOfTag } from './cluster/spec.ts';
import { COMMANDS, type Command, type Intent } from './intent.ts';
import { quoteValue } from './quote.ts';
import type { Request } from './request.ts';
import { readBody } from './request-body.ts';

/** The `with:` block as strings, by input name; an absent input is an empty string. */
export type RawInputs = Readonly<Record<string, string>>;

const REPLICA_LIMIT = 15;
const CLUSTER_NAME_LENGTH = 40;
const MIN_SHARED_BUFFERS = 128 * 1024;
/** `shared_buffers` counts 8 kB pages in a 31-bit number. */
const MAX_SHARED_BUFFERS = (2 ** 30 - 1) * 8192;
/** PostgreSQL keeps three connections for superusers and wants at least one beside them. */
const MIN_CONNECTIONS = 4;
const MAX_CONNECTIONS = 262_143;

/** A string that must match, with what is allowed and an example for the message. */
const text = (test: (value: string) => boolean, allowed: string, example: string) =>
  z.string().refine(test, { error: () => `Allowed: ${allowed}, e.g. ${example}.` });

const wholeNumber = (minimum: number, maximum: number, example: number) =>
  text(
    (value) => /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum,
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
          });
        }
      }
    });

const schema = z.object({
  command: text(
    (value) => (COMMANDS as readonly string[]).includes(value),
    COMMANDS.join(', '),
    'auto',
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
  'max-connections': wholeNumber(MIN_CONNECTIONS, MAX_CONNECTIONS, 200),
  'shared-buffers': text(
    (value) => {
      const bytes = /^\d{1,10}(kB|MB|GB|TB)$/.test(value) ? parseMemory(value) : null;
      return bytes !== null && bytes >= MIN_SHARED_BUFFERS && bytes <= MAX_SHARED_BUFFERS;
    },
    'a whole number with a unit (kB, MB, GB or TB; PostgreSQL is case-sensitive about them), 128kB to 8191GB',
    '256MB',
  ),
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
  'postgres-password': z.string(),
  'replication-password': z.string(),
  'ssh-private-key': z.string(),
  'github-token': z.string(),
});

/** Input names, in the order of the contract. */
export const INPUT_NAMES = [...Object.keys(schema.shape), 'request'];

/** A request, or every problem found in it. */
export type InputResult =
  | { readonly request: Request; readonly problems: readonly [] }
  | { readonly request: null; readonly problems: readonly string[] };

/** The command, or null when it is not one (which `readRequest` reports with all else). */
export function readCommand(inputs: RawInputs): Command | null {
  const command = inputs.command ?? '';
  return (COMMANDS as readonly string[]).includes(command) ? (command as Command) : null;
}

/**
 * Checks all inputs at once, in the light of what the run is for: secrets are asked for only where they
 * are needed. Nothing is written, started or sent.
 */
export function readRequest(inputs: RawInputs, intent: Intent): InputResult {
  const body = readBody(inputs.request ?? '', intent);
  const merged: Record<string, string> = { ...inputs, ...body.values };
  const parsed = schema.safeParse(merged);
  const shape = parsed.success
    ? []
    : parsed.error.issues.map((issue) => {
        const input = String(issue.path[0]);
        return `${body.sources[input] ?? input}: ${quoteValue(merged[input] ?? '')} is not allowed. ${issue.message}`;
      });
  const backend = readBackend(merged);
  const problems = [
    ...body.problems,
    ...shape,
    ...backend.problems,
    ...checkMajor(merged),
    ...findMissing(merged, intent),
    ...checkPasswords(merged),
  ];
  if (!parsed.success || problems.length > 0) return { request: null, problems };

  const given = parsed.data;
  return {
    problems: [],
    request: {
      spec: {
        name: given['cluster-name'],
        region: given.region,
        instanceType: given['instance-type'],
        replicaCount: given['replica-count'],
        image: given.image,
        imageTag: given['image-tag'],
        settings: {
          max_connections: String(given['max-connections']),
          shared_buffers: given['shared-buffers'],
        },
        sshCidrs: given['ssh-cidrs'],
        clientCidrs: given['client-cidrs'],
        subnetIds: given['subnet-ids'],
      },
      backend: { type: given.backend || 'local', config: backend.config },
      // The default keeps several clusters of one repository apart.
      workingDirectory: given['working-directory'] || `.postgres-cluster/${given['cluster-name']}`,
      secrets: {
        postgresPassword: given['postgres-password'],
        replicationPassword: given['replication-password'],
        sshPrivateKey: given['ssh-private-key'],
      },
      sshUser: given['ssh-user'],
      githubToken: given['github-token'],
    },
  };
}

/** What the run cannot do without, and only what it really needs. */
function findMissing(inputs: RawInputs, intent: Intent): string[] {
  const operation = intent.kind === 'operation' ? intent.operation : null;
  const deploys = intent.kind === 'deploy';
  const plans =
    deploys || intent.kind === 'review' || operation === 'plan' || operation === 'apply';
  const configures = deploys || operation === 'configure';
  const problems: string[] = [];
  const need = (name: string, why: string) => {
    if ((inputs[name] ?? '') === '') problems.push(`${name}: missing. ${why}`);
  };
  if (configures) {
    const store = 'Keep it as a repository or environment secret';
    need(
      'postgres-password',
      `The superuser gets it. ${store}, e.g. \${{ secrets.POSTGRES_PASSWORD }}.`,
    );
    need(
      'replication-password',
      `Replicas log in with it. ${store}, e.g. \${{ secrets.REPLICATION_PASSWORD }}.`,
    );
  }
  // GitHub gives no secret to a fork's pull request.
  const fromFork = intent.kind === 'review' && intent.fromFork;
  if ((plans || configures) && !fromFork) {
    need(
      'ssh-private-key',
      `${configures ? 'Ansible logs in with it' : 'Its public half goes into the key pair'}. Make one with ssh-keygen -t ed25519 and keep it as a secret, e.g. \${{ secrets.SSH_PRIVATE_KEY }}.`,
    );
  }
  if (intent.kind === 'review' || deploys) {
    need(
      'ssh-cidrs',
      'Without it nobody, the runner included, reaches port 22 to configure the nodes. Name the networks your runners come from, e.g. 203.0.113.0/24.',
    );
  }
  if (plans || configures) {
    need(
      'backend',
      'Terraform would keep its state in a file of the workspace, which a hosted runner throws away and actions/checkout cleans, so the next run would build a second cluster. Name a backend, e.g. backend: s3 with backend-config: bucket = "…"; to use a local file all the same say backend: local.',
    );
  }
  return problems;
}

/** The official image's tags begin with the major version; other repositories name theirs as they like. */
function checkMajor(inputs: RawInputs): string[] {
  const tag = inputs['image-tag'] ?? '';
  if (inputs.image !== 'postgres' || majorOfTag(tag) !== null) return [];
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(tag)) return [];
  return [
    `image-tag: ${quoteValue(tag)} is not allowed. Allowed: a tag of the image postgres that begins with its major version, so that a new major never arrives unasked, e.g. 17.`,
  ];
}

/** Values that are sent to PostgreSQL must survive its passfile and SASLprep (RFC 4013) unchanged. */
function checkPasswords(inputs: RawInputs): string[] {
  return ['postgres-password', 'replication-password'].flatMap((name) =>
    /^[\x20-\x7e]*$/.test(inputs[name] ?? '')
      ? []
      : [`${name}: holds characters outside printable ASCII. Use letters, digits and punctuation.`],
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
