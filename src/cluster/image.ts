import type { DesiredCluster } from './desired.ts';
import type { NodeObservation } from './observation.ts';
import { isRunningPrimary } from './replication.ts';
import { splitReference } from './spec.ts';

/**
 * Returns the C library family of an image by its reference (`postgres:17-alpine`), or null where that does not tell. The
 * official image is based on Debian unless its tag says Alpine; other images are known only by a tag that names the system.
 */
export function libcOfImage(reference: string): 'glibc' | 'musl' | null {
  const { repository, tag } = splitReference(reference);
  if (/(^|[.\-_])alpine/.test(tag)) return 'musl';
  if (/(^|[.\-_])(bullseye|bookworm|trixie|forky)($|[.\-_])/.test(tag)) return 'glibc';
  return repository === 'postgres' ? 'glibc' : null;
}

/** An image reference and the digest that it resolves to. */
export interface PinnedImage {
  /** As requested, e.g. `postgres:17`. */
  readonly image: string;
  /** The same image by digest, e.g. `postgres@sha256:…`. */
  readonly digest: string;
}

/**
 * Pins the desired image to one digest for all nodes, so that a tag that moves during the run has no effect. In this
 * order: the digest in the request, the `reviewed` one if the primary resolves the tag to it, the one that a node already
 * runs under the tag, the one that the registry returned to the primary. Null if none is known.
 *
 * Root on a node decides what the node reports, so a record counts only for an image of the desired repository.
 */
export function pinImage(
  observed: readonly NodeObservation[],
  { image }: Pick<DesiredCluster, 'image'>,
  { reviewed = null }: { reviewed?: string | null } = {},
): PinnedImage | null {
  const { repository, digest: asked } = splitReference(image);
  if (asked !== null) return { image, digest: `${repository}@${asked}` };
  const resolved = findImageDigest(observed);
  if (reviewed !== null && resolved === reviewed)
    return { image, digest: `${repository}@${resolved}` };
  const primaryFirst = [...observed].sort(
    (a, b) => Number(isRunningPrimary(b)) - Number(isRunningPrimary(a)),
  );
  const running = primaryFirst.find(
    ({ data, record }) =>
      data === 'complete' && record?.image === image && isFromRepository(record.digest, repository),
  );
  if (running?.record) return { image, digest: running.record.digest };
  return resolved === null ? null : { image, digest: `${repository}@${resolved}` };
}

/** Whether an image by digest belongs to a repository, with or without docker.io/library. One by id cannot be pulled from any. */
export function isFromRepository(pinned: string, repository: string): boolean {
  const name = (text: string) => text.replace(/^docker\.io\//, '').replace(/^library\//, '');
  return !pinned.includes('@') || name(splitReference(pinned).repository) === name(repository);
}

/**
 * Returns the digest (`sha256:…`) of the desired image as the primary resolves it; null where unknown, as before the first
 * deploy.
 */
export function findImageDigest(observed: readonly NodeObservation[]): string | null {
  const node = observed.find(isRunningPrimary) ?? observed.find(({ data }) => data === 'complete');
  return node?.host.imageDigest ?? null;
}
