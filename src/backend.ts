import { z } from 'zod';
import { quoteValue } from './quote.ts';

/** Arguments of Terraform's backends that hold a secret itself. */
const SECRET_BACKEND_KEYS =
  /^(access_key|secret_key|token|password|conn_str|credentials|encryption_key|client_certificate|.*_(secret|token|password|private_key|access_key|secret_key))$/;

/**
 * The settings in `backend-config`: lines of `key = value`, or a JSON object of plain values; what is missing,
 * malformed or secret comes as problems.
 */
export function readBackend(inputs: Readonly<Record<string, string>>): {
  config: Record<string, string>;
  problems: string[];
} {
  const { entries, problems } = parseBackendConfig(inputs['backend-config'] ?? '');
  for (const [key] of entries) {
    if (SECRET_BACKEND_KEYS.test(key)) {
      problems.push(
        `backend-config: ${key} is a secret, and Terraform keeps backend-config in plan files. Give it through the environment variable the backend reads (for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or OIDC).`,
      );
    }
  }
  const config = Object.fromEntries(entries);
  if (inputs.backend === 's3') {
    for (const key of ['bucket', 'key', 'region']) {
      if (!config[key]) problems.push(`backend-config: ${key} is missing; backend s3 needs it.`);
    }
    // Terraform's own lock, without a DynamoDB table, unless the team already has one.
    if (!config.dynamodb_table) config.use_lockfile ??= 'true';
    config.encrypt ??= 'true';
  }
  return { config, problems };
}

function parseBackendConfig(value: string): { entries: [string, string][]; problems: string[] } {
  if (value.trim().startsWith('{')) {
    const parsed = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
    try {
      const object = parsed.parse(JSON.parse(value));
      return { entries: Object.entries(object).map(([k, v]) => [k, String(v)]), problems: [] };
    } catch {
      return {
        entries: [],
        problems: [
          'backend-config: not a JSON object of plain values. Give e.g. {"bucket": "my-state"}.',
        ],
      };
    }
  }
  const entries: [string, string][] = [];
  const problems: string[] = [];
  for (const line of value.split('\n').map((text) => text.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_][a-z0-9_]*)\s*=\s*(?:"([^"]*)"|(\S+))$/.exec(line);
    if (match) entries.push([match[1] as string, match[2] ?? match[3] ?? '']);
    else {
      problems.push(
        `backend-config: ${quoteValue(line)} is not allowed. Allowed: a line per setting, key = "value", e.g. bucket = "my-state".`,
      );
    }
  }
  return { entries, problems };
}
