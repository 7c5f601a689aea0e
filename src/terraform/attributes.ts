/** A JSON value of `terraform show -json`. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json;
}

/** One side of a change. Sensitive values are not kept. */
export type Value =
  | { readonly kind: 'absent' }
  | { readonly kind: 'known'; readonly value: Json }
  /** The provider decides it during the apply. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'sensitive' };

/** One attribute that differs, at the deepest path of the difference. */
export interface AttributeChange {
  /** As in HCL, e.g. `root_block_device[0].volume_size` or `tags["a.b"]`. */
  readonly path: string;
  readonly before: Value;
  readonly after: Value;
  /** The provider cannot change this attribute in place. */
  readonly forcesReplacement: boolean;
}

/** The two sides of a change, and Terraform's masks of unknown and sensitive parts, which have the shape of the values. */
export interface Sides {
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  readonly unknown: Json | undefined;
  readonly beforeSensitive: Json | undefined;
  readonly afterSensitive: Json | undefined;
}

/** Replaces an unknown part of a value. */
export const UNKNOWN = '(known after apply)';

type Path = readonly (string | number)[];

/**
 * Lists the differences between the sides, sorted by attribute, parents first. `root` is the beginning of every path
 * (empty for a resource, the name for an output); `replacePaths` are Terraform's `replace_paths`. Null, `[]` and `{}`
 * count as absent, because providers use them interchangeably.
 */
export function compareSides(
  sides: Sides,
  { root = [], replacePaths = [] }: { root?: Path; replacePaths?: readonly Path[] } = {},
): AttributeChange[] {
  const changes: AttributeChange[] = [];
  walk(sides, root, (path, before, after) => {
    const forcesReplacement = replacePaths.some((replaced) => overlaps(replaced, path));
    changes.push({ path: formatPath(path), before, after, forcesReplacement });
  });
  return changes;
}

/** Formats a path as in HCL: `tags.Name`, `tags["a.b"]`, `ingress[0].from_port`. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** Returns equal JSON text for equal values: keys sorted, no spaces. */
export function canonicalize(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalize).join(',')}]`;
  if (isObject(value)) {
    const entries = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalize(value[key])}`);
    return `{${entries.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

type Emit = (path: Path, before: Value, after: Value) => void;

function walk(sides: Sides, path: Path, emit: Emit): void {
  const { before, after, unknown, beforeSensitive, afterSensitive } = sides;
  if (unknown === true) {
    const hidden = beforeSensitive === true || afterSensitive === true;
    emit(path, hidden ? hide(before) : toValue(before, beforeSensitive), { kind: 'unknown' });
  } else if (beforeSensitive === true || afterSensitive === true) {
    if (!isEqual(before, after)) emit(path, hide(before), hide(after));
  } else if (isMapLike(before) && isMapLike(after) && [before, after, unknown].some(isObject)) {
    const keys = new Set([before, after, unknown].flatMap((side) => Object.keys(side ?? {})));
    for (const key of [...keys].sort()) walk(pickKey(sides, key), [...path, key], emit);
  } else if (isBlockList(before) && isBlockList(after) && [before, after].some(isFilledList)) {
    walkBlocks(sides, path, emit);
  } else if (!isEqual(before, after) || containsTrue(unknown)) {
    emit(path, toValue(before, beforeSensitive), toValue(after, afterSensitive, unknown));
  }
}

/** Pairs equal blocks first, since blocks have no key: a removed block does not shift the others. */
function walkBlocks(sides: Sides, path: Path, emit: Emit): void {
  const before = (sides.before ?? []) as readonly Json[];
  const after = (sides.after ?? []) as readonly Json[];
  const spare = before.map((block, index) => ({ text: canonicalize(block), index }));
  const changed: number[] = [];
  after.forEach((block, index) => {
    const text = canonicalize(block);
    const settled = !containsTrue(pick(sides.unknown, index));
    const twin = settled ? spare.findIndex((candidate) => candidate.text === text) : -1;
    if (twin === -1) changed.push(index);
    else spare.splice(twin, 1);
  });
  for (let turn = 0; turn < Math.max(changed.length, spare.length); turn++) {
    const from = spare[turn]?.index;
    const to = changed[turn];
    walk(pickBlocks(sides, from, to), [...path, to ?? from ?? 0], emit);
  }
}

function pickKey(sides: Sides, key: string): Sides {
  return {
    before: pick(sides.before, key),
    after: pick(sides.after, key),
    unknown: pick(sides.unknown, key),
    beforeSensitive: pick(sides.beforeSensitive, key),
    afterSensitive: pick(sides.afterSensitive, key),
  };
}

function pickBlocks(sides: Sides, from: number | undefined, to: number | undefined): Sides {
  return {
    before: pick(sides.before, from),
    after: pick(sides.after, to),
    unknown: pick(sides.unknown, to),
    beforeSensitive: pick(sides.beforeSensitive, from),
    afterSensitive: pick(sides.afterSensitive, to),
  };
}

/** Returns a part of a value or mask. A mask of `true` covers all parts. */
function pick(side: Json | undefined, key: string | number | undefined): Json | undefined {
  if (side === true) return true;
  if (key === undefined || typeof side !== 'object' || side === null) return undefined;
  return Object.hasOwn(side, key) ? (side as Record<string | number, Json>)[key] : undefined;
}

function toValue(value: Json | undefined, sensitive?: Json, unknown?: Json): Value {
  if (isEmpty(value) && !containsTrue(unknown)) return { kind: 'absent' };
  return { kind: 'known', value: mask(value ?? null, sensitive, unknown) };
}

/** Keeps only whether a sensitive side has a value. */
function hide(value: Json | undefined): Value {
  return value === null || value === undefined ? { kind: 'absent' } : { kind: 'sensitive' };
}

/** Replaces the sensitive and unknown parts of a value. */
function mask(value: Json, sensitive: Json | undefined, unknown: Json | undefined): Json {
  if (sensitive === true) return '(sensitive value)';
  if (unknown === true) return UNKNOWN;
  if (isList(value)) {
    return value.map((item, index) => mask(item, pick(sensitive, index), pick(unknown, index)));
  }
  if (!isObject(value)) return value;
  const keys = new Set([...Object.keys(value), ...(isObject(unknown) ? Object.keys(unknown) : [])]);
  const entries = [...keys].map(
    (key) => [key, mask(value[key] ?? null, pick(sensitive, key), pick(unknown, key))] as const,
  );
  return Object.fromEntries(entries);
}

function overlaps(a: Path, b: Path): boolean {
  const length = Math.min(a.length, b.length);
  return length > 0 && a.slice(0, length).every((part, index) => part === b[index]);
}

const isList = (value: unknown): value is readonly Json[] => Array.isArray(value);
/** Whether a value is a JSON object. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isMapLike = (value: Json | undefined): boolean =>
  value === null || value === undefined || isObject(value);
const isBlockList = (value: Json | undefined): boolean =>
  value === null || value === undefined || (isList(value) && value.every(isObject));
const isFilledList = (value: Json | undefined): boolean => isList(value) && value.length > 0;

/** Whether a value counts as absent. */
export function isEmpty(value: Json | undefined): boolean {
  if (value === null || value === undefined) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b || (isEmpty(a) && isEmpty(b))) return true;
  // Faster for single values, of which a large plan has hundreds of thousands.
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  return canonicalize(a) === canonicalize(b);
}

function containsTrue(mask: Json | undefined): boolean {
  if (typeof mask !== 'object' || mask === null) return mask === true;
  return Object.values(mask).some(containsTrue);
}
