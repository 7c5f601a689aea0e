import type { Block, CtyType } from './schema.ts';
import {
  type Fields,
  hasUnknown,
  isFields,
  isSame,
  isZero,
  UNKNOWN,
  type Value,
} from './values.ts';

/** How the real provider plans a resource, as far as the bindings do not say. */
export interface Rules {
  /** Arguments whose change replaces the resource; a dot leads into a block (`root_block_device.encrypted`). */
  readonly forceNew: readonly string[];
  /** The provider's defaults of arguments that are not set. */
  readonly defaults?: { readonly [path: string]: Value };
  /** How the provider normalises an argument before it compares it. */
  readonly spellings?: { readonly [path: string]: (value: string) => string };
  /** Blocks that the provider fills in if the configuration has none. */
  readonly computedBlocks?: readonly string[];
  /** True for resources of the newer plugin framework, which distinguishes null and empty. */
  readonly framework?: boolean;
}

/** A list of steps from the resource down to the value that forces a replacement. */
export type Path = readonly (string | number)[];

export interface PlanRequest {
  readonly block: Block;
  readonly rules: Rules;
  /** The recorded state; null when the resource is to be created. */
  readonly prior: Fields | null;
  /** Terraform's own merge of the configuration and the prior state. */
  readonly proposed: Fields;
  readonly config: Fields;
  /** The provider's region and default tags; null for resources without tags. */
  readonly region: string;
  readonly defaultTags: { readonly [key: string]: string };
}

export interface Plan {
  readonly planned: Fields;
  readonly replace: Path[];
}

/**
 * Plans a create or an update as the real provider does: computed values are unknown until they are set and keep
 * their value afterwards, defaults are filled in, `tags_all` follows from the tags. Pure.
 */
export function planResource(request: PlanRequest): Plan {
  const { block, rules, prior, config } = request;
  const planned = planBlock(request, { block, prior, proposed: request.proposed, config }, '');
  if ('region' in block.attributes && isZero(config.region))
    planned.region = prior?.region ?? request.region;
  if ('tags_all' in block.attributes) planned.tags_all = planTagsAll(planned.tags ?? null, request);
  const isTimed = 'timeouts' in block.blocks && !rules.framework;
  if (prior !== null && isTimed && hasOnlyOtherTimeouts(planned, { block, prior })) {
    planned.timeouts = prior.timeouts ?? null;
  }
  const replace = prior === null ? [] : findReplacements({ ...request, proposed: planned });
  return { planned, replace };
}

/** Timeouts alone are no change: the older plugin SDK then answers with the prior state (helper/schema, `PlanResourceChange`). */
function hasOnlyOtherTimeouts(
  planned: Fields,
  { block, prior }: { block: Block; prior: Fields },
): boolean {
  return Object.keys(planned).every(
    (name) =>
      name === 'timeouts' ||
      isSame(prior[name] ?? null, planned[name] ?? null, block.attributes[name]?.type),
  );
}

interface Level {
  readonly block: Block;
  readonly prior: Fields | null;
  readonly proposed: Fields;
  readonly config: Fields;
}

function planBlock(request: PlanRequest, level: Level, prefix: string): Fields {
  const planned: Fields = {};
  for (const name of Object.keys(level.block.attributes)) {
    planned[name] = planAttribute(request, level, { name, path: prefix + name });
  }
  for (const name of Object.keys(level.block.blocks)) {
    planned[name] = planNested(request, level, { name, path: prefix + name });
  }
  return planned;
}

interface Member {
  readonly name: string;
  readonly path: string;
}

function planAttribute({ rules }: PlanRequest, level: Level, { name, path }: Member): Value {
  const attribute = level.block.attributes[name];
  const config = level.config[name] ?? null;
  const prior = level.prior?.[name] ?? null;
  const spell = rules.spellings?.[path];
  const given = level.proposed[name] ?? null;
  const proposed = spell !== undefined && typeof given === 'string' ? spell(given) : given;
  const fallback = rules.defaults?.[path];
  if (config === null && fallback !== undefined) return fallback;
  if (
    !rules.framework &&
    level.prior !== null &&
    attribute?.optional &&
    isZero(config) &&
    isZero(proposed) &&
    isZero(prior)
  ) {
    return prior;
  }
  if (attribute?.computed && config === null && proposed === null && level.prior === null)
    return UNKNOWN;
  if (rules.framework) return proposed;
  // The older plugin SDK knows a set only as a whole: one unknown element makes all of it unknown.
  const isSet = Array.isArray(attribute?.type) && attribute.type[0] === 'set';
  return isSet && hasUnknown(proposed) ? UNKNOWN : fillObjects(proposed, attribute?.type);
}

