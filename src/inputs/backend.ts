import { quoteValue } from '../messages/quote-value.ts';
import { parseJson } from './json-text.ts';

/** A backend's setting as JSON: blocks such as `workspaces` are objects. */
export type BackendValue = string | number | boolean | null | BackendValue[] | BackendConfig;
/** A backend's settings, or a block of them, by name. */
export interface BackendConfig {
  readonly [name: string]: BackendValue;
}

/** All backends of Terraform and OpenTofu (Terraform documentation, "Backend block"). They are built in. */
export const BACKENDS: readonly string[] = [
  'azurerm',
  'consul',
  'cos',
  'gcs',
  'http',
  'kubernetes',
  'local',
  'oci',
  'oss',
  'pg',
  'remote',
  's3',
];

/** Words in the names of arguments that hold a secret. */
const SECRET_WORDS = /key|secret|token|password|credential|conn_str|certificate/i;
/** Arguments whose name has one of these words although they hold no secret. */
const HARMLESS = new Set([
  'key',
  'key_prefix',
  'workspace_key_prefix',
  'kms_key_id',
  'kms_encryption_key',
  'skip_credentials_validation',
  'shared_credentials_file',
  'shared_credentials_files',
  'web_identity_token_file',
  'oidc_token_file_path',
  'client_certificate_path',
  'impersonate_service_account',
]);
/** The user information of a URL (RFC 3986, 3.2.1), and parameters that sign or log in. */
const SECRET_URL =
  /:\/\/[^\s/?#"]*@|[?&][^=?&#\s]{0,64}(?:key|secret|token|password|credential|sig)[^=?&#\s]{0,64}=/i;

const EXAMPLE = '{"bucket": "my-state"}';

/** A problem with a backend's settings. */
export interface BackendProblem {
  /** Name of the top-level setting; null if the problem concerns no single one. */
  readonly setting: string | null;
  /** A sentence without anything that may be a secret. */
  readonly text: string;
}

/** The settings of a backend, and what could not be read. */
export interface ParsedBackend {
  readonly config: BackendConfig;
  readonly problems: readonly BackendProblem[];
}

/** Parses a backend's settings: lines of `key = value`, or a JSON object. */
export function parseBackendConfig(text: string): ParsedBackend {
  return text.trim().startsWith('{') ? parseObject(text) : parseLines(text);
}

/** Finds malformed, secret and missing settings of a backend of this type. */
export function checkBackend(type: string, config: BackendConfig): BackendProblem[] {
  const problems = Object.entries(config).flatMap(([setting, value]) =>
    listArguments({ [setting]: value })
      .flatMap((argument) => [
        ...refuseName(argument),
        ...refuseSecret(argument),
        ...refuseTemplate(argument),
      ])
      .map((text) => ({ setting, text })),
  );
  if (type !== 's3') return problems;
  const missing = ['bucket', 'key', 'region'].filter((key) => !config[key]);
  return [
    ...problems,
    ...missing.map((key) => ({
      setting: null,
      text: `${key} is missing; backend s3 needs it.`,
    })),
  ];
}

/** Adds the action's defaults to the settings. */
export function completeBackend(type: string, config: BackendConfig): BackendConfig {
  if (type !== 's3') return config;
  // Terraform's own lock file, unless the team has a DynamoDB table for locks.
  const lock = config.dynamodb_table ? {} : { use_lockfile: true };
  return { ...lock, encrypt: true, ...config };
}

/** Whether the backend locks with a file beside the state, which requires Terraform 1.10. */
export function usesLockfile(config: BackendConfig): boolean {
  return String(config.use_lockfile ?? '') === 'true';
}

/** An argument at any depth, with the texts of its value. */
interface Argument {
  readonly name: string;
  readonly texts: readonly string[];
}

function listArguments(value: BackendValue): Argument[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(listArguments);
  return Object.entries(value).flatMap(([name, inner]) => [
    { name, texts: listTexts(inner) },
    ...listArguments(inner),
  ]);
}

/** Returns the texts of a value. The texts of a block belong to its own arguments. */
function listTexts(value: BackendValue): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.flatMap(listTexts) : [];
}

/** Refuses names that every JavaScript object has: they could be lost, or change the object itself. */
function refuseName({ name }: Argument): string[] {
  return name in {}
    ? [`${quoteValue(name)} is not the name of a backend's setting. Remove it.`]
    : [];
}

/**
 * Refuses templates. Texts in Terraform's JSON syntax are templates (Terraform's documentation, "JSON configuration
 * syntax"), and OpenTofu evaluates them in a backend's block: `${file("…")}` would be code.
 */
function refuseTemplate({ name, texts }: Argument): string[] {
  if (![name, ...texts].some((text) => /[$%]\{/.test(text))) return [];
  return [
    `${showName(name)} has \${ or %{, which begins an expression. Allowed: plain values, e.g. bucket = "my-state".`,
  ];
}

function refuseSecret({ name, texts }: Argument): string[] {
  const kept = 'and Terraform keeps backend-config in plan files';
  if (SECRET_WORDS.test(name) && !HARMLESS.has(name)) {
    return [
      `${showName(name)} is a secret, ${kept}. Give it through the environment variable the backend reads (for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or OIDC).`,
    ];
  }
  return [name, ...texts].some((text) => SECRET_URL.test(text))
    ? [
        `${showName(name)} has a user, password or token in a URL, ${kept}. Give the URL without it, and the rest through the environment variables the backend reads (for http: TF_HTTP_USERNAME and TF_HTTP_PASSWORD).`,
      ]
    : [];
}

/** Quotes an unusual name, and hides one that may be a secret. */
function showName(name: string): string {
  if (/^\w{1,64}$/.test(name)) return name;
  return SECRET_URL.test(name) ? 'a setting' : quoteValue(name);
}

function parseObject(value: string): ParsedBackend {
  const malformed = `not a JSON object. Give e.g. ${EXAMPLE}.`;
  const result = parseJson(value, { malformed, example: EXAMPLE });
  return 'problem' in result
    ? { config: {}, problems: [{ setting: null, text: result.problem }] }
    : // The text begins with a brace, so the value is an object.
      { config: result.value as BackendConfig, problems: [] };
}

function parseLines(value: string): ParsedBackend {
  const given = new Map<string, string>();
  const problems: BackendProblem[] = [];
  const refuse = (text: string) => problems.push({ setting: null, text });
  for (const [index, text] of value.split('\n').entries()) {
    const line = text.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_][a-z0-9_]*)\s*=\s*(?:"([^"]*)"|(\S+))$/.exec(line);
    const name = match?.[1];
    if (name === undefined) {
      refuse(
        `${showLine(line, index + 1)} is not allowed. Allowed: a line per setting, key = "value", e.g. bucket = "my-state".`,
      );
    } else if (given.has(name)) refuse(`${name} is given twice. Keep one of them.`);
    else given.set(name, match?.[2] ?? match?.[3] ?? '');
  }
  return { config: Object.fromEntries(given), problems };
}

function showLine(line: string, number: number): string {
  const isTelling = SECRET_WORDS.test(line) || SECRET_URL.test(line);
  return isTelling ? `line ${number} (not shown, as it may hold a secret)` : quoteValue(line);
}
