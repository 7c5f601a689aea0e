import type { Json } from './attributes.ts';

/** Shorter texts occur everywhere by chance; hiding them would only make the plan unreadable. */
const MIN_LENGTH = 4;

const HIDDEN = '(sensitive value)';

/** A power of two, so large that most places of a text need no further look. */
const BUCKETS = 1 << 16;

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
  const patterns = new Set(
    pieces
      .flatMap((piece) => [piece, quote(piece)])
      .filter((pattern) => pattern.length >= MIN_LENGTH),
  );
  const byStart = Map.groupBy(patterns, (pattern) => pattern.slice(0, MIN_LENGTH));
  const starts = new Uint8Array(BUCKETS);
  for (const start of byStart.keys()) starts[hashStart(start, 0)] = 1;
  return (text) => {
    let masked = '';
    let shown = 0;
    let hidden = 0;
    const last = text.length - MIN_LENGTH;
    // Each place once, however many texts there are: a plan can have megabytes and hundreds of them.
    for (let place = 0; place <= last; place += 1) {
      if (starts[hashStart(text, place)] === 0) continue;
      const candidates = byStart.get(text.slice(place, place + MIN_LENGTH)) ?? [];
      const lengths = candidates
        .filter((pattern) => text.startsWith(pattern, place))
        .map(({ length }) => length);
      if (lengths.length === 0) continue;
      // What overlaps is hidden as one, or the end of a text would stay behind.
      if (place >= hidden) {
        masked += text.slice(shown, place) + HIDDEN;
      }
      hidden = Math.max(hidden, place + Math.max(...lengths));
      shown = hidden;
    }
    return masked + text.slice(shown);
  };
}

/** Which of the buckets a text's first characters from `place` on belong to. */
function hashStart(text: string, place: number): number {
  let hash = 0;
  for (let index = 0; index < MIN_LENGTH; index += 1) {
    hash = (hash * 31 + text.charCodeAt(place + index)) & (BUCKETS - 1);
  }
  return hash;
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
