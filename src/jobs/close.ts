import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';
import { beginReport, publishDeployReport } from './run-report.ts';

/** Comments on a pull request that was closed without a merge that nothing was applied. */
export async function close(job: Job, announcement: Announcement): Promise<void> {
  const { event } = job.environment;
  const commit = event.payload.pull_request?.head.sha ?? event.sha;
  const report = beginReport(job, { commit });
  await publishDeployReport(announcement, { ...report, progress: { state: 'not-applied' } });
}
