import type { NodeObservation } from '../observation.ts';
import { isCopying } from '../replication.ts';

/**
 * Refuses to initialise a new cluster while a copy runs, or is complete: it shows that there was a cluster, and may be all
 * that is left of it.
 */
export function refuseOrphanedCopy(observed: readonly NodeObservation[]): string[] {
  if (observed.some(({ data }) => data === 'complete' || data === 'unrecorded')) return [];
  return observed.filter(isCopying).map(({ name, work }) => {
    const state = work?.state === 'done' ? 'is complete' : 'has not ended';
    return `${name} holds a copy of ${work?.source ?? 'a node'} that ${state}, and no node holds the data it was made from, so a new cluster is not initialised. Bring the volume of the node that was copied back. If the data is really to be given up, delete what is on the data volume of ${name} first.`;
  });
}
