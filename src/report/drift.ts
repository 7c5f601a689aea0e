import { COMMENT_BUDGET, fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { renderCode } from './markdown.ts';
import { hideRequest, listPlanSections, type PlanReport } from './plan-comment.ts';
import { type RunInfo, renderFooter } from './run.ts';

/** How what stands differs from what is asked for. */
export type DriftReport = PlanReport;

/** Whether anything differs: a deploy of the same inputs would change it. Who was not looked at shows no drift. */
export function hasDrift(report: DriftReport): boolean {
  // What was asked for last is told by the settings; an older release did not write it down.
  const { plan, database, settings, refusals } = hideRequest(report);
  return (
    plan.hasChanges ||
    plan.drift.some(({ relevant }) => relevant) ||
    settings.changes.length > 0 ||
    refusals.length > 0 ||
    ('refusals' in database && database.refusals.length > 0) ||
    ('steps' in database && database.steps.length > 0)
  );
}

/** The issue that stands for as long as there is drift. `title` is plain text, `body` Markdown. */
export function renderDriftIssue(report: DriftReport): { title: string; body: string } {
  return {
    title: `Drift: ${report.cluster}`,
    body: fitSections(listDriftSections(report), COMMENT_BUDGET),
  };
}

/** The job summary of a look for drift; Markdown. */
export function renderDriftSummary(report: DriftReport): string {
  if (!hasDrift(report)) {
    return `✅ ${renderCode(report.cluster)}: no drift. ${renderFooter(report.run)}\n`;
  }
  return fitSections(listDriftSections(report), SUMMARY_BUDGET);
}

/** The last word in the issue; Markdown. */
export function renderDriftClosed(run: RunInfo): string {
  return `The drift is gone: infrastructure and database are what is asked for.\n\n${renderFooter(run)}`;
}

function listDriftSections(report: DriftReport) {
  const [, ...sections] = listPlanSections(
    hideRequest(report),
    'The whole plan is in the log of the run.',
  );
  return [
    fixed(
      `What stands is not what is asked for. A deploy of the present inputs would do what follows. Where the change is wanted, change the inputs instead. This issue is closed once the drift is gone.`,
    ),
    ...sections,
  ];
}
