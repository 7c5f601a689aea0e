import type { DesiredCluster } from '../cluster/desired.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { formatBytes, formatCopied, formatDuration } from '../messages/quantities.ts';

/**
 * Returns the copies and restores that run on the nodes, or are complete and not in place yet, as sentences of plain text, partly in
 * the nodes' words.
 */
export function describeRunningWork(
  observed: readonly NodeObservation[],
  desired: Pick<DesiredCluster, 'nodes' | 'leaving'>,
): string[] {
  return observed.flatMap(({ name, work }) => {
    if (work === null || work.state === 'failed') return [];
    const known = [...desired.nodes, ...desired.leaving];
    const source =
      known.find(({ privateAddress }) => privateAddress === work.source)?.name ?? work.source;
    const amount = formatCopied(work.doneBytes, work.totalBytes);
    const since = formatDuration(work.seconds);
    if (work.kind === 'restore') {
      return [
        work.state === 'done'
          ? `${name}: a restore of ${source} is complete, and a deploy puts it in place.`
          : `${name} is being restored from ${source}: ${amount} after ${since}. The restore goes on without this run; a deploy finishes it.`,
      ];
    }
    if (work.state === 'done') {
      return [
        `${name}: a copy of ${source} is complete (${formatBytes(work.doneBytes)}), and a deploy puts it in place.`,
      ];
    }
    return [
      `${name} is being copied from ${source}: ${amount} after ${since}. The copy goes on without this run; a deploy finishes it.`,
    ];
  });
}
