import type { z } from 'zod';
import { IMAGE_TAG, majorOfTag, nodeName } from '../cluster/spec.ts';
import { EFFECTS, nameLabel } from '../effect.ts';
import { COMMANDS, type Command, type Intent } from '../intent.ts';
import { quoteValue } from '../quote.ts';
import { checkBackend, completeBackend, type GivenBackend } from './backend.ts';
import { callSchema } from './call-schema.ts';
import type { ClusterFile } from './cluster-file.ts';
import { type ClusterKey, clusterSchema, FORMS, nameInput } from './cluster-schema.ts';
import {
  type Combined,
  combine,
  type Description,
  type Given,
  giveFile,
  giveInputs,
} from './given.ts';
import { holdBack } from './held-keys.ts';
import { findPlaceholder, hintInput } from './input-hint.ts';
import { parsePublicKey } from './public-key.ts';
import type { Request } from './request.ts';
import { nameBodyKey, readBodies } from './request-body.ts';
import { createRedactor, isSecretInput, listSecrets, SHORTEST_SECRET } from './secrets.ts';
import { readSettings } from './settings-input.ts';
import { listValues, type RawInputs, type StepInputs } from './step.ts';

/** The cluster file of a run. */
export interface FileInput {
  /** At the commit that the run is for. */
  readonly file: ClusterFile;
  /** Of a pull request, whose values somebody else wrote; null: nobody but who may merge did. */
  readonly proposal: {
    /** Short name of the default branch. */
    readonly branch: string;
    /** The file there; null where there is none. */
    readonly standing: ClusterFile | null;
  } | null;
}

/** What tells a cluster's comment apart, as far as it is valid. */
export interface ClusterLabel {
  readonly name: string;
  readonly workingDirectory: string;
  /** Null where the inputs do not say it. */
  readonly region: string | null;
  readonly shared: boolean;
  readonly labelPrefix: string | null;
}

/** A request, or every problem found in it. */
export type InputResult =
  | {
      readonly request: Request;
      readonly problems: readonly [];
      /** What a plan takes from elsewhere than from the pull request, a sentence each. */
      readonly notes: readonly string[];
    }
  | {
      readonly request: null;
      readonly problems: readonly string[];
      /** Null where too little of it is valid. */
      readonly cluster: ClusterLabel | null;
    };

/** The command, or null when it is not one (which `readRequest` reports with all else). */
export function readCommand(inputs: RawInputs): Command | null {
  const command = inputs.command ?? '';
  return (COMMANDS as readonly string[]).includes(command) ? (command as Command) : null;
}

/**
 * Checks all inputs at once, in the light of what the run is for: secrets are asked for only where they
 * are needed. Nothing is written, started or sent.
 */
export function readRequest(
  { step, file }: { step: StepInputs; file: FileInput | null },
  intent: Intent,
): InputResult {
  const values = listValues(step);
  const bodies = readBodies(values.request ?? '', intent);
  const fenced = readFenced({ ...values, ...bodies.request.values, ...bodies.event.values });
  const call = { ...values, ...fenced };
  const places = {
    event: giveInputs(bodies.event.values, {
      source: 'event',
      name: (input) => nameBodyKey('client_payload', input),
    }),
    request: giveInputs(bodies.request.values, {
      source: 'request',
      name: (input) => nameBodyKey('request', input),
    }),
    step: giveInputs(step.given, { source: 'step', name: (input) => input }),
    defaults: giveInputs(step.defaults, { source: 'default', name: (input) => input }),
  };
  const describe = (described: Description): Combined =>
    combine([places.event, described, places.request, places.step], withoutEmpty(places.defaults));
  const whole = describe(file === null ? new Map() : giveFile(file.file));
  const plan = file?.proposal ? holdProposal(file, { step: places.step }) : null;
  const used = plan === null ? whole : describe(plan.description);

  const context = { call, intent, path: file?.file.path ?? null };
  const problems = [
    ...(file?.file.problems ?? []),
    ...bodies.request.problems,
    ...bodies.event.problems,
    ...(plan?.problems ?? []),
    ...check(whole, context),
  ];
  // What the default branch's file has wrong is worth saying where the pull request's own is right.
  if (problems.length === 0 && plan !== null) problems.push(...check(used, context));
  if (problems.length > 0) {
    const redact = createRedactor([...listSecrets(values), ...(file?.file.secrets ?? [])]);
    return {
      request: null,
      problems: problems.map(redact),
      cluster: labelCluster(used.description),
    };
  }
  return {
    problems: [],
    notes: plan?.notes ?? [],
    request: makeRequest(used.description, { call, blank: plan?.blank ?? false }),
  };
}

