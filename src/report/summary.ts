import { fitSections, SUMMARY_BUDGET } from './budget.ts';
import { type DeployReport, listDeploySections } from './deploy-comment.ts';
import { listPlanSections, type PlanReport } from './plan-comment.ts';

/** The job summary of a plan: what the comment says, with room for the whole plan. Markdown. */
export function renderPlanSummary(report: PlanReport): string {
  return fitSections(
    listPlanSections(report, 'The whole plan is in the log of this job.'),
    SUMMARY_BUDGET,
  );
}

/** The job summary of a deploy: what the comment says. Markdown. */
export function renderDeploySummary(report: DeployReport): string {
  return fitSections(listDeploySections(report), SUMMARY_BUDGET);
}
