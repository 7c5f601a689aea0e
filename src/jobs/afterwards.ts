import * as core from '@actions/core';
import type { CommentPlace } from '../github/sticky-comment.ts';
import type { DeployReport } from '../report/deploy-comment.ts';

// What `main` leaves for `post` in the runner's state, which outlives a kill of the main process.

const TEMPORARY = 'temporary';
const PLACE = 'comment-place';
const PROGRESS = 'progress';

/** The folder with keys and plan files, to be removed whatever happens. */
export function rememberTemporary(path: string): void {
  core.saveState(TEMPORARY, path);
}

/** Where the comment is. */
export function rememberPlace(place: CommentPlace): void {
  core.saveState(PLACE, JSON.stringify(place));
}

/** The report to publish if the job ends without another word; null once it has spoken. */
export function rememberProgress(report: DeployReport | null): void {
  core.saveState(PROGRESS, JSON.stringify(report));
}

/** What `main` left behind. */
export interface Afterwards {
  readonly temporary: string | null;
  readonly place: CommentPlace | null;
  readonly progress: DeployReport | null;
}

/** Reads it back in `post`. */
export function recallAfterwards(): Afterwards {
  const progress = JSON.parse(core.getState(PROGRESS) || 'null') as DeployReport | null;
  return {
    temporary: core.getState(TEMPORARY) || null,
    place: JSON.parse(core.getState(PLACE) || 'null') as CommentPlace | null,
    // Dates travel as text.
    progress: progress && { ...progress, run: { ...progress.run, time: new Date() } },
  };
}
