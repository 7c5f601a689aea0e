import { CancelledError, UserError } from '../errors.ts';
import { renderDeployComment } from '../report/deploy-comment.ts';
import { type PlanReport, renderPlanComment } from '../report/plan-comment.ts';
import type { RunInfo } from '../report/run.ts';
import { warnSynchronous } from '../report/steps.ts';
import { renderDeploySummary, renderPlanSummary } from '../report/summary.ts';
import type { Announcement } from './announcement.ts';
import {
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
  refuseForeignCluster,
} from './job.ts';
import { previewRollout } from './preview.ts';

/** What a pull request would do: generate, plan, comment. */
export async function review(
  job: Job,
  options: { announcement: Announcement; commit: string; warnings: readonly string[] },
): Promise<void> {
  const { announcement, commit, warnings } = options;
  const { request } = job;
  const cluster = request.spec.name;
  const run: RunInfo = {
    commit,
    url: job.environment.runUrl,
    time: new Date(),
    terraformVersion: null,
    planDigest: null,
  };
  let refusals: readonly string[] = [];
  try {
    const { terraform, binary } = await openTerraform(job);
    await generateDirectory(job);
    await refuseForeignCluster(job, terraform);
    const plan = await planDirectory(job, terraform, { lock: false });
    const database = await previewRollout(job, plan);
    const { synchronousReplicas, replicaCount: replicas } = request.spec;
    const steps = 'steps' in database ? database.steps : [];
    const synchronous = warnSynchronous({ synchronousReplicas, replicas }, steps);
    const report: PlanReport = {
      cluster,
      plan: plan.summary,
      planText: plan.text,
      database,
      warnings: [...warnings, ...(synchronous === null ? [] : [synchronous])],
      run: { ...run, terraformVersion: binary.version, planDigest: plan.digest },
    };
    await announcement.summarize(renderPlanSummary(report));
    await announcement.publish(renderPlanComment(report));
    refusals = 'refusals' in database ? database.refusals : [];
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
  // The comment says so already; a red check keeps it from being merged.
  if (refusals.length > 0) throw new UserError(refusals);
}
