import type { DesiredCluster } from './desired.ts';
import type { NodeObservation } from './observation.ts';
import { isRunningPrimary } from './replication.ts';
import { splitReference } from './spec.ts';

/**
 * The C library family that an image reference (`postgres:17-alpine`) tells, or null when it tells none. The
 * official image is Debian's unless its tag says Alpine; of others only a tag that names its system is believed.
 */
export function libcOfImage(reference: string): 'glibc' | 'musl' | null {
  const { repository, tag } = splitReference(reference);
  if (/(^|[.\-_])alpine/.test(tag)) return 'musl';
  if (/(^|[.\-_])(bullseye|bookworm|trixie|forky)($|[.\-_])/.test(tag)) return 'glibc';
  return repository === 'postgres' ? 'glibc' : null;
}

/** What an image reference stands for. */
export interface PinnedImage {
  /** As asked for, e.g. `postgres:17`. */
  readonly image: string;
  /** The same by digest, e.g. `postgres@sha256:…`. */
  readonly digest: string;
}

/**
 * What the image that is asked for is on every node, so that a tag that moves meanwhile changes nothing: the digest
 * that is asked for, else the `reviewed` one where the primary sees the same, else what a node runs under it already,
 * else what the primary's registry said. Null where nobody could tell.
 *
 * Root on a node decides what the node says it runs, so of a record counts only an image of the repository that is
 * asked for, and where there was a review none.
 */
export function pinImage(
  observed: readonly NodeObservation[],
  { image }: Pick<DesiredCluster, 'image'>,
  { reviewed = null }: { reviewed?: string | null } = {},
): PinnedImage | null {
  const { repository, digest: asked } = splitReference(image);
  if (asked !== null) return { image, digest: `${repository}@${asked}` };
  const seen = findImageDigest(observed);
  if (reviewed !== null && seen === reviewed) return { image, digest: `${repository}@${seen}` };
  const primaryFirst = [...observed].sort(
    (a, b) => Number(isRunningPrimary(b)) - Number(isRunningPrimary(a)),
  );
  const running = primaryFirst.find(
    ({ data, record }) =>
      data === 'complete' && record?.image === image && isFromRepository(record.digest, repository),
  );
  if (running?.record) return { image, digest: running.record.digest };
  return seen === null ? null : { image, digest: `${repository}@${seen}` };
}

/** Whether an image by digest is of a repository; one by its id can be pulled from none. */
function isFromRepository(pinned: string, repository: string): boolean {
  const name = (text: string) => text.replace(/^docker\.io\//, '').replace(/^library\//, '');
  return !pinned.includes('@') || name(splitReference(pinned).repository) === name(repository);
}

/**
 * The digest (`sha256:…`) that the cluster runs, or will once it runs the image that is asked for: as its primary
 * sees it. Null where nobody could tell, as before the first deploy.
 */
export function findImageDigest(observed: readonly NodeObservation[]): string | null {
  const node = observed.find(isRunningPrimary) ?? observed.find(({ data }) => data === 'complete');
  return node?.host.imageDigest ?? null;
}
