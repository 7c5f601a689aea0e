import { fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { renderUseBars } from './capacity.ts';
import { listDeploySections } from './deploy-comment.ts';
import type { DeployReport } from './deploy-report.ts';
import { renderTranscripts } from './failure.ts';
import { hideInternals, listPlanSections, type PlanReport } from './plan-comment.ts';
import { renderProofDiagram, renderTopologyDiagram } from './topology.ts';

/** Renders the job summary of a plan: the comment, the nodes as a diagram, their data volumes, and the whole plan. Markdown. */
export function renderPlanSummary(report: PlanReport): string {
  return fitSections(
    [
      ...listPlanSections(hideInternals(report), 'The whole plan is in the log of this job.'),
      fixed(
        report.database.kind === 'unobserved' ? renderTranscripts(report.database.transcripts) : '',
      ),
      fixed(renderTopologyDiagram(report.topology)),
      fixed(
        renderUseBars(
          report.capacity.nodes.map(({ name, storage }) => ({ name, space: storage.data })),
        ),
      ),
    ],
    SUMMARY_BUDGET,
  );
}

/** Renders the job summary of a deploy: the comment, replication with its lag as a diagram, and the data volumes. Markdown. */
export function renderDeploySummary(report: DeployReport): string {
  return fitSections(
    [
      ...listDeploySections(report),
      fixed(
        report.progress.state === 'failed' ? renderTranscripts(report.progress.transcripts) : '',
      ),
      fixed(renderProofDiagram(report.proof)),
      fixed(renderUseBars(report.proof.map(({ name, storage }) => ({ name, space: storage })))),
    ],
    SUMMARY_BUDGET,
  );
}
