import type { z } from 'zod';
import {
  type GivenSetting,
  parseSettingEntries,
  parseSettingLines,
} from '../cluster/settings/lines.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { type BackendConfig, type ParsedBackend, parseBackendConfig } from './backend.ts';
import type { ClusterFile, FileValue } from './cluster-file.ts';
import { type ClusterKey, clusterSchema, decodeInput, FORMS, findKey } from './cluster-schema.ts';
import type { RawInputs } from './step-inputs.ts';

/** The source of a value: the body of an event, the cluster file, the input `request`, a single input, or a default. */
export type Source = 'event' | 'file' | 'request' | 'step' | 'default';

/** A value with its source. */
export interface InputValue {
  readonly source: Source;
  /** Decoded for the schema: settings as `ParsedSettings`, a backend's as `ParsedBackend`. */
  readonly value: unknown;
  /** As a message shows it; null if it is too long or may be a secret. */
  readonly shown: string | null;
  /** The beginning of messages about it, e.g. `replica-count` or `clusters/orders.yml:4: replica_count`. */
  readonly name: string;
  /** The same for one entry: an item of a list by its index, a setting by its name. */
  readonly nameEntry: (entry: string) => string;
  /** As part of a sentence: `the input replica-count`, `clusters/orders.yml:4`. */
  readonly location: string;
}

/** Values by key. */
export type Description = ReadonlyMap<ClusterKey, InputValue>;

/**
 * Decodes the inputs among `values` that describe a cluster; empty defaults are ignored. `name` returns the name of an
 * input in messages.
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

/** Converts the values of a cluster file. */
export function readFileValues({ path, values }: ClusterFile): Description {
  return new Map(
    [...values].map(([key, found]): [ClusterKey, InputValue] => {
      const at = (line: number) => `${path}:${line}: ${key}`;
      return [
        key,
        {
          source: 'file',
          value: convertFileValue(key, found),
          shown: isShown(key) ? showFileValue(found.value) : null,
          name: at(found.line),
          nameEntry: (entry) => at(found.lines.get(entry) ?? found.line),
          location: `${path}:${found.line}`,
        },
      ];
    }),
  );
}

function convertFileValue(key: ClusterKey, found: FileValue): unknown {
  const { value, lines, line } = found;
  switch (FORMS[key]) {
    case 'settings': {
      const entries = Object.entries(value as Record<string, string>).map(
        ([name, text]): GivenSetting => ({ name, value: text, line: lines.get(name) ?? line }),
      );
      return parseSettingEntries(entries);
    }
    case 'backend':
      return { config: value as BackendConfig, problems: [] } satisfies ParsedBackend;
    default:
      return value;
  }
}

/** Whether messages show the value. Long texts are left out, and keys, which may be private ones by mistake. */
function isShown(key: ClusterKey): boolean {
  return !['settings', 'backend_config', 'ssh_public_key'].includes(key);
}

/** Lists and maps are not shown. */
function showFileValue(value: unknown): string | null {
  if (typeof value === 'string') return quoteValue(value);
  return typeof value === 'object' ? null : String(value);
}

/** Returns the value of a key; null if it is missing or invalid. */
export function readValue<Key extends ClusterKey>(
  description: Description,
  key: Key,
): NonNullable<z.output<(typeof clusterSchema.shape)[Key]>> | null {
  const given = description.get(key);
  const parsed = given === undefined ? null : clusterSchema.shape[key].safeParse(given.value);
  return parsed?.success ? ((parsed.data ?? null) as never) : null;
}
