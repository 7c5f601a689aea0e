import { renderDeployComment, renderDeployShort } from '../report/deploy-comment.ts';
import type { DeployReport, DeployState } from '../report/deploy-report.ts';
import type { RunInfo } from '../report/footer.ts';
import type { DeployConclusion } from '../review/deploy-check.ts';
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

const CONCLUSIONS: Partial<Record<DeployState['state'], DeployConclusion>> = {
  done: 'success',
  cancelled: 'cancelled',
  // A scheduled run looks for it.
  continuing: 'neutral',
};

/** Returns the conclusion of the check run of a deploy that ended like this. */
export function concludeDeploy({ state }: Pick<DeployState, 'state'>): DeployConclusion {
  return CONCLUSIONS[state] ?? 'failure';
}

const RENDERERS = { body: renderDeployComment, short: renderDeployShort };

/** Shows the present state of a deploy, or of the plan before it, in the comment. Nothing waits for it. */
export function showDeployReport(announcement: Announcement, report: DeployReport): void {
  announcement.show(report, RENDERERS);
}

/** Writes how a deploy, or the plan before it, ended into the comment. `recorded`: see `Announcement.publish`. */
export async function publishDeployReport(
  announcement: Announcement,
  report: DeployReport,
  recorded?: Promise<unknown>,
): Promise<void> {
  await announcement.publish(report, RENDERERS, recorded);
}
