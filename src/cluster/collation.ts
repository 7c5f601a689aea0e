import { listSome } from '../messages/list-some.ts';
import type { NodeObservation } from './observation.ts';
import { isRunningPrimary } from './replication.ts';

/** Sort orders that the warning names; a cluster seldom has two. */
const MAX_SHOWN = 5;

/**
 * Warns before a change to an image that may sort text in another order; null where the image stays, or everything is
 * sorted by code point. `label`: the label that allows another order; null: no label does.
 */
export function warnCollations(
  observed: readonly NodeObservation[],
  { image, label }: { image: string; label: string | null },
): string | null {
  const primary = observed.find(isRunningPrimary);
  const before = primary?.record?.image ?? image;
  const orders = primary?.postgres?.collations ?? [];
  // musl sorts all of its locales alike.
  const moving = orders.filter(
    ({ provider }) => !(provider === 'libc' && primary?.record?.libc === 'musl'),
  );
  if (before === image || moving.length === 0) return null;
  const libraries = moving.map(({ provider, locale, version }) => {
    const library = provider === 'icu' ? 'ICU' : 'glibc';
    return `${library}${version === null ? '' : ` ${version}`} (${locale || 'root'})`;
  });
  const list = listSome(libraries, MAX_SHOWN);
  const unless = label === null ? '' : `, unless the pull request carries the label ${label}`;
  return `image-tag: databases sort text by ${list}. Another version of it may sort in another order, and indexes would be corrupt. The merge compares ${before} with ${image} before anything stops, and goes no further where an index would have to be rebuilt${unless}.`;
}
