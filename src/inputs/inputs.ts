import type { z } from 'zod';
import { IMAGE_TAG, majorOfTag, nodeName } from '../cluster/spec.ts';
import { EFFECTS, nameLabel } from '../effect.ts';
import { COMMANDS, type Command, type Intent } from '../intent.ts';
import { quoteValue } from '../quote.ts';
import { readBackend } from './backend.ts';
import { findPlaceholder, hintInput } from './input-hint.ts';
import { inputSchema } from './input-schema.ts';
import type { Request } from './request.ts';
import { readBody } from './request-body.ts';
import { createRedactor, isSecretInput, listSecrets, SHORTEST_SECRET } from './secrets.ts';
import { readSettings } from './settings-input.ts';

/** The `with:` block as strings, by input name; an absent input is an empty string. */
export type RawInputs = Readonly<Record<string, string>>;

/** Input names, in the order of the contract. */
export const INPUT_NAMES = [...Object.keys(inputSchema.shape), 'request'];

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
  const parsed = inputSchema.safeParse(merged);
  const placeholders = findPlaceholders(merged);
  const shape = (parsed.error?.issues ?? [])
    .filter((issue) => !placeholders.has(String(issue.path[0])))
    .map((issue) => describeIssue(issue, { inputs: merged, sources: body.sources }));
  const backend = readBackend(merged);
  const replicaCount =
    inputSchema.shape['replica-count'].safeParse(merged['replica-count']).data ?? null;
  const settings = readSettings(merged, { sources: body.sources, replicaCount });
  const problems = [
    ...body.problems,
    ...placeholders.values(),
    ...shape,
    ...(replicaCount === null
      ? []
      : checkReplicas(merged, { sources: body.sources, replicaCount })),
    ...settings.problems,
    ...backend.problems,
    ...checkMajor(merged),
    ...checkLabels(merged),
    ...findMissing(merged, intent),
    ...checkPasswords(merged),
  ];
  if (!parsed.success || problems.length > 0) {
    return { request: null, problems: problems.map(createRedactor(listSecrets(merged))) };
  }

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
        primary: given.primary || null,
        synchronousReplicas: given['synchronous-replicas'],
        settings: settings.settings,
        sshCidrs: given['ssh-cidrs'],
        clientCidrs: given['client-cidrs'],
        subnetIds: given['subnet-ids'],
      },
      backend: { type: given.backend || 'local', config: backend.config },
      workingDirectory: chooseDirectory(given['working-directory'], given['cluster-name']),
      secrets: {
        postgresPassword: given['postgres-password'],
        replicationPassword: given['replication-password'],
        sshPrivateKey: given['ssh-private-key'],
        reviewKey: given['review-key'],
      },
      sshUser: given['ssh-user'],
      fenced: given.fenced || null,
      githubToken: given['github-token'],
      allowDestroyLabel: given['allow-destroy-label'] || null,
      labelPrefix: given['label-prefix'] || null,
      onPlanChange: given['on-plan-change'],
      comment: given.comment,
      terraformBinary: given['terraform-binary'] || null,
    },
  };
}

/** The working directory of a cluster; without one `given`, its own, so that clusters of one repository are apart. */
export function chooseDirectory(given: string, cluster: string): string {
  return given || `.postgres-cluster/${cluster}`;
}

/** An input that is not allowed, in words; a secret is not shown. */
function describeIssue(
  { path, message, ...issue }: z.core.$ZodIssue,
  { inputs, sources }: { inputs: RawInputs; sources: RawInputs },
): string {
  const input = String(path[0]);
  if (isSecretInput(input)) return `${input}: not allowed. ${message}`;
  const value = inputs[input] ?? '';
  // Of a list the part that is meant.
  const found = 'params' in issue ? String(issue.params?.found ?? value) : value;
  const hint = hintInput(input, found);
  return `${sources[input] ?? input}: ${quoteValue(value)} is not allowed. ${message}${hint === null ? '' : ` ${hint}`}`;
}

/** Inputs, by name, in which something of the example workflow was left as it is. */
function findPlaceholders(inputs: RawInputs): ReadonlyMap<string, string> {
  const names = ['ssh-cidrs', 'client-cidrs', 'subnet-ids', 'backend-config', 'image'];
  return new Map(
    names.flatMap((name) => {
      const placeholder = findPlaceholder(inputs[name] ?? '');
      return placeholder === null
        ? []
        : [
            [
              name,
              `${name}: still has the placeholder ${placeholder} of the example workflow. Put your own value there.`,
            ],
          ];
    }),
  );
}

