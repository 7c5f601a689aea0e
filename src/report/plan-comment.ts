import type { PlanSummary } from '../terraform/plan.ts';
import { renderAlert } from './alert.ts';
import { COMMENT_BUDGET, fitSections, fixed, type Section } from './budget.ts';
import { type Danger, findDangers } from './danger.ts';
import { renderHeadline, summarizeCounts } from './headline.ts';
import { renderCode, renderLink, renderText } from './markdown.ts';
import { renderPlanText } from './plan-text.ts';
import { renderDrift, renderResources } from './resources.ts';
import { type RunInfo, renderFooter } from './run.ts';
import { type DatabasePlan, renderDatabase, summarizeSteps } from './steps.ts';

/** What a pull request would do. */
export interface PlanReport {
  /** Cluster name. */
  readonly cluster: string;
  readonly plan: PlanSummary;
  /** `terraform show -no-color <plan file>`. */
  readonly planText: string;
  readonly database: DatabasePlan;
  /** Sentences, e.g. that a major version is past its end of life. */
  readonly warnings: readonly string[];
  readonly run: RunInfo;
}

/** The comment on a plan: Markdown within `COMMENT_BUDGET`, without the marker it is found by. */
export function renderPlanComment(report: PlanReport): string {
  const quiet = findQuietLine(report);
  if (quiet !== null) {
    return `✅ ${renderCode(report.cluster)}: ${quiet} ${renderFooter(report.run)}\n`;
  }
  const whole = `The whole plan is in the ${renderLink('job summary', report.run.url)}.`;
  return fitSections(listPlanSections(report, whole), COMMENT_BUDGET);
}

/**
 * A plan's sections in reading order; `whole` says in Markdown where everything is that has to be left
 * out. First the wording of the plan gives way, then what was seen outside, then attributes and names.
 */
export function listPlanSections(report: PlanReport, whole: string): Section[] {
  const { plan } = report;
  const dangers = findDangers(plan);
  return [
    fixed(renderPlanHeadline(report, dangers)),
    renderAlert('CAUTION', { items: dangers.map(({ text }) => text), givesWay: 5 }),
    renderAlert('WARNING', { items: report.warnings.map(renderText), givesWay: 4 }),
    fixed(`#### Database\n\n${renderDatabase(report.database)}`),
    renderDrift(plan.drift, { givesWay: 2, whole }),
    renderResources(plan, { givesWay: 3, whole }),
    plan.hasChanges ? renderPlanText(report.planText, { givesWay: 1, whole }) : fixed(''),
    fixed(renderFooter(report.run)),
  ];
}

/** Who has nothing to decide shall not have to read. */
function findQuietLine({ plan, database, warnings }: PlanReport): string | null {
  if (plan.hasChanges || plan.drift.length > 0 || warnings.length > 0) return null;
  if ('notObserved' in database) {
    return 'no infrastructure changes. What the database needs is decided when it is merged, by asking the nodes.';
  }
  return 'steps' in database && database.steps.length === 0 ? 'no changes.' : null;
}

function renderPlanHeadline(
  { cluster, plan, database }: PlanReport,
  dangers: readonly Danger[],
): string {
  const refused = 'refusals' in database && database.refusals.length > 0;
  const parts = [
    summarizeCounts(plan.counts) ||
      (plan.outputs.length > 0 ? 'outputs only' : 'no infrastructure changes'),
    'steps' in database ? summarizeSteps(database.steps) : '',
    refused ? 'database refused' : '',
  ];
  const lost = dangers.some(({ level }) => level === 'loss');
  const sign = refused || lost ? '🛑' : dangers.length > 0 ? '⚠️' : '📋';
  return renderHeadline(sign, cluster, parts.filter((part) => part !== '').join(' · '));
}
