import type { ParsedSettings } from '../cluster/settings/lines.ts';
import type { ParsedBackend } from './backend.ts';
import type { ClusterFile } from './cluster-file.ts';
import { CLUSTER_KEYS, type ClusterKey, clusterSchema, FORMS } from './cluster-schema.ts';
import {
  type Description,
  type InputValue,
  readFileValues,
  readInputValues,
  type Source,
} from './description.ts';
import { type Bodies, nameBodyKey } from './request-body.ts';
import type { StepInputs } from './step-inputs.ts';

/** The combined values of all sources. */
export interface Combined {
  readonly description: Description;
  /** All values in effect: several of a key where sources agree. */
  readonly effective: readonly (readonly [ClusterKey, InputValue])[];
  /** A sentence for each conflict between sources. */
  readonly problems: readonly string[];
}

/** Combines the step, the request bodies and the values of a cluster file (empty without one). */
export function combineSources(
  { step, bodies }: { step: StepInputs; bodies: Bodies },
  fileValues: Description,
): Combined {
  const name = (input: string) => input;
  return combine(
    [
      readInputValues(bodies.event.values, {
        source: 'event',
        name: (input) => nameBodyKey('client_payload', input),
      }),
      fileValues,
      readInputValues(bodies.request.values, {
        source: 'request',
        name: (input) => nameBodyKey('request', input),
      }),
      readInputValues(step.given, { source: 'step', name }),
    ],
    readInputValues(step.defaults, { source: 'default', name }),
  );
}

/** Returns the values of a cluster file, or no values if there is none. */
export const readOptionalFile = (file: ClusterFile | null): Description =>
  file === null ? new Map() : readFileValues(file);

/**
 * Combines the sources in this order. An event's body is a request for one run and takes precedence over the step. A
 * cluster file was reviewed, and nothing overrides it. Other conflicts are problems.
 */
function combine(sources: readonly Description[], defaults: Description): Combined {
  const description = new Map<ClusterKey, InputValue>();
  const effective: [ClusterKey, InputValue][] = [];
  const problems: string[] = [];
  for (const key of CLUSTER_KEYS) {
    const given = sources.flatMap((source) => source.get(key) ?? []);
    const fromEvent = given.some(({ source }) => source === 'event');
    const used = fromEvent ? given.filter(({ source }) => countsBesideEvent(source)) : given;
    const [first, ...others] = used;
    if (first === undefined) {
      const fallback = defaults.get(key);
      if (fallback !== undefined) description.set(key, fallback);
      continue;
    }
    description.set(key, first);
    effective.push(...used.map((one): [ClusterKey, InputValue] => [key, one]));
    for (const other of others) {
      if (!isSameValue(key, first, other)) problems.push(explainConflict(key, first, other));
    }
  }
  return { description, effective, problems };
}

/** Sources that an event's body does not override. */
const countsBesideEvent = (source: Source): boolean => source === 'event' || source === 'file';

/** Whether two values are equal. True if one is invalid, which is reported on its own. */
export function isSameValue(key: ClusterKey, a: InputValue, b: InputValue): boolean {
  const [left, right] = [normalize(key, a.value), normalize(key, b.value)];
  return left === null || right === null || left === right;
}

/** Returns equal texts for equal values, or null for an invalid one. */
function normalize(key: ClusterKey, value: unknown): string | null {
  switch (FORMS[key]) {
    case 'settings': {
      const { given } = value as ParsedSettings;
      return JSON.stringify(given.map(({ name, value: text }) => [name, text]).sort());
    }
    case 'backend':
      return canonicalize((value as ParsedBackend).config);
    case 'tags': {
      const { data } = clusterSchema.shape.tags.safeParse(value);
      return data === undefined ? null : JSON.stringify(Object.entries(data).sort());
    }
    default: {
      const parsed = clusterSchema.shape[key].safeParse(value);
      if (!parsed.success) return null;
      return JSON.stringify(Array.isArray(parsed.data) ? [...parsed.data].sort() : parsed.data);
    }
  }
}

/** Compares scalars as texts: lines of `key = value` have no other type, and a backend accepts `true` and `"true"`. */
function canonicalize(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(String(value));
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonicalize(inner)}`).join()}}`;
}

function explainConflict(key: ClusterKey, a: InputValue, b: InputValue): string {
  const [first, second] = a.source === 'file' || b.source !== 'file' ? [a, b] : [b, a];
  const values =
    first.shown === null || second.shown === null
      ? `is not what ${second.location} says`
      : `${first.shown} is not what ${second.location} says, which is ${second.shown}`;
  return `${first.name}: ${values}. Give ${key} in one place.`;
}
