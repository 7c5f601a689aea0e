import { ApiError } from '../api-error.ts';
import { texts } from '../resource.ts';
import { type Fields, isFields, type Value } from '../values.ts';

/** What a thing answers to EC2's filters, by filter name; filters that do not apply to it are absent. */
export type Facets = { readonly [filter: string]: string | readonly string[] | null };

/** Matches a pattern of EC2's filters: `*` is any text, `?` any single character. */
function matchPattern(pattern: string, value: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(value);
}

/**
 * Keeps the things that match all `filter` blocks of a data source.
 * Throws EC2's refusal for a filter that is not in `known`.
 */
export function applyFilters<Thing>(
  things: readonly Thing[],
  {
    filters,
    known,
    facets,
  }: { filters: Value; known: readonly string[]; facets: (thing: Thing) => Facets },
): Thing[] {
  const blocks = Array.isArray(filters) ? filters.filter(isFields) : [];
  return blocks.reduce<Thing[]>(
    (kept, block) => {
      const name = String(block.name);
      if (!known.includes(name) && !name.startsWith('tag:') && name !== 'tag-key') {
        throw new ApiError('InvalidParameterValue', `The filter '${name}' is invalid`);
      }
      const patterns = texts(block.values);
      return kept.filter((thing) => {
        const facet = facets(thing)[name] ?? [];
        const values = typeof facet === 'string' ? [facet] : facet;
        return values.some((value) => patterns.some((pattern) => matchPattern(pattern, value)));
      });
    },
    [...things],
  );
}

/** The filter values of tags: `tag:<key>` and `tag-key`. */
export function readTagFacets(tags: { readonly [key: string]: string }): Facets {
  const byKey = Object.entries(tags).map(([key, value]) => [`tag:${key}`, value]);
  return { ...Object.fromEntries(byKey), 'tag-key': Object.keys(tags) };
}

/** True if the thing has every tag that the data source requires. */
export function hasTags(
  tags: { readonly [key: string]: string },
  wanted: Value | undefined,
): boolean {
  if (!isFields(wanted)) return true;
  return Object.entries(wanted as Fields).every(([key, value]) => tags[key] === value);
}