/** What the run cannot do without, and only what it really needs. */
function findMissing(inputs: RawInputs, intent: Intent): string[] {
  const operation = intent.kind === 'operation' ? intent.operation : null;
  const deploys = intent.kind === 'deploy';
  const reviews = intent.kind === 'review' || intent.kind === 'drift';
  const plans = deploys || reviews || operation === 'plan' || operation === 'apply';
  const configures = deploys || operation === 'configure' || intent.kind === 'failover';
  const problems: string[] = [];
  const need = (name: string, why: string) => {
    if ((inputs[name] ?? '') === '') problems.push(`${name}: missing. ${why}`);
  };
  const withoutSecrets = 'withoutSecrets' in intent ? intent.withoutSecrets : null;
  const needSecret = (name: string, why: string) =>
    need(
      name,
      withoutSecrets === null
        ? why
        : `GitHub gives no secrets to ${withoutSecrets}. Deploy on push, and let a person merge.`,
    );
  if (configures) {
    const store = 'Keep it as a repository or environment secret';
    needSecret(
      'postgres-password',
      `The superuser gets it. ${store}, e.g. \${{ secrets.POSTGRES_PASSWORD }}.`,
    );
    needSecret(
      'replication-password',
      `Replicas log in with it. ${store}, e.g. \${{ secrets.REPLICATION_PASSWORD }}.`,
    );
  }
  if (intent.kind === 'deploy' || (intent.kind === 'review' && withoutSecrets === null)) {
    if (inputs['require-signature'] === 'true') {
      needSecret(
        'review-key',
        `require-signature is true, so what is reviewed must be signed. Keep the output of openssl rand -hex 32 as a secret that this job can read, e.g. \${{ secrets.REVIEW_KEY }}.`,
      );
    }
  }
  // A plan without secrets is made with a substitute key.
  if (configures || (plans && withoutSecrets === null)) {
    needSecret(
      'ssh-private-key',
      `${configures ? 'Ansible logs in with it' : 'Its public half goes into the key pair'}. Make one with ssh-keygen -t ed25519 and keep it as a secret, e.g. \${{ secrets.SSH_PRIVATE_KEY }}.`,
    );
  }
  if (reviews || deploys) {
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

/** Inputs that must fit the number of nodes. */
function checkReplicas(
  inputs: RawInputs,
  { sources, replicaCount }: { sources: RawInputs; replicaCount: number },
): string[] {
  const problems: string[] = [];
  const refuse = (name: string, allowed: string) =>
    problems.push(
      `${sources[name] ?? name}: ${quoteValue(inputs[name] ?? '')} is not allowed. Allowed: ${allowed}.`,
    );
  const primary = /^node-(\d+)$/.exec(inputs.primary ?? '')?.[1];
  if (primary !== undefined && Number(primary) > replicaCount + 1) {
    refuse(
      'primary',
      `node-1 to ${nodeName(replicaCount + 1)}, as replica-count is ${replicaCount}, e.g. node-1`,
    );
  }
  const synchronous = inputs['synchronous-replicas'] ?? '';
  if (/^\d{1,9}$/.test(synchronous) && Number(synchronous) > replicaCount) {
    refuse(
      'synchronous-replicas',
      `at most replica-count, which is ${replicaCount}, as writes would wait for ever, e.g. ${Math.min(1, replicaCount)}`,
    );
  }
  return problems;
}

/** A label that allows something is a person's to set. */
function checkLabels(inputs: RawInputs): string[] {
  const prefix = inputs['label-prefix'] ?? '';
  const consent = (inputs['allow-destroy-label'] ?? '').toLowerCase();
  const isTaken = EFFECTS.some((effect) => nameLabel(prefix, effect).toLowerCase() === consent);
  if (prefix === '' || !isTaken) return [];
  return [
    `label-prefix: ${quoteValue(prefix)} is not allowed. With it the action would set the label ${quoteValue(consent)} itself, by which people allow that data is destroyed (allow-destroy-label). Choose another, e.g. postgres/.`,
  ];
}

/** The official image's tags begin with the major version; other repositories name theirs as they like. */
function checkMajor(inputs: RawInputs): string[] {
  const tag = inputs['image-tag'] ?? '';
  if (inputs.image !== 'postgres' || majorOfTag(tag) !== null) return [];
  if (!IMAGE_TAG.test(tag)) return [];
  return [
    `image-tag: ${quoteValue(tag)} is not allowed. Allowed: a tag of the image postgres that begins with its major version, so that a new major never arrives unasked, e.g. 17.`,
  ];
}

/**
 * Values that are sent to PostgreSQL must survive its passfile and SASLprep (RFC 4013) unchanged, and what is masked
 * must not be a word of ordinary texts: masking `e` or `postgres` would shred the log and the comment.
 */
function checkPasswords(inputs: RawInputs): string[] {
  return ['postgres-password', 'replication-password'].flatMap((name) => {
    const value = inputs[name] ?? '';
    if (!/^[\x20-\x7e]*$/.test(value)) {
      return [
        `${name}: holds characters outside printable ASCII. Use letters, digits and punctuation.`,
      ];
    }
    return value === '' || value.trim().length >= SHORTEST_SECRET
      ? []
      : [
          `${name}: too short. Allowed: at least ${SHORTEST_SECRET} characters, e.g. the output of openssl rand -base64 24.`,
        ];
  });
}
