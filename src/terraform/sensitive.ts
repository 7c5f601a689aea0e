import type { Json } from './attributes.ts';

/** Shorter texts occur by chance; hiding them would make the plan unreadable. */
const MIN_LENGTH = 4;

const HIDDEN = '(sensitive value)';

/** A power of two, large enough that most positions of a text match no bucket. */
const BUCKETS = 1 << 16;

/**
 * Lists the texts in `value` that `mask`, its `before_sensitive` or `after_sensitive`, marks as sensitive.
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
 * Creates a function that hides `texts`, including unmarked copies: providers derive attributes from sensitive ones, and
 * Terraform does not mark those. It finds texts as they are, quoted as in JSON or HCL, and line by line as in a heredoc.
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
    // One pass for all texts: a plan can have megabytes and hundreds of sensitive texts.
    for (let place = 0; place <= last; place += 1) {
      if (starts[hashStart(text, place)] === 0) continue;
      const candidates = byStart.get(text.slice(place, place + MIN_LENGTH)) ?? [];
      const lengths = candidates
        .filter((pattern) => text.startsWith(pattern, place))
        .map(({ length }) => length);
      if (lengths.length === 0) continue;
      // Overlapping texts are hidden as one, so that no end remains visible.
      if (place >= hidden) {
        masked += text.slice(shown, place) + HIDDEN;
      }
      hidden = Math.max(hidden, place + Math.max(...lengths));
      shown = hidden;
    }
    return masked + text.slice(shown);
  };
}

/** Returns the bucket of the first characters at `place`. */
function hashStart(text: string, place: number): number {
  let hash = 0;
  for (let index = 0; index < MIN_LENGTH; index += 1) {
    hash = (hash * 31 + text.charCodeAt(place + index)) & (BUCKETS - 1);
  }
  return hash;
}

/** Passes every text in `value`, keys included, through `change`. */
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
