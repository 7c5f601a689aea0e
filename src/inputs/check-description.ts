import type { z } from 'zod';
import { EFFECTS, nameLabel } from '../cluster/effect.ts';
import { nodeName } from '../cluster/node.ts';
import { IMAGE_TAG, majorOfTag } from '../cluster/spec.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { checkBackend, type ParsedBackend } from './backend.ts';
import { callSchema } from './call-schema.ts';
import {
  CLUSTER_KEYS,
  type ClusterKey,
  clusterSchema,
  FORMS,
  nameInput,
} from './cluster-schema.ts';
import { type Combined, type Description, type InputValue, readValue } from './combine.ts';
import { findMissing, type Purpose } from './find-missing.ts';
import { findPlaceholder, hintInput } from './input-hint.ts';
import { isSecretInput, MIN_SECRET_LENGTH } from './secrets.ts';
import { readSettings } from './settings-input.ts';
import type { RawInputs } from './step-inputs.ts';

/** Everything that is wrong with a description, and with what it is used for. */
export function checkDescription(combined: Combined, purpose: Purpose): string[] {
  const { description, counting } = combined;
  const { call } = purpose;
  const all: readonly (readonly [ClusterKey, InputValue])[] = [
    ...counting,
    ...[...description].filter(([, { source }]) => source === 'default'),
  ];
  const placeholders = all.flatMap(([key, given]) => {
    const placeholder = PLACEHOLDER_KEYS.includes(key) ? findPlaceholder(readTexts(given)) : null;
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
  const settings = readSettings(description);
  return [
    ...placeholders.map(({ text }) => text),
    ...sortByKey(filled).flatMap(([key, given]) => checkValue(key, given)),
    ...combined.problems,
    ...checkCall(purpose),
    ...(replicaCount === null ? [] : checkReplicas(description, replicaCount)),
    ...settings.problems,
    ...checkConfigs(filled, description),
    ...checkMajor(description),
    ...checkLabels(description),
    ...findMissing(description, purpose),
    ...checkPasswords(call),
  ];
}

/** Keys in which something of the example can be left as it is. */
const PLACEHOLDER_KEYS: readonly ClusterKey[] = [
  'ssh_cidrs',
  'client_cidrs',
  'subnet_ids',
  'backend_config',
  'image',
];

/** Everything that a value says, for a search. */
function readTexts({ value }: InputValue): string {
  const given =
    typeof value === 'object' && value !== null && 'given' in value ? value.given : value;
  return typeof given === 'string' ? given : JSON.stringify(given);
}

function sortByKey(
  values: readonly (readonly [ClusterKey, InputValue])[],
): readonly (readonly [ClusterKey, InputValue])[] {
  return [...values].sort(([a], [b]) => CLUSTER_KEYS.indexOf(a) - CLUSTER_KEYS.indexOf(b));
}

/** A value of one key, on its own. */
function checkValue(key: ClusterKey, given: InputValue): string[] {
  if (FORMS[key] === 'settings' || FORMS[key] === 'backend') return [];
  const { error } = clusterSchema.shape[key].safeParse(given.value);
  const issues: readonly z.core.$ZodIssue[] = error?.issues ?? [];
  return issues.map((issue) => {
    const [index] = issue.path;
    // Of a list the part that is meant.
    const found =
      index === undefined ? given.value : (given.value as readonly unknown[])[Number(index)];
    const isItem = FORMS[key] !== 'list' || index !== undefined;
    const hint = isItem && typeof found === 'string' ? hintInput(nameInput(key), found) : null;
    const name = index === undefined ? given.name : given.nameEntry(String(index));
    // What is not shown has a message that needs no value.
    if (given.shown === null && typeof found === 'string' && index === undefined) {
      return `${name}: ${issue.message}`;
    }
    const shown = given.shown ?? (typeof found === 'string' ? quoteValue(found) : showKind(found));
    return `${name}: ${shown} is not allowed. ${issue.message}${hint === null ? '' : ` ${hint}`}`;
  });
}

/** Of a list or a map only that it is one. */
function showKind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'a map' : String(value);
}

function checkCall({ call, callNames }: Purpose): string[] {
  const { error } = callSchema.safeParse({ ...EMPTY_CALL, ...call });
  return (error?.issues ?? []).map(({ path, message }) => {
    const input = String(path[0]);
    if (isSecretInput(input)) return `${input}: not allowed. ${message}`;
    const hint = hintInput(input, call[input] ?? '');
    return `${callNames[input] ?? input}: ${quoteValue(call[input] ?? '')} is not allowed. ${message}${hint === null ? '' : ` ${hint}`}`;
  });
}

const EMPTY_CALL: RawInputs = Object.fromEntries(
  Object.keys(callSchema.shape).map((input) => [input, '']),
);

/** The settings of a backend, wherever they are given, and those that it cannot do without. */
function checkConfigs(
  values: readonly (readonly [ClusterKey, InputValue])[],
  description: Description,
): string[] {
  const type = readValue(description, 'backend') ?? '';
  const configs = values.flatMap(([key, given]) => (key === 'backend_config' ? [given] : []));
  const backend = description.get('backend');
  if (configs.length === 0 && backend !== undefined && !description.has('backend_config')) {
    return checkBackend(type, {}).map(({ text }) => `${backend.name}: ${text}`);
  }
  return configs.flatMap((given) => {
    const { given: config, problems } = given.value as ParsedBackend;
    return [...problems, ...checkBackend(type, config)].map(
      ({ setting, text }) => `${setting === null ? given.name : given.nameEntry(setting)}: ${text}`,
    );
  });
}

/** Values that must fit the number of nodes. */
function checkReplicas(description: Description, replicaCount: number): string[] {
  const problems: string[] = [];
  const refuse = (given: InputValue | undefined, allowed: string) =>
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

/** The labels that allow something, and what. */
const PERMISSIONS = [
  ['allow_destroy_label', 'that data is destroyed'],
  ['allow_collation_label', 'that text is sorted in another order'],
  ['allow_slot_loss_label', 'that logical slots are lost'],
] as const;

/** A label that allows something is a person's to set. */
function checkLabels(description: Description): string[] {
  const read = (key: 'allow_plan_label' | (typeof PERMISSIONS)[number][0]) =>
    readValue(description, key) ?? '';
  const plan = read('allow_plan_label');
  const permission = PERMISSIONS.find(
    ([key]) => plan !== '' && plan.toLowerCase() === read(key).toLowerCase(),
  );
  if (permission !== undefined) {
    const [key, what] = permission;
    return [
      `${description.get('allow_plan_label')?.name}: ${quoteValue(plan)} is not allowed. It is the label of ${nameInput(key)}, too, so that asking for a plan would allow ${what}. Choose another, e.g. allow-plan.`,
    ];
  }
  const prefix = readValue(description, 'label_prefix') ?? '';
  if (prefix === '') return [];
  const own = EFFECTS.map((effect) => nameLabel(prefix, effect).toLowerCase());
  const consents = [
    ...PERMISSIONS.map(([key, what]) => [key, `by which people allow ${what}`] as const),
    ['allow_plan_label', "by which people ask for the plan of a fork's pull request"],
  ] as const;
  return consents.flatMap(([key, what]) => {
    const consent = read(key).toLowerCase();
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
  return [...checkDatabasePasswords(inputs), ...checkRegistryPassword(inputs)];
}

function checkRegistryPassword(inputs: RawInputs): string[] {
  const { 'registry-username': username = '', 'registry-password': password = '' } = inputs;
  if (password === '') return [];
  return [
    ...(username === ''
      ? [
          'registry-username: missing. registry-password is given, and a login needs both. Name the account, e.g. acme-bot; AWS for a token of Amazon ECR.',
        ]
      : []),
    ...(password.trim().length < MIN_SECRET_LENGTH
      ? [
          `registry-password: too short. Allowed: at least ${MIN_SECRET_LENGTH} characters, since it is hidden wherever it turns up; use an access token of the registry.`,
        ]
      : []),
  ];
}

function checkDatabasePasswords(inputs: RawInputs): string[] {
  return ['postgres-password', 'replication-password'].flatMap((name) => {
    const value = inputs[name] ?? '';
    if (!/^[\x20-\x7e]*$/.test(value)) {
      return [
        `${name}: holds characters outside printable ASCII. Use letters, digits and punctuation.`,
      ];
    }
    return value === '' || value.trim().length >= MIN_SECRET_LENGTH
      ? []
      : [
          `${name}: too short. Allowed: at least ${MIN_SECRET_LENGTH} characters, e.g. the output of openssl rand -base64 24.`,
        ];
  });
}
