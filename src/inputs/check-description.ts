import type { z } from 'zod';
import { EFFECTS, nameLabel } from '../cluster/effect.ts';
import { nodeName } from '../cluster/node.ts';
import { IMAGE_TAG, majorOfTag } from '../cluster/spec.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { checkBackend, type ParsedBackend } from './backend.ts';
import { checkArchiving, checkBackup } from './backup-inputs.ts';
import { callSchema } from './call-schema.ts';
import {
  CLUSTER_KEYS,
  type ClusterKey,
  clusterSchema,
  FORMS,
  nameInput,
} from './cluster-schema.ts';
import type { Combined } from './combine.ts';
import { type Description, type InputValue, readValue } from './description.ts';
import { findMissing, type Purpose } from './find-missing.ts';
import { findPlaceholder, hintInput } from './input-hint.ts';
import { checkAccess } from './network-inputs.ts';
import { isSecretInput, MIN_SECRET_LENGTH } from './secrets.ts';
import { readSettings } from './settings-input.ts';
import type { RawInputs } from './step-inputs.ts';
import { checkStorage } from './storage-inputs.ts';

/** Lists all problems of a description, for the run that uses it. */
export function checkDescription(combined: Combined, purpose: Purpose): string[] {
  const { description, effective } = combined;
  const { call } = purpose;
  const all: readonly (readonly [ClusterKey, InputValue])[] = [
    ...effective,
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
    ...checkStorage(description),
    ...checkBackup(description),
    ...checkArchiving(description, settings.settings),
    ...checkAccess(description),
    ...checkLabels(description),
    ...findMissing(description, purpose),
    ...checkPasswords(call),
  ];
}

/** Keys for which the example workflow has placeholders. */
const PLACEHOLDER_KEYS: readonly ClusterKey[] = [
  'ssh_cidrs',
  'client_cidrs',
  'subnet_ids',
  'backend_config',
  'image',
];

/** Returns the text of a value, for a search. */
function readTexts({ value }: InputValue): string {
  const given =
    typeof value === 'object' && value !== null && 'config' in value ? value.config : value;
  return typeof given === 'string' ? given : JSON.stringify(given);
}

function sortByKey(
  values: readonly (readonly [ClusterKey, InputValue])[],
): readonly (readonly [ClusterKey, InputValue])[] {
  return [...values].sort(([a], [b]) => CLUSTER_KEYS.indexOf(a) - CLUSTER_KEYS.indexOf(b));
}

/** Checks the value of one key. */
function checkValue(key: ClusterKey, given: InputValue): string[] {
  if (FORMS[key] === 'settings' || FORMS[key] === 'backend') return [];
  const { error } = clusterSchema.shape[key].safeParse(given.value);
  const issues: readonly z.core.$ZodIssue[] = error?.issues ?? [];
  return issues.map((issue) => {
    const [index] = issue.path;
    // The invalid item of a list, or tag.
    const found = issue.path.reduce<unknown>(
      (value, part) => (value as Readonly<Record<string, unknown>> | undefined)?.[String(part)],
      given.value,
    );
    const isItem = FORMS[key] !== 'list' || index !== undefined;
    const hint = isItem && typeof found === 'string' ? hintInput(nameInput(key), found) : null;
    const name = nameIssue(key, given, issue.path);
    // The schema's message for a hidden value, or for a tag, is complete by itself.
    if (
      FORMS[key] === 'tags' ||
      (given.shown === null && typeof found === 'string' && index === undefined)
    ) {
      return `${name}: ${issue.message}`;
    }
    const shown = given.shown ?? (typeof found === 'string' ? quoteValue(found) : showKind(found));
    return `${name}: ${shown} is not allowed. ${issue.message}${hint === null ? '' : ` ${hint}`}`;
  });
}

/** Returns the beginning of a message about a value, or about a part of it. */
function nameIssue(key: ClusterKey, given: InputValue, path: readonly PropertyKey[]): string {
  const [entry] = path;
  if (entry === undefined) return given.name;
  const name = given.nameEntry(String(entry));
  return FORMS[key] === 'map' ? `${name}.${path.map(String).join('.')}` : name;
}

/** Names a list or a map without its content. */
function showKind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'a map' : String(value);
}

function checkCall({ call, repairNames }: Purpose): string[] {
  const { error } = callSchema.safeParse({ ...EMPTY_CALL, ...call });
  return (error?.issues ?? []).map(({ path, message }) => {
    const input = String(path[0]);
    if (isSecretInput(input)) return `${input}: not allowed. ${message}`;
    const hint = hintInput(input, call[input] ?? '');
    return `${repairNames[input] ?? input}: ${quoteValue(call[input] ?? '')} is not allowed. ${message}${hint === null ? '' : ` ${hint}`}`;
  });
}

const EMPTY_CALL: RawInputs = Object.fromEntries(
  Object.keys(callSchema.shape).map((input) => [input, '']),
);

/** Checks the settings of a backend in every source, and that none is missing. */
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
    const { config, problems } = given.value as ParsedBackend;
    return [...problems, ...checkBackend(type, config)].map(
      ({ setting, text }) => `${setting === null ? given.name : given.nameEntry(setting)}: ${text}`,
    );
  });
}

/** Checks values that depend on the number of nodes. */
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
      `at most replica-count, which is ${replicaCount}, as writes would wait forever, e.g. ${Math.min(1, replicaCount)}`,
    );
  }
  return problems;
}

/** The labels that allow a loss, and the loss. */
const PERMISSIONS = [
  ['allow_destroy_label', 'that data is destroyed'],
  ['allow_collation_label', 'that text is sorted in another order'],
  ['allow_slot_loss_label', 'that logical slots are lost'],
] as const;

/** Refuses names by which the action itself, or a request for a plan, would set a label that allows a loss. */
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

/** Requires a tag of the official image to begin with the major version. Other repositories have their own names. */
function checkMajor(description: Description): string[] {
  const given = description.get('image_tag');
  const tag = String(given?.value ?? '');
  if (given === undefined || readValue(description, 'image') !== 'postgres') return [];
  if (majorOfTag(tag) !== null || !IMAGE_TAG.test(tag)) return [];
  return [
    `${given.name}: ${given.shown} is not allowed. Allowed: a tag of the image postgres that begins with its major version, so that no new major version is installed by surprise, e.g. 17.`,
  ];
}

/**
 * Checks passwords: PostgreSQL's passfile and SASLprep (RFC 4013) must leave them unchanged, and they must be long enough
 * to be masked. Masking `e` or `postgres` would make the log and the comment unreadable.
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
          `registry-password: too short. Allowed: at least ${MIN_SECRET_LENGTH} characters, since it is hidden in all output; use an access token of the registry.`,
        ]
      : []),
  ];
}

function checkDatabasePasswords(inputs: RawInputs): string[] {
  return ['postgres-password', 'replication-password'].flatMap((name) => {
    const value = inputs[name] ?? '';
    if (!/^[\x20-\x7e]*$/.test(value)) {
      return [
        `${name}: contains characters outside printable ASCII. Use letters, digits and punctuation.`,
      ];
    }
    return value === '' || value.trim().length >= MIN_SECRET_LENGTH
      ? []
      : [
          `${name}: too short. Allowed: at least ${MIN_SECRET_LENGTH} characters, e.g. the output of openssl rand -base64 24.`,
        ];
  });
}
