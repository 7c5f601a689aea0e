import type { NodeObservation } from './observation.ts';
import { isRunningPrimary } from './replication.ts';

/**
 * The C library family that an image reference (`postgres:17-alpine`) tells, or null when it tells none. The
 * official image is Debian's unless its tag says Alpine; of others only a tag that names its system is believed.
 */
export function libcOfImage(reference: string): 'glibc' | 'musl' | null {
  const colon = reference.lastIndexOf(':');
  const tag = reference.slice(colon + 1);
  if (/(^|[.\-_])alpine/.test(tag)) return 'musl';
  if (/(^|[.\-_])(bullseye|bookworm|trixie|forky)($|[.\-_])/.test(tag)) return 'glibc';
  return reference.slice(0, colon) === 'postgres' ? 'glibc' : null;
}

/**
 * The digest (`sha256:…`) that the cluster runs, or will once it runs the image that is asked for: as its primary
 * sees it. Null where nobody could tell, as before the first deploy.
 */
export function findImageDigest(observed: readonly NodeObservation[]): string | null {
  const node = observed.find(isRunningPrimary) ?? observed.find(({ data }) => data === 'complete');
  return node?.host.imageDigest ?? null;
}
