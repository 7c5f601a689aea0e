import type { Intent, Operation } from '../intent.ts';
import { quoteValue } from '../quote.ts';
import { suggestName } from '../spelling.ts';
import { inputSchema } from './input-schema.ts';
import { parseJson } from './json-text.ts';

/** What describes a cluster: the keys that the input `request` takes, whatever the command. */
const CLUSTER_KEYS: readonly string[] = [
  'instance_type',
  'replica_count',
  'region',
  'max_connections',
  'shared_buffers',
  'image_tag',
  'settings',
  'primary',
  'synchronous_replicas',
];

/** Keys of an event's body, per operation. */
const EVENT_KEYS: Readonly<Record<Operation | 'failover', readonly string[]>> = {
  generate: ['instance_type', 'replica_count', 'region'],
  plan: [],
  apply: [],
  configure: ['replica_count', 'max_connections', 'shared_buffers', 'region', 'image_tag'],
  failover: ['fenced'],
};

const EXAMPLE = '{"replica_count": 2}';

/** An API body as inputs. */
export interface Body {
  /** Body values by input name. */
  readonly values: Record<string, string>;
  /** How a message names an input that came from the body. */
  readonly sources: Record<string, string>;
  readonly problems: readonly string[];
}

/**
 * The cluster that the input `request` describes, and over it the body of the event, where the run comes from one;
 * keys that are not taken there are problems. An event's body has the keys of the API; `request` has those that
 * describe a cluster, whatever the command, so that one text serves all jobs of a workflow.
 */
export function readBody(input: string, intent: Intent): Body {
  const operation =
    intent.kind === 'operation' ? intent.operation : intent.kind === 'failover' ? 'failover' : null;
  const described = parseInput(input, [
    ...CLUSTER_KEYS,
    ...(operation === 'failover' ? EVENT_KEYS.failover : []),
  ]);
  const body = 'body' in intent ? intent.body : undefined;
  if (operation === null || body === undefined) return described;
  const allowed = EVENT_KEYS[operation];
  return merge(described, readKeys(body, { where: 'client_payload', allowed }));
}

function parseInput(input: string, allowed: readonly string[]): Body {
  if (input.trim() === '') return noBody();
  const malformed = `not JSON. Give an object, e.g. ${EXAMPLE}.`;
  const result = parseJson(input, { malformed, example: EXAMPLE });
  return 'problem' in result
    ? noBody(`request: ${result.problem}`)
    : readKeys(result.value, { where: 'request', allowed });
}

function readKeys(
  body: unknown,
  { where, allowed }: { where: 'request' | 'client_payload'; allowed: readonly string[] },
): Body {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return noBody(`${where}: not a JSON object. Give one, e.g. ${EXAMPLE}.`);
  }
  const problems: string[] = [];
  const values: Record<string, string> = {};
  const sources: Record<string, string> = {};
  for (const [key, value] of Object.entries(body)) {
    if (!allowed.includes(key)) {
      problems.push(`${where}: unknown key ${quoteValue(key)}. ${explainKeys(key, allowed)}`);
    } else if (typeof value !== 'string' && typeof value !== 'number') {
      problems.push(`${where}.${key}: ${showJson(value)} is not a string or a number.`);
    } else {
      const name = key.replaceAll('_', '-');
      values[name] = String(value);
      sources[name] = `${where}.${key}`;
    }
  }
  return { values, sources, problems };
}

/** What an unknown key could have been. */
function explainKeys(key: string, allowed: readonly string[]): string {
  if (allowed.length === 0) {
    return 'Allowed: an empty body, as the event plans or applies the cluster that the inputs of the action describe. Remove the key and give its value as an input.';
  }
  const near = suggestName(key, allowed);
  if (near !== null) return `Did you mean ${near}? Allowed: ${allowed.join(', ')}.`;
  const input = suggestName(key, Object.keys(inputSchema.shape));
  const elsewhere = input === null ? '' : ` Give it as the input ${input}.`;
  return `Allowed: ${allowed.join(', ')}.${elsewhere}`;
}

/** Of what holds other values only what it is, as these may be any number, at any depth. */
function showJson(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : quoteValue(String(value));
}

const merge = (under: Body, over: Body): Body => ({
  values: { ...under.values, ...over.values },
  sources: { ...under.sources, ...over.sources },
  problems: [...under.problems, ...over.problems],
});

const noBody = (...problems: string[]): Body => ({ values: {}, sources: {}, problems });
