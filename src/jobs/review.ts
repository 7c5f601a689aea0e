import { CancelledError } from '../errors.ts';
import { renderDeployComment } from '../report/deploy-comment.ts';
import { type PlanReport, renderPlanComment } from '../report/plan-comment.ts';
import type { RunInfo } from '../report/run.ts';
import { renderDeploySummary, renderPlanSummary } from '../report/summary.ts';
import type { Announcement } from './announcement.ts';
import { generateDirectory, type Job, openTerraform, planDirectory } from './job.ts';

/** What a pull request would do: generate, plan, comment. */
export async function review(
  job: Job,
  options: { announcement: Announcement; commit: string; warnings: readonly string[] },
): Promise<void> {
  const { announcement, commit, warnings } = options;
  const cluster = job.request.spec.name;
  const run: RunInfo = {
    commit,
    url: job.environment.runUrl,
    time: new Date(),
    terraformVersion: null,
    planDigest: null,
  };
  try {
    const { terraform, binary } = await openTerraform(job);
    await generateDirectory(job);
    const plan = await planDirectory(job, terraform);
    const report: PlanReport = {
      cluster,
      plan: plan.summary,
      planText: plan.text,
      database: { notObserved: 'a pull request does not log in to the nodes.' },
      warnings,
      run: { ...run, terraformVersion: binary.version, planDigest: plan.digest },
    };
    await announcement.summarize(renderPlanSummary(report));
    await announcement.publish(renderPlanComment(report));
  } catch (error) {
    // A cancelled plan was overtaken by a newer one, which has the comment now.
    if (error instanceof CancelledError) throw error;
    // An older plan must not stand there as if it were this commit's.
    const failed = {
      cluster,
      progress: {
        state: 'failed',
        phase: 'planning',
        error: error instanceof Error ? error.message : String(error),
        nextStep: 'Nothing was changed. Mend what it says and push again.',
      },
      plan: null,
      steps: null,
      proof: [],
      warnings,
      run,
    } as const;
    await announcement.summarize(renderDeploySummary(failed));
    await announcement.publish(renderDeployComment(failed));
    throw error;
  }
}
