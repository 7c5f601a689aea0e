import type { Intent, Operation } from './intent.ts';
import { quoteValue } from './quote.ts';

/** Body keys per operation; `auto` runs take those of all that deploy. */
const BODY_KEYS: Readonly<Record<Operation | 'failover' | 'auto', readonly string[]>> = {
  generate: ['instance_type', 'replica_count', 'region'],
  plan: [],
  apply: [],
  configure: ['replica_count', 'max_connections', 'shared_buffers', 'region', 'image_tag'],
  failover: ['fenced'],
  auto: [
    'instance_type',
    'replica_count',
    'region',
    'max_connections',
    'shared_buffers',
    'image_tag',
    'settings',
    'primary',
    'synchronous_replicas',
  ],
};

/** An API body as inputs. */
export interface Body {
  /** Body values by input name. */
  readonly values: Record<string, string>;
  /** How a message names an input that came from the body. */
  readonly sources: Record<string, string>;
  readonly problems: readonly string[];
}

/**
 * The API body, from the event when the event carries it, else from the `request` input; keys that the
 * operation does not take are problems.
 */
export function readBody(input: string, intent: Intent): Body {
  const called = intent.kind === 'operation' || intent.kind === 'failover';
  let body: unknown = called ? intent.body : undefined;
  const where = body === undefined ? 'request' : 'client_payload';
  if (body === undefined) {
    if (input.trim() === '') return { values: {}, sources: {}, problems: [] };
    try {
      body = JSON.parse(input);
    } catch {
      return noBody(`request: not JSON. Give an object, e.g. {"replica_count": 2}.`);
    }
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return noBody(`${where}: not a JSON object. Give one, e.g. {"replica_count": 2}.`);
  }
  const allowed = BODY_KEYS[chooseKeys(intent)];
  const problems: string[] = [];
  const values: Record<string, string> = {};
  const sources: Record<string, string> = {};
  for (const [key, value] of Object.entries(body)) {
    if (!allowed.includes(key)) {
      const keys = allowed.length === 0 ? 'none, the body stays empty' : allowed.join(', ');
      problems.push(`${where}: unknown key ${quoteValue(key)}. Allowed: ${keys}.`);
    } else if (typeof value !== 'string' && typeof value !== 'number') {
      problems.push(
        `${where}.${key}: ${quoteValue(JSON.stringify(value))} is not a string or a number.`,
      );
    } else {
      const name = key.replaceAll('_', '-');
      values[name] = String(value);
      sources[name] = `${where}.${key}`;
    }
  }
  return { values, sources, problems };
}

function chooseKeys(intent: Intent): keyof typeof BODY_KEYS {
  if (intent.kind === 'operation') return intent.operation;
  return intent.kind === 'failover' ? 'failover' : 'auto';
}

const noBody = (problem: string): Body => ({ values: {}, sources: {}, problems: [problem] });
