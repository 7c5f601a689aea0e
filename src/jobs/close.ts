import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';
import { beginReport, publishDeployReport } from './run-context.ts';

/** Says in the comment of an unmerged pull request that nothing was applied. */
export async function close(job: Job, announcement: Announcement): Promise<void> {
  const { event } = job.environment;
  const commit = event.payload.pull_request?.head.sha ?? event.sha;
  const report = beginReport(job, { commit });
  await publishDeployReport(announcement, { ...report, progress: { state: 'not-applied' } });
}
