import type { NodeWork } from '../cluster/progress.ts';
import { describeWork } from '../report/progress.ts';

/**
 * Returns a function that says whether something is due again: often at first, then ever more rarely, so that hours of
 * work are reported in few lines. `shortest` and `longest` are the times between two reports, in ms.
 */
export function createPace({
  shortest,
  longest,
}: {
  shortest: number;
  longest: number;
}): (now: number) => boolean {
  let began: number | null = null;
  let last = Number.NEGATIVE_INFINITY;
  return (now) => {
    began ??= now;
    const interval = Math.min(longest, Math.max(shortest, (now - began) / 10));
    if (now - last < interval) return false;
    last = now;
    return true;
  };
}

/** The times between two lines of the log, in ms. */
const LOG_PACE = { shortest: 5_000, longest: 30_000 };

/** Returns a function that logs what the nodes do on one line, never the same line twice in a row. */
export function createWorkLog(
  log: (line: string) => void,
  now: () => number = Date.now,
): (work: readonly NodeWork[]) => void {
  const isDue = createPace(LOG_PACE);
  let last = '';
  return (work) => {
    const line = describeWork(work).join(' · ');
    if (line === '' || line === last || !isDue(now())) return;
    last = line;
    log(line);
  };
}

/** The times between two updates of a comment: GitHub allows a repository's jobs 1,000 requests an hour together. */
const COMMENT_PACE = { shortest: 30_000, longest: 600_000 };

/** Returns a function that calls `show`, which shows the present report in the comment, unless the last call is too recent. */
export function createWorkPublisher(show: () => void, now: () => number = Date.now): () => void {
  const isDue = createPace(COMMENT_PACE);
  return () => {
    if (isDue(now())) show();
  };
}
