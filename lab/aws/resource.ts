import type { Compute } from './compute/compute.ts';
import type { Rules } from './plan.ts';
import { type Fields, isFields, type Value } from './values.ts';
import type { Tags, World } from './world.ts';

/** The context of every operation on a resource. */
export interface Context {
  readonly world: World;
  readonly compute: Compute;
  /** The region that the resource lives in. */
  readonly region: string;
  /** The provider's default tags; absent where it is not Terraform that asks. */
  readonly defaultTags?: Tags;
}

/** A planned change of an existing resource. */
export interface Change {
  readonly prior: Fields;
  readonly planned: Fields;
  readonly config: Fields;
}

/** A mistake in a configuration that is found without asking EC2. */
export interface Problem {
  readonly summary: string;
  readonly detail: string;
  readonly attribute?: string;
}

/**
 * One resource type: how it is planned (`rules`) and how it is created, read, changed and deleted in the world.
 * Tags are handled the same way for all: `create` finds the complete ones in `planned.tags_all`.
 */
export interface Resource {
  readonly rules: Rules;
  validate?(config: Fields): Problem[];
  /** Adjusts the plan of an update: marks dependent values as unknown; returns extra paths that force a replacement. */
  adjust?(change: Change, context: Context): string[];
  /** Creates it and returns its id. `record` saves the id earlier, so a later failure leaves a tainted resource. */
  create(planned: Fields, context: Context, record: (id: string) => void): Promise<string>;
  /** The current attributes in the world, or undefined if it is gone. Omitted ones keep their recorded value. */
  read(id: string, context: Context, recorded: Fields): Fields | undefined;
  /** Applies the differences and returns the id if it changed. */
  update?(id: string, change: Change, context: Context): Promise<string | undefined>;
  delete(id: string, recorded: Fields, context: Context): Promise<void>;
  /** The tags of the thing, writable; absent for resources without tags. */
  tags?(id: string, context: Context): { tags: Tags } | undefined;
  /** The initial values when an existing thing is imported by its id. */
  import?(id: string): Fields;
}

/** A planned argument as text; empty if it is not set. */
export function text(value: Value | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** A planned argument as text, or null if it is not set. */
export function textOrNull(value: Value | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** A planned argument as a list of texts. */
export function texts(value: Value | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** A planned argument as a number, or null if it is not set. */
export function numberOrNull(value: Value | undefined): number | null {
  return typeof value === 'number' ? value : null;
}

/** The first element of a block that may occur at most once, or no values. */
export function firstBlock(value: Value | undefined): Fields {
  const first = Array.isArray(value) ? value[0] : undefined;
  return isFields(first) ? first : {};
}

/** The planned tags including the provider's default tags. */
export function readTags(planned: Fields): Tags {
  return isFields(planned.tags_all) ? { ...(planned.tags_all as Tags) } : {};
}
