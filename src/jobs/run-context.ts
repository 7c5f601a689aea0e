import type { DeployCheck } from '../review/deploy-check.ts';
import type { ReviewStore } from '../review/review-store.ts';
import type { Announcement } from './announcement.ts';
import type { TargetPullRequest } from './target-pull-request.ts';

/** What a review or a deploy works with, besides the job itself. */
export interface RunContext {
  readonly announcement: Announcement;
  readonly reviewStore: ReviewStore;
  readonly deployCheck: DeployCheck;
  /** Full SHA that is planned or deployed. */
  readonly commit: string;
  /** Sentences for every report. */
  readonly warnings: readonly string[];
  readonly pullRequest: TargetPullRequest;
  /** Returns the branch's head if this run is a rerun for an older commit; else null. */
  readonly findNewerCommit: () => Promise<string | null>;
}
