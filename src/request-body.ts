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
 * operation does not take are problems. A failover works on the cluster that `request` describes, whatever its
 * event says besides.
 */
export function readBody(input: string, intent: Intent): Body {
  if (intent.kind === 'failover') {
    const described = parseInput(input, [...BODY_KEYS.auto, ...BODY_KEYS.failover]);
    if (intent.body === undefined) return described;
    return merge(described, readKeys(intent.body, 'client_payload', BODY_KEYS.failover));
  }
  const allowed = BODY_KEYS[intent.kind === 'operation' ? intent.operation : 'auto'];
  const body = intent.kind === 'operation' ? intent.body : undefined;
  return body === undefined
    ? parseInput(input, allowed)
    : readKeys(body, 'client_payload', allowed);
}

function parseInput(input: string, allowed: readonly string[]): Body {
  if (input.trim() === '') return { values: {}, sources: {}, problems: [] };
  try {
    return readKeys(JSON.parse(input), 'request', allowed);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return noBody(`request: not JSON. Give an object, e.g. {"replica_count": 2}.`);
  }
}

function readKeys(body: unknown, where: string, allowed: readonly string[]): Body {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return noBody(`${where}: not a JSON object. Give one, e.g. {"replica_count": 2}.`);
  }
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

const merge = (under: Body, over: Body): Body => ({
  values: { ...under.values, ...over.values },
  sources: { ...under.sources, ...over.sources },
  problems: [...under.problems, ...over.problems],
});

const noBody = (problem: string): Body => ({ values: {}, sources: {}, problems: [problem] });