/** Inside lists of objects the older plugin SDK has no null: values that are not set are empty. */
function fillObjects(value: Value, type: CtyType | undefined): Value {
  if (
    !Array.isArray(value) ||
    !Array.isArray(type) ||
    !Array.isArray(type[1]) ||
    type[1][0] !== 'object'
  )
    return value;
  const members = type[1][1];
  return value.map((item) => {
    if (!isFields(item)) return item;
    const filled = Object.entries(members).map(([name, member]) => [
      name,
      item[name] ?? emptyOf(member),
    ]);
    return Object.fromEntries(filled);
  });
}

function emptyOf(type: CtyType): Value {
  if (type === 'string') return '';
  if (type === 'number') return 0;
  if (type === 'bool') return false;
  return type[0] === 'map' || type[0] === 'object' ? {} : [];
}

function planNested(request: PlanRequest, level: Level, { name, path }: Member): Value {
  const nested = level.block.blocks[name];
  const config = level.config[name] ?? null;
  const proposed = level.proposed[name] ?? null;
  if (nested === undefined || config === UNKNOWN || proposed === UNKNOWN) return UNKNOWN;
  if (isZero(config) && request.rules.computedBlocks?.includes(path)) {
    return level.prior === null ? UNKNOWN : (level.prior[name] ?? []);
  }
  const plan = (item: Value, index: number | null): Value => {
    if (!isFields(item)) return item;
    const priors = level.prior?.[name] ?? null;
    const pick = (values: Value) =>
      index === null ? values : Array.isArray(values) ? (values[index] ?? null) : null;
    const prior = nested.nesting === 'set' ? null : pick(priors);
    const given = nested.nesting === 'set' ? item : pick(config);
    return planBlock(
      request,
      {
        block: nested.block,
        prior: isFields(prior) ? prior : null,
        proposed: item,
        config: isFields(given) ? given : item,
      },
      `${path}.`,
    );
  };
  return Array.isArray(proposed) ? proposed.map(plan) : plan(proposed, null);
}

function planTagsAll(tags: Value, { prior, defaultTags, rules }: PlanRequest): Value {
  if (tags === UNKNOWN || hasUnknown(tags)) return UNKNOWN;
  const all = { ...defaultTags, ...(isFields(tags) ? tags : {}) };
  if (Object.keys(all).length > 0 || rules.framework) return all;
  if (prior === null) return UNKNOWN;
  return isZero(prior.tags_all) ? (prior.tags_all ?? null) : UNKNOWN;
}

function findReplacements({ block, rules, prior, proposed }: PlanRequest): Path[] {
  // Since provider version 6 every resource has its own region, and a change of it replaces the resource.
  const paths = 'region' in block.attributes ? ['region', ...rules.forceNew] : rules.forceNew;
  return paths.flatMap((path) =>
    findChanges(path.split('.'), { block, prior: prior ?? {}, planned: proposed }),
  );
}

function findChanges(
  [name = '', ...rest]: string[],
  { block, prior, planned }: { block: Block; prior: Fields; planned: Fields },
): Path[] {
  const before = prior[name] ?? null;
  const after = planned[name] ?? null;
  const nested = block.blocks[name];
  if (nested === undefined || rest.length === 0) {
    return isSame(before, after, block.attributes[name]?.type) ? [] : [[name]];
  }
  if (!Array.isArray(before) || !Array.isArray(after)) return [];
  // An element of a set has no address: the set itself forces the replacement.
  if (nested.nesting === 'set') return isSame(before, after, ['set', 'string']) ? [] : [[name]];
  return after.flatMap((item, index) => {
    const old = before[index];
    if (!isFields(item) || !isFields(old)) return [];
    const found = findChanges(rest, { block: nested.block, prior: old, planned: item });
    return found.map((path) => [name, index, ...path]);
  });
}
