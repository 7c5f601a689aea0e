import * as core from '@actions/core';
import { type PlanReport, renderPlanComment } from '../report/plan-comment.ts';
import { renderPlanSummary } from '../report/summary.ts';
import type { Announcement } from './announcement.ts';
import { generateDirectory, type Job, openTerraform, planDirectory } from './job.ts';

/** What a pull request would do: generate, plan, comment. */
export async function review(
  job: Job,
  options: { announcement: Announcement; commit: string; warnings: readonly string[] },
): Promise<void> {
  const { terraform, binary } = await openTerraform(job);
  await generateDirectory(job);
  const plan = await planDirectory(job, terraform);
  const report: PlanReport = {
    cluster: job.request.spec.name,
    plan: plan.summary,
    planText: plan.text,
    database: { notObserved: 'a pull request does not log in to the nodes.' },
    warnings: options.warnings,
    run: {
      commit: options.commit,
      url: job.environment.runUrl,
      time: new Date(),
      terraformVersion: binary.version,
      planDigest: plan.digest,
    },
  };
  await core.summary.addRaw(renderPlanSummary(report)).write();
  await options.announcement.publish(renderPlanComment(report));
}
