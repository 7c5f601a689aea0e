import type { NodeObservation } from '../cluster/observation.ts';
import { renderDocs } from './docs.ts';
import type { RunInfo } from './footer.ts';
import { renderCode } from './markdown.ts';

/** A restore that is asked for and does not happen. */
export interface IgnoredRestore {
  /** The nodes that hold data; [] if none of them could be looked at. */
  readonly holders: readonly string[];
}

/** Returns why a restore that was asked for does not happen; null if no node that was looked at holds data. */
export function findIgnoredRestore(
  observed: readonly Pick<NodeObservation, 'name' | 'data'>[],
): IgnoredRestore | null {
  const holders = observed.filter(({ data }) => data === 'complete').map(({ name }) => name);
  return holders.length === 0 ? null : { holders };
}

/** Renders that a restore does not happen, and what to do, one line of Markdown. */
export function renderIgnoredRestore({ holders }: IgnoredRestore, run: RunInfo): string {
  const names = holders.map(renderCode).join(', ');
  const what =
    holders.length === 0
      ? '**`restore` has an effect only if no node holds data**, and the nodes were not looked at.'
      : `**\`restore\` has no effect:** ${names} ${holders.length === 1 ? 'holds' : 'hold'} data, and nothing is restored over data.`;
  const link = renderDocs('How to restore', run, 'restore');
  return `${what} Restore into a new cluster, or, if the present data is not wanted any more, remove this one first (\`command: destroy\`).${link === '' ? '' : ` ${link}`}`;
}