/** What tells the comment of a cluster apart, from the step and the default branch's file alone. */
export function readLabel(trusted: {
  step: StepInputs;
  file: ClusterFile | null;
}): ClusterLabel | null {
  return labelCluster(describeTrusted(trusted));
}

/** The label that asks for the plan of a fork's pull request, from the same; null: none does. */
export function readPlanLabel(trusted: {
  step: StepInputs;
  file: ClusterFile | null;
}): string | null {
  return readValue(describeTrusted(trusted), 'allow_plan_label') || null;
}

function describeTrusted({
  step,
  file,
}: {
  step: StepInputs;
  file: ClusterFile | null;
}): Description {
  const places = [
    file === null ? new Map() : giveFile(file),
    giveInputs(step.given, { source: 'step', name: (input) => input }),
  ];
  const defaults = giveInputs(step.defaults, { source: 'default', name: (input) => input });
  return combine(places, withoutEmpty(defaults)).description;
}

/** An empty default says nothing. */
function withoutEmpty(defaults: Description): Description {
  return new Map([...defaults].filter(([, { shown }]) => shown !== null && shown !== '""'));
}

const readFenced = ({ fenced = '' }: RawInputs): RawInputs => ({ fenced });

/** What the plan of a pull request may use of its file, and what it is told about the rest. */
interface Proposal {
  readonly description: Description;
  readonly blank: boolean;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

function holdProposal(
  { file, proposal }: FileInput,
  { step }: { step: Description },
): Proposal | null {
  if (proposal === null) return null;
  const { branch, standing } = proposal;
  const { path } = file;
  const blank = standing === null && !step.has('backend');
  const { description, held } = holdBack(giveFile(file), {
    standing: standing && giveFile({ ...standing, path: `${path} on ${branch}` }),
    blank,
  });
  const problems = (standing?.problems ?? [])
    .slice(0, 1)
    .map(
      (problem) =>
        `${path} on ${branch} cannot be read, so it does not say what a plan must not take from the pull request (${problem.slice(path.length)}). Correct it on ${branch} first.`,
    );
  const notes = [
    ...(blank
      ? [
          `${path} is new: ${branch} has no such file. The plan is one of a new cluster. No backend was asked; the merge asks the one that the file names, and stops if it finds anything there.`,
        ]
      : []),
    ...(held.length === 0
      ? []
      : [
          `${path} changes ${held.join(', ')}. The plan was made ${standing === null ? 'without that' : `with what ${branch} says`}, since these values decide what a plan may reach and do. The merge uses the new ${held.length === 1 ? 'value' : 'values'}, and stops where its plan is another one then.`,
        ]),
  ];
  return { description, blank, problems, notes };
}

/** Everything that is wrong with a description. */
function check(
  combined: Combined,
  { call, intent, path }: { call: RawInputs; intent: Intent; path: string | null },
): string[] {
  const { description, counting } = combined;
  const all: readonly (readonly [ClusterKey, Given])[] = [
    ...counting,
    ...[...description].filter(([, { source }]) => source === 'default'),
  ];
  const placeholders = all.flatMap(([key, given]) => {
    const placeholder = PLACED.includes(key) ? findPlaceholder(readTexts(given)) : null;
    return placeholder === null
      ? []
      : [
          {
            given,
            text: `${given.name}: still has the placeholder ${placeholder} of the example workflow. Put your own value there.`,
          },
        ];
  });
  const filled = all.filter(([, given]) => !placeholders.some((one) => one.given === given));
  const replicaCount = readValue(description, 'replica_count');
  const settings = readSettings(description, replicaCount);
  return [
    ...placeholders.map(({ text }) => text),
    ...sortByKey(filled).flatMap(([key, given]) => checkValue(key, given)),
    ...combined.problems,
    ...checkCall(call),
    ...(replicaCount === null ? [] : checkReplicas(description, replicaCount)),
    ...settings.problems,
    ...filled.flatMap(([key, given]) =>
      key === 'backend_config' ? checkConfig(given, description) : [],
    ),
    ...checkMajor(description),
    ...checkLabels(description),
    ...findMissing({ description, call, intent, path }),
    ...checkPasswords(call),
  ];
}

/** Keys in which something of the example can be left as it is. */
const PLACED: readonly ClusterKey[] = [
  'ssh_cidrs',
  'client_cidrs',
  'subnet_ids',
  'backend_config',
  'image',
];

/** Everything that a value says, for a search. */
function readTexts({ value }: Given): string {
  const given =
    typeof value === 'object' && value !== null && 'given' in value ? value.given : value;
  return typeof given === 'string' ? given : JSON.stringify(given);
}

const ORDER = Object.keys(clusterSchema.shape);

function sortByKey(
  values: readonly (readonly [ClusterKey, Given])[],
): readonly (readonly [ClusterKey, Given])[] {
  return [...values].sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
}

/** A value of one key, on its own. */
function checkValue(key: ClusterKey, given: Given): string[] {
  if (FORMS[key] === 'settings' || FORMS[key] === 'backend') return [];
  if (key === 'ssh_public_key' && typeof given.value === 'string') {
    const result = parsePublicKey(given.value);
    return 'problem' in result ? [`${given.name}: ${result.problem}`] : [];
  }
  const { error } = clusterSchema.shape[key].safeParse(given.value);
  const issues: readonly z.core.$ZodIssue[] = error?.issues ?? [];
  return issues.map((issue) => {
    const [index] = issue.path;
    const entry =
      index === undefined ? undefined : (given.value as readonly unknown[])[Number(index)];
    // Of a list the part that is meant.
    const found = entry ?? given.value;
    const hint = typeof found === 'string' ? hintInput(nameInput(key), found) : null;
    const name = index === undefined ? given.name : given.nameEntry(String(index));
    const shown = given.shown ?? (typeof found === 'string' ? quoteValue(found) : showKind(found));
    return `${name}: ${shown} is not allowed. ${issue.message}${hint === null ? '' : ` ${hint}`}`;
  });
}

/** Of a list or a map only that it is one. */
function showKind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'a map' : String(value);
}

