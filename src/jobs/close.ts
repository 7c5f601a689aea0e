import type { RunnerEnvironment } from '../environment.ts';
import { renderDeployComment } from '../report/deploy-comment.ts';
import type { Announcement } from './announcement.ts';

/** Says in the comment of an unmerged pull request that nothing was applied. */
export async function close(options: {
  cluster: string;
  environment: RunnerEnvironment;
  announcement: Announcement;
}): Promise<void> {
  const { cluster, environment, announcement } = options;
  await announcement.publish(
    renderDeployComment({
      cluster,
      progress: { state: 'not-applied' },
      plan: null,
      steps: null,
      proof: [],
      warnings: [],
      run: {
        commit: environment.event.payload.pull_request?.head.sha ?? environment.event.sha,
        url: environment.runUrl,
        time: new Date(),
        terraformVersion: null,
        planDigest: null,
      },
    }),
  );
}
