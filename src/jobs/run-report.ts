import { renderDeployComment, renderDeployShort } from '../report/deploy-comment.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import type { RunInfo } from '../report/footer.ts';
import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';

/** Describes the run for a report, before a plan exists. */
export function buildRunInfo(job: Job, commit: string): RunInfo {
  return {
    commit,
    url: job.environment.runUrl,
    time: new Date(),
    action: job.environment.actionRef,
    docs: job.environment.docsUrl,
    tool: null,
    planDigest: null,
  };
}

/** Returns a report that knows only its cluster and its run. */
export function beginReport(
  job: Job,
  { commit, warnings = [] }: { commit: string; warnings?: readonly string[] },
): Omit<DeployReport, 'progress'> {
  return {
    cluster: job.inputs.spec.name,
    plan: null,
    steps: null,
    work: [],
    proof: [],
    storageAlertPercent: job.inputs.storageAlertPercent,
    reviewed: null,
    notes: [],
    warnings,
    run: buildRunInfo(job, commit),
  };
}

/** Updates the comment with the state of a deploy, or of the plan before it. */
export async function publishDeployReport(
  announcement: Announcement,
  report: DeployReport,
): Promise<void> {
  await announcement.publish(report, { body: renderDeployComment, short: renderDeployShort });
}