function checkCall(call: RawInputs): string[] {
  const { error } = callSchema.safeParse({ ...EMPTY_CALL, ...call });
  return (error?.issues ?? []).map(({ path, message }) => {
    const input = String(path[0]);
    if (isSecretInput(input)) return `${input}: not allowed. ${message}`;
    const hint = hintInput(input, call[input] ?? '');
    return `${input}: ${quoteValue(call[input] ?? '')} is not allowed. ${message}${hint === null ? '' : ` ${hint}`}`;
  });
}

const EMPTY_CALL: RawInputs = Object.fromEntries(
  Object.keys(callSchema.shape).map((input) => [input, '']),
);

function checkConfig(given: Given, description: Description): string[] {
  const { given: config, problems } = given.value as GivenBackend;
  const type = readValue(description, 'backend') ?? '';
  return [...problems, ...checkBackend(type, config)].map(
    ({ setting, text }) => `${setting === null ? given.name : given.nameEntry(setting)}: ${text}`,
  );
}

/** The valid value of a key; null where there is none. */
function readValue<Key extends ClusterKey>(
  description: Description,
  key: Key,
): NonNullable<z.output<(typeof clusterSchema.shape)[Key]>> | null {
  const given = description.get(key);
  const parsed = given === undefined ? null : clusterSchema.shape[key].safeParse(given.value);
  return parsed?.success ? ((parsed.data ?? null) as never) : null;
}

