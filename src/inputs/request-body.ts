import { quoteValue } from '../messages/quote-value.ts';
import { suggestName } from '../messages/suggest-name.ts';
import type { CalledCommand, Intent } from '../runner/intent.ts';
import { parseJson } from './json-text.ts';
import { INPUT_NAMES } from './step-inputs.ts';

/** Keys that the input `request` may have with every command. */
const REQUEST_KEYS: readonly string[] = [
  'instance_type',
  'replica_count',
  'region',
  'max_connections',
  'shared_buffers',
  'image_tag',
  'settings',
  'primary',
  'synchronous_replicas',
  'instance_profile',
  'ssh_via',
  'instance_connect_endpoint_id',
  'ssh_address',
  'internet_via',
  'avoid_zones',
  'dns_zone_id',
  'data_volume_size',
  'data_volume_iops',
  'data_volume_throughput',
  'root_volume_size',
  'kms_key_id',
  'vpc_cidr',
  'tags',
  'backup',
  'restore',
  'snapshots',
  'clone_from',
  'clone_max_rate',
];

/** Keys that an event's body may have, by command. */
const EVENT_KEYS: Readonly<Record<CalledCommand, readonly string[]>> = {
  generate: ['instance_type', 'replica_count', 'region'],
  plan: [],
  apply: [],
  configure: ['replica_count', 'max_connections', 'shared_buffers', 'region', 'image_tag'],
  failover: ['fenced'],
  replace: ['replace', 'replace_volume'],
  discard: ['discard', 'discard_data'],
  backup: ['backup_type'],
  rehearse: [],
  destroy: ['destroy'],
};

/** Keys of a body that are objects. */
const MAPS: readonly string[] = ['backup', 'restore', 'snapshots'];

/** Keys of a body that are Boolean. */
const FLAGS: readonly string[] = ['replace_volume', 'discard_data'];

const EXAMPLE = '{"replica_count": 2}';

/** A request body, converted to inputs. */
export interface Body {
  /** By input name. */
  readonly values: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

/** The request bodies of a run. */
export interface Bodies {
  /** The input `request`. */
  readonly request: Body;
  /** The body of the event; empty if no event called the run. */
  readonly event: Body;
}

/** Returns the name that messages use for an input from a body. */
export const nameBodyKey = (body: 'request' | 'client_payload', input: string): string =>
  `${body}.${input.replaceAll('-', '_')}`;

/**
 * Reads the input `request` and the body of the event. Unknown keys are problems. An event's body has the keys of the
 * API; `request` may have every key that describes a cluster, so one text serves all jobs of a workflow.
 */
export function readBodies(input: string, intent: Intent): Bodies {
  const { kind } = intent;
  const repair =
    kind === 'failover' ||
    kind === 'replace' ||
    kind === 'discard' ||
    kind === 'backup' ||
    kind === 'rehearse' ||
    kind === 'destroy'
      ? kind
      : null;
  const operation = intent.kind === 'operation' ? intent.operation : repair;
  const request = readRequestInput(input, repair === null ? [] : EVENT_KEYS[repair]);
  const body = 'body' in intent ? intent.body : undefined;
  if (operation === null || body === undefined) return { request, event: noBody() };
  const allowed = EVENT_KEYS[operation];
  return { request, event: readKeys(body, { where: 'client_payload', allowed }) };
}

/** Reads the input `request`. `more` are allowed keys besides those that describe a cluster. */
export function readRequestInput(input: string, more: readonly string[] = []): Body {
  const allowed = [...REQUEST_KEYS, ...more];
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
  for (const [key, value] of Object.entries(body)) {
    if (!allowed.includes(key)) {
      problems.push(`${where}: unknown key ${quoteValue(key)}. ${explainKeys(key, allowed)}`);
    } else if (typeof value === 'boolean' && FLAGS.includes(key)) {
      values[key.replaceAll('_', '-')] = String(value);
    } else if (key === 'tags' && typeof value !== 'string') {
      const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
      const tags = isMap ? Object.entries(value) : [];
      const unfit = tags.find(([name, text]) => !isTagLine(name, text));
      if (isMap && unfit === undefined) {
        // As in the input: a line per tag.
        values.tags = tags.map(([name, text]) => `${name}=${text}`).join('\n');
      } else {
        problems.push(
          `${where}.tags: ${unfit === undefined ? showJson(value) : quoteValue(unfit[0])} is not allowed. Give an object with texts or numbers, in one line each and without = in a key, e.g. {"Team": "orders"}.`,
        );
      }
    } else if (MAPS.includes(key) && typeof value === 'object' && value !== null) {
      values[key.replaceAll('_', '-')] = JSON.stringify(value);
    } else if (typeof value !== 'string' && typeof value !== 'number') {
      problems.push(`${where}.${key}: ${showJson(value)} is not a string or a number.`);
    } else {
      values[key.replaceAll('_', '-')] = String(value);
    }
  }
  return { values, problems };
}

/** Whether the tag fits in a line `name=text`, so that it cannot become another one. */
const isTagLine = (name: string, text: unknown): boolean =>
  ['string', 'number', 'boolean'].includes(typeof text) &&
  !/[=\r\n]/.test(name) &&
  !/[\r\n]/.test(String(text));

/** Lists the allowed keys and suggests one for an unknown key. */
function explainKeys(key: string, allowed: readonly string[]): string {
  if (allowed.length === 0) {
    return 'Allowed: an empty body, as the event is about the cluster that the inputs of the action describe. Remove the key and give its value as an input.';
  }
  const near = suggestName(key, allowed);
  if (near !== null) return `Did you mean ${near}? Allowed: ${allowed.join(', ')}.`;
  const input = suggestName(key, INPUT_NAMES);
  const elsewhere = input === null ? '' : ` Give it as the input ${input}.`;
  return `Allowed: ${allowed.join(', ')}.${elsewhere}`;
}

/** Shows a value in a message. Lists and objects are only named, as they may be large. */
function showJson(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : quoteValue(String(value));
}

const noBody = (...problems: string[]): Body => ({ values: {}, problems });
