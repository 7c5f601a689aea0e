import {
  type DeployReport,
  renderDeployComment,
  renderDeployShort,
} from '../report/deploy-comment.ts';
import type { RunInfo } from '../report/footer.ts';
import type { DeployCheck } from '../review/deploy-check.ts';
import type { ReviewStore } from '../review/review-store.ts';
import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';
import type { TargetPullRequest } from './target-pull-request.ts';

/** What a job that people follow works with beside the job itself. */
export interface RunContext {
  readonly announcement: Announcement;
  readonly reviewStore: ReviewStore;
  readonly deployCheck: DeployCheck;
  /** Full SHA that is planned or deployed. */
  readonly commit: string;
  /** Sentences that every report has. */
  readonly warnings: readonly string[];
  readonly pullRequest: TargetPullRequest;
  /**
   * The commit that the branch has by now, where this run is a rerun and its own commit is an older one; null where it
   * is not.
   */
  readonly findNewerCommit: () => Promise<string | null>;
}

/** What a report says of its run, before anything is known of a plan. */
export function buildRunInfo(job: Job, commit: string): RunInfo {
  return {
    commit,
    url: job.environment.runUrl,
    time: new Date(),
    action: job.environment.actionRef,
    tool: null,
    planDigest: null,
  };
}

/** A report of which nothing is known yet but what it is of. */
export function beginReport(
  job: Job,
  { commit, warnings = [] }: { commit: string; warnings?: readonly string[] },
): Omit<DeployReport, 'progress'> {
  return {
    cluster: job.inputs.spec.name,
    plan: null,
    steps: null,
    proof: [],
    reviewed: null,
    notes: [],
    warnings,
    run: buildRunInfo(job, commit),
  };
}

/** Makes the comment say where a deploy, or the plan before it, stands. */
export async function publishDeployReport(
  announcement: Announcement,
  report: DeployReport,
): Promise<void> {
  await announcement.publish(report, { body: renderDeployComment, short: renderDeployShort });
}