/** The request that a description without problems makes. */
function makeRequest(
  description: Description,
  { call, blank }: { call: RawInputs; blank: boolean },
): Request {
  const read = <Key extends ClusterKey>(key: Key) => {
    const value = readValue(description, key);
    if (value === null) throw new Error(`${key} has neither a value nor a default.`);
    return value;
  };
  const given = (key: ClusterKey) => description.get(key)?.value;
  const secret = (input: string) => call[input] ?? '';
  const name = read('cluster_name');
  const replicaCount = read('replica_count');
  const type = readValue(description, 'backend') ?? 'local';
  const config = ((given('backend_config') ?? { given: {} }) as GivenBackend).given;
  return {
    spec: {
      name,
      region: read('region'),
      instanceType: read('instance_type'),
      replicaCount,
      image: read('image'),
      imageTag: read('image_tag'),
      primary: readValue(description, 'primary') || null,
      synchronousReplicas: read('synchronous_replicas'),
      settings: readSettings(description, replicaCount).settings,
      sshCidrs: readValue(description, 'ssh_cidrs') ?? [],
      clientCidrs: readValue(description, 'client_cidrs') ?? [],
      subnetIds: readValue(description, 'subnet_ids') ?? [],
    },
    backend: blank ? null : { type, config: completeBackend(type, config) },
    workingDirectory: chooseDirectory(readValue(description, 'working_directory') ?? '', name),
    secrets: {
      postgresPassword: secret('postgres-password'),
      replicationPassword: secret('replication-password'),
      sshPrivateKey: secret('ssh-private-key'),
      reviewKey: secret('review-key'),
    },
    sshUser: read('ssh_user'),
    sshPublicKey: readPublicKey(description),
    fenced: call.fenced || null,
    githubToken: secret('github-token'),
    allowDestroyLabel: read('allow_destroy_label') || null,
    allowPlanLabel: read('allow_plan_label') || null,
    labelPrefix: readValue(description, 'label_prefix') || null,
    onPlanChange: read('on_plan_change'),
    comment: read('comment'),
    terraformBinary: readValue(description, 'terraform_binary') || null,
  };
}

function readPublicKey(description: Description): string | null {
  const text = readValue(description, 'ssh_public_key') ?? '';
  const result = text === '' ? null : parsePublicKey(text);
  return result !== null && 'key' in result ? result.key : null;
}

/** What of a description tells the cluster's comment apart. */
function labelCluster(description: Description): ClusterLabel | null {
  const name = readValue(description, 'cluster_name');
  const comment = readValue(description, 'comment');
  const folder = description.get('working_directory');
  const directory = folder === undefined ? '' : readValue(description, 'working_directory');
  if (name === null || comment === null || directory === null) return null;
  return {
    name,
    workingDirectory: chooseDirectory(directory, name),
    region: readValue(description, 'region'),
    shared: comment === 'shared',
    labelPrefix: readValue(description, 'label_prefix') || null,
  };
}

/** The working directory of a cluster; without one `given`, its own, so that clusters of one repository are apart. */
export function chooseDirectory(given: string, cluster: string): string {
  return given || `.postgres-cluster/${cluster}`;
}

