import { fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { listDeploySections } from './deploy-comment.ts';
import type { DeployReport } from './deploy-report.ts';
import { hideInternals, listPlanSections, type PlanReport } from './plan-comment.ts';
import { renderProofDiagram, renderTopologyDiagram } from './topology.ts';

/** Renders the job summary of a plan: the comment, the nodes as a diagram, and the whole plan. Markdown. */
export function renderPlanSummary(report: PlanReport): string {
  return fitSections(
    [
      ...listPlanSections(hideInternals(report), 'The whole plan is in the log of this job.'),
      fixed(renderTopologyDiagram(report.topology)),
    ],
    SUMMARY_BUDGET,
  );
}

/** Renders the job summary of a deploy: the comment, and replication with its lag as a diagram. Markdown. */
export function renderDeploySummary(report: DeployReport): string {
  return fitSections(
    [...listDeploySections(report), fixed(renderProofDiagram(report.proof))],
    SUMMARY_BUDGET,
  );
}
