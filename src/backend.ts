import { z } from 'zod';
import { quoteValue } from './quote.ts';

/** A backend's setting, as JSON has it: blocks such as `workspaces` are objects. */
export type BackendValue = string | number | boolean | null | BackendValue[] | BackendConfig;
/** A backend's settings, or a block of them, by name. */
export interface BackendConfig {
  readonly [name: string]: BackendValue;
}

/** Words in the names of arguments that hold a secret … */
const SECRET_WORDS = /key|secret|token|password|credential|conn_str|certificate/;
/** … and arguments with such a word that hold none. */
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

const backendValue: z.ZodType<BackendValue> = z.json() as z.ZodType<BackendValue>;

/**
 * The settings in `backend-config`: lines of `key = value`, or a JSON object of plain values; what is missing,
 * malformed or secret comes as problems.
 */
export function readBackend(inputs: Readonly<Record<string, string>>): {
  config: BackendConfig;
  problems: string[];
} {
  const { given, problems } = parseBackendConfig(inputs['backend-config'] ?? '');
  for (const key of listNames(given)) {
    if (SECRET_WORDS.test(key) && !HARMLESS.has(key)) {
      problems.push(
        `backend-config: ${key} is a secret, and Terraform keeps backend-config in plan files. Give it through the environment variable the backend reads (for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or OIDC).`,
      );
    }
  }
  if (inputs.backend !== 's3') return { config: given, problems };
  for (const key of ['bucket', 'key', 'region']) {
    if (!given[key]) problems.push(`backend-config: ${key} is missing; backend s3 needs it.`);
  }
  // Terraform's own lock, without a DynamoDB table, unless the team already has one.
  const lock = given.dynamodb_table ? {} : { use_lockfile: true };
  return { config: { ...lock, encrypt: true, ...given }, problems };
}

/** Whether the backend locks with a file beside the state, which Terraform can since 1.10. */
export function usesLockfile(config: BackendConfig): boolean {
  return String(config.use_lockfile ?? '') === 'true';
}

function listNames(value: BackendValue): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(listNames);
  return Object.entries(value).flatMap(([name, inner]) => [name, ...listNames(inner)]);
}

function parseBackendConfig(value: string): { given: BackendConfig; problems: string[] } {
  if (value.trim().startsWith('{')) {
    try {
      return { given: z.record(z.string(), backendValue).parse(JSON.parse(value)), problems: [] };
    } catch {
      return {
        given: {},
        problems: ['backend-config: not a JSON object. Give e.g. {"bucket": "my-state"}.'],
      };
    }
  }
  const given: Record<string, string> = {};
  const problems: string[] = [];
  for (const line of value.split('\n').map((text) => text.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_][a-z0-9_]*)\s*=\s*(?:"([^"]*)"|(\S+))$/.exec(line);
    if (match) given[match[1] as string] = match[2] ?? match[3] ?? '';
    else {
      problems.push(
        `backend-config: ${quoteValue(line)} is not allowed. Allowed: a line per setting, key = "value", e.g. bucket = "my-state".`,
      );
    }
  }
  return { given, problems };
}
