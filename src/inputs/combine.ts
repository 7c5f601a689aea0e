import type { z } from 'zod';
import {
  type GivenSetting,
  type ParsedSettings,
  parseSettingEntries,
  parseSettingLines,
} from '../cluster/settings/lines.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { type BackendConfig, type ParsedBackend, parseBackendConfig } from './backend.ts';
import type { ClusterFile, FileValue } from './cluster-file.ts';
import {
  CLUSTER_KEYS,
  type ClusterKey,
  clusterSchema,
  decodeInput,
  FORMS,
  findKey,
} from './cluster-schema.ts';
import type { RawInputs } from './step-inputs.ts';

/** Where a value was given: the body of an event, the cluster file, the inputs `request` or the single ones, or nowhere. */
export type Source = 'event' | 'file' | 'request' | 'step' | 'default';

/** A value as it was given. */
export interface InputValue {
  readonly source: Source;
  /** Decoded for the schema: settings as `ParsedSettings`, a backend's as `GivenBackend`. */
  readonly value: unknown;
  /** As a message shows it; null where it is too much, or may be a secret. */
  readonly shown: string | null;
  /** What a message about it begins with, e.g. `replica-count` or `clusters/orders.yml:4: replica_count`. */
  readonly name: string;
  /** The same of an entry of it: an item of a list by its index, a setting by its name. */
  readonly nameEntry: (entry: string) => string;
  /** As part of a sentence: `the input replica-count`, `clusters/orders.yml:4`. */
  readonly location: string;
}

/** Values by their key. */
export type Description = ReadonlyMap<ClusterKey, InputValue>;

/**
 * The texts among `values` that describe a cluster; an empty default says nothing. `name` returns how messages name an
 * input.
 */
export function readInputValues(
  values: RawInputs,
  { source, name }: { source: Exclude<Source, 'file'>; name: (input: string) => string },
): Description {
  const found = new Map<ClusterKey, InputValue>();
  for (const [input, text] of Object.entries(values)) {
    const key = findKey(input);
    if (key === null || (source === 'default' && text === '')) continue;
    const named = name(input);
    found.set(key, {
      source,
      value: decode(key, text),
      shown: isShown(key) ? quoteValue(text) : null,
      name: named,
      nameEntry: () => named,
      location: source === 'step' ? `the input ${named}` : named,
    });
  }
  return found;
}

function decode(key: ClusterKey, text: string): unknown {
  const form = FORMS[key];
  if (form === 'settings') return parseSettingLines(text);
  return form === 'backend' ? parseBackendConfig(text) : decodeInput(key, text);
}

/** The values of a cluster file. */
export function readFileValues({ path, values }: ClusterFile): Description {
  return new Map(
    [...values].map(([key, found]): [ClusterKey, InputValue] => {
      const at = (line: number) => `${path}:${line}: ${key}`;
      const form = FORMS[key];
      return [
        key,
        {
          source: 'file',
          value:
            form === 'settings'
              ? readSettingMap(found)
              : form === 'backend'
                ? ({ given: found.value as BackendConfig, problems: [] } satisfies ParsedBackend)
                : found.value,
          shown: isShown(key) ? showFileValue(found.value) : null,
          name: at(found.line),
          nameEntry: (entry) => at(found.lines.get(entry) ?? found.line),
          location: `${path}:${found.line}`,
        },
      ];
    }),
  );
}

function readSettingMap({ value, lines, line }: FileValue): ParsedSettings {
  const entries = Object.entries(value as Record<string, string>).map(
    ([name, text]): GivenSetting => ({ name, value: text, line: lines.get(name) ?? line }),
  );
  return parseSettingEntries(entries);
}

/** Whether messages show the value: no text of many lines, and no key, as it may be the private half by mistake. */
function isShown(key: ClusterKey): boolean {
  return !['settings', 'backend_config', 'ssh_public_key'].includes(key);
}

/** Of a list or a map only that it is one. */
function showFileValue(value: unknown): string | null {
  if (typeof value === 'string') return quoteValue(value);
  return typeof value === 'object' ? null : String(value);
}

/** What the places together say. */
export interface Combined {
  readonly description: Description;
  /** All that was given and counts, more than one of a key where places say the same. */
  readonly counting: readonly (readonly [ClusterKey, InputValue])[];
  /** Values that differ from place to place, a sentence each. */
  readonly problems: readonly string[];
}

/**
 * Puts the places together, in the order of `places`. An event's body is an order to this one run and wins over what the
 * step says; a cluster file was reviewed, and nothing wins over it. Other values that differ are problems.
 */
export function combine(places: readonly Description[], defaults: Description): Combined {
  const description = new Map<ClusterKey, InputValue>();
  const counting: [ClusterKey, InputValue][] = [];
  const problems: string[] = [];
  for (const key of CLUSTER_KEYS) {
    const given = places.flatMap((place) => place.get(key) ?? []);
    const event = given.find(({ source }) => source === 'event');
    const counts =
      event === undefined ? given : given.filter(({ source }) => countsBesideEvent(source));
    const [first, ...others] = counts;
    if (first === undefined) {
      const fallback = defaults.get(key);
      if (fallback !== undefined) description.set(key, fallback);
      continue;
    }
    description.set(key, first);
    counting.push(...counts.map((one): [ClusterKey, InputValue] => [key, one]));
    for (const other of others) {
      if (!isSameValue(key, first, other)) problems.push(explainConflict(key, first, other));
    }
  }
  return { description, counting, problems };
}

/** What an event's body neither replaces nor may contradict. */
const countsBesideEvent = (source: Source): boolean => source === 'event' || source === 'file';

/** Whether two values come to the same; also where one of them is not allowed, which is a problem of its own. */
export function isSameValue(key: ClusterKey, a: InputValue, b: InputValue): boolean {
  const [left, right] = [normalize(key, a.value), normalize(key, b.value)];
  return left === null || right === null || left === right;
}

/** A value so that equal ones are equal texts; null where it is not allowed. */
function normalize(key: ClusterKey, value: unknown): string | null {
  switch (FORMS[key]) {
    case 'settings': {
      const { given } = value as ParsedSettings;
      return JSON.stringify(given.map(({ name, value: text }) => [name, text]).sort());
    }
    case 'backend':
      return canonicalize((value as ParsedBackend).given);
    default: {
      const parsed = clusterSchema.shape[key].safeParse(value);
      if (!parsed.success) return null;
      return JSON.stringify(Array.isArray(parsed.data) ? [...parsed.data].sort() : parsed.data);
    }
  }
}

/** Lines of text have texts alone: `true` and `"true"` are the same to a backend. */
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

/** The valid value of a key; null where there is none. */
export function readValue<Key extends ClusterKey>(
  description: Description,
  key: Key,
): NonNullable<z.output<(typeof clusterSchema.shape)[Key]>> | null {
  const given = description.get(key);
  const parsed = given === undefined ? null : clusterSchema.shape[key].safeParse(given.value);
  return parsed?.success ? ((parsed.data ?? null) as never) : null;
}