/** What the run cannot do without, and only what it really needs. */
function findMissing({
  description,
  call,
  intent,
  path,
}: {
  description: Description;
  call: RawInputs;
  intent: Intent;
  path: string | null;
}): string[] {
  const operation = intent.kind === 'operation' ? intent.operation : null;
  const deploys = intent.kind === 'deploy';
  const reviews = intent.kind === 'review' || intent.kind === 'drift';
  const plans = deploys || reviews || operation === 'plan' || operation === 'apply';
  const configures = deploys || operation === 'configure' || intent.kind === 'failover';
  const problems: string[] = [];
  const need = (key: ClusterKey, why: string) => {
    const value = description.get(key)?.value;
    if (value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0))
      return;
    const name = path === null ? nameInput(key) : `${path}:1: ${key}`;
    problems.push(`${name}: missing. ${why}`);
  };
  const withoutSecrets = 'withoutSecrets' in intent ? intent.withoutSecrets : null;
  const needSecret = (name: string, why: string) => {
    if ((call[name] ?? '') !== '') return;
    const reason =
      withoutSecrets === null
        ? why
        : `GitHub gives no secrets to ${withoutSecrets}. Deploy on push, and let a person merge.`;
    problems.push(`${name}: missing. ${reason}`);
  };
  // Files that all had the default's name would all be one cluster.
  if (path !== null && description.get('cluster_name')?.source === 'default') {
    problems.push(
      `${path}:1: cluster_name: missing. It tells the cluster from every other one; write e.g. cluster_name: orders.`,
    );
  }
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
    if (readValue(description, 'require_signature') === true) {
      needSecret(
        'review-key',
        `require-signature is true, so what is reviewed must be signed. Keep the output of openssl rand -hex 32 as a secret that this job can read, e.g. \${{ secrets.REVIEW_KEY }}.`,
      );
    }
  }
  const hasPublicKey = (description.get('ssh_public_key')?.value ?? '') !== '';
  // A plan without secrets is made with a substitute key.
  if (configures || (plans && withoutSecrets === null && !hasPublicKey)) {
    needSecret(
      'ssh-private-key',
      `${configures ? 'Ansible logs in with it' : 'Its public half goes into the key pair, and with it a plan looks at the nodes; ssh-public-key alone is enough for a plan that does not'}. Make one with ssh-keygen -t ed25519 and keep it as a secret, e.g. \${{ secrets.SSH_PRIVATE_KEY }}.`,
    );
  }
  if (reviews || deploys) {
    need(
      'ssh_cidrs',
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

/** Values that must fit the number of nodes. */
function checkReplicas(description: Description, replicaCount: number): string[] {
  const problems: string[] = [];
  const refuse = (given: Given | undefined, allowed: string) =>
    problems.push(`${given?.name}: ${given?.shown} is not allowed. Allowed: ${allowed}.`);
  const primary = /^node-(\d+)$/.exec(readValue(description, 'primary') ?? '')?.[1];
  if (primary !== undefined && Number(primary) > replicaCount + 1) {
    refuse(
      description.get('primary'),
      `node-1 to ${nodeName(replicaCount + 1)}, as replica-count is ${replicaCount}, e.g. node-1`,
    );
  }
  const synchronous = readValue(description, 'synchronous_replicas');
  if (synchronous !== null && synchronous > replicaCount) {
    refuse(
      description.get('synchronous_replicas'),
      `at most replica-count, which is ${replicaCount}, as writes would wait for ever, e.g. ${Math.min(1, replicaCount)}`,
    );
  }
  return problems;
}

/** A label that allows something is a person's to set. */
function checkLabels(description: Description): string[] {
  const prefix = readValue(description, 'label_prefix') ?? '';
  if (prefix === '') return [];
  const own = EFFECTS.map((effect) => nameLabel(prefix, effect).toLowerCase());
  const consents = [
    ['allow_destroy_label', 'by which people allow that data is destroyed'],
    ['allow_plan_label', "by which people ask for the plan of a fork's pull request"],
  ] as const;
  return consents.flatMap(([key, what]) => {
    const consent = (readValue(description, key) ?? '').toLowerCase();
    if (!own.includes(consent)) return [];
    return [
      `${description.get('label_prefix')?.name}: ${quoteValue(prefix)} is not allowed. With it the action would set the label ${quoteValue(consent)} itself, ${what} (${nameInput(key)}). Choose another, e.g. postgres/.`,
    ];
  });
}

/** The official image's tags begin with the major version; other repositories name theirs as they like. */
function checkMajor(description: Description): string[] {
  const given = description.get('image_tag');
  const tag = String(given?.value ?? '');
  if (given === undefined || readValue(description, 'image') !== 'postgres') return [];
  if (majorOfTag(tag) !== null || !IMAGE_TAG.test(tag)) return [];
  return [
    `${given.name}: ${given.shown} is not allowed. Allowed: a tag of the image postgres that begins with its major version, so that a new major never arrives unasked, e.g. 17.`,
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
