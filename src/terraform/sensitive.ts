import type { Json } from './attributes.ts';

/** Shorter texts occur everywhere by chance; hiding them would only make the plan unreadable. */
const SHORTEST = 4;

const HIDDEN = '(sensitive value)';

/**
 * Every text under `value` that `mask`, Terraform's `before_sensitive` or `after_sensitive` of it,
 * marks as sensitive.
 */
export function listSensitive(value: Json | undefined, mask: Json | undefined): string[] {
  if (value === null || value === undefined || typeof mask !== 'object') {
    return mask === true ? listTexts(value) : [];
  }
  if (mask === null || typeof value !== 'object') return [];
  const parts = value as Readonly<Record<string, Json>>;
  return Object.entries(mask).flatMap(([key, part]) => listSensitive(parts[key], part));
}

/**
 * A function that takes `texts` out of whatever it is given, also where they were copied to without
 * their mark: providers derive attributes, and Terraform forgets that those are sensitive as well. It
 * finds them as they are, as JSON or HCL quotes them, and line by line as a heredoc shows them.
 */
export function createMask(texts: Iterable<string>): (text: string) => string {
  const pieces = [...new Set(texts)].flatMap((text) => [
    text,
    ...text.split('\n').map((line) => line.trim()),
  ]);
  const patterns = [...new Set(pieces.flatMap((piece) => [piece, quote(piece)]))]
    .filter((pattern) => pattern.length >= SHORTEST)
    // The longest first, or a part of a text would hide in it and leave the rest.
    .sort((a, b) => b.length - a.length);
  return (text) => patterns.reduce((rest, pattern) => rest.replaceAll(pattern, HIDDEN), text);
}

/** `value` with every text in it, keys included, passed through `change`. */
export function mapTexts(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => mapTexts(item, change));
  const entries = Object.entries(value).map(
    ([key, part]) => [change(key), mapTexts(part, change)] as const,
  );
  return Object.fromEntries(entries);
}

function listTexts(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'number') return [`${value}`];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(listTexts) : [];
}

const quote = (text: string): string => JSON.stringify(text).slice(1, -1);
