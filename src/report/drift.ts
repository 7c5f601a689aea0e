import { renderAlert } from './alert.ts';
import { COMMENT_BUDGET, fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { renderFooter } from './footer.ts';
import { renderCode, renderText, shortenText } from './markdown.ts';
import { hideInternals, listPlanSections, type PlanReport } from './plan-comment.ts';

/** How what stands differs from what is asked for. */
export interface DriftReport extends PlanReport {
  /** What was left out of the comparison and why, a sentence that begins with `Not checked:`; null: nothing was. */
  readonly notChecked: string | null;
  /** What is wrong on the nodes and is not fixed by a deploy, sentences. */
  readonly faults: readonly string[];
}

/** What a comparison comes to. */
export type DriftFinding =
  | { readonly kind: 'drift' }
  /** Infrastructure and database are what is asked for. */
  | { readonly kind: 'none' }
  /** The infrastructure is; nobody was to look at the nodes. */
  | { readonly kind: 'infrastructure only' }
  /** The infrastructure is; the nodes were to be looked at and could not be. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** What `report` comes to. `canLogIn`: a private key was given, so the nodes were to be looked at. */
export function judgeDrift(report: DriftReport, { canLogIn }: { canLogIn: boolean }): DriftFinding {
  const { database } = report;
  if (hasDrift(report)) return { kind: 'drift' };
  if ('steps' in database && database.deferral) {
    return { kind: 'unreachable', reason: `${database.deferral.nodes.join(', ')} did not answer.` };
  }
  if (!('notObserved' in database)) return { kind: 'none' };
  return canLogIn
    ? { kind: 'unreachable', reason: database.notObserved }
    : { kind: 'infrastructure only' };
}

/**
 * That the passwords were left out, for `DriftReport.notChecked`; null where all were given. `missing`: the names of the
 * inputs that were not.
 */
export function explainPasswords(
  missing: readonly ('postgres-password' | 'replication-password')[],
): string | null {
  const [input] = missing;
  if (input === undefined) return null;
  if (missing.length > 1) {
    return `Not checked: whether the roles still have their passwords, as ${missing.join(' and ')} are not given.`;
  }
  const role = input === 'postgres-password' ? 'postgres' : 'replicator';
  return `Not checked: whether the role ${role} still has its password, as ${input} is not given.`;
}

/** Whether anything is not as it should be. Who was not looked at shows no drift. */
export function hasDrift(report: DriftReport): boolean {
  return report.faults.length > 0 || differs(report);
}

/** Whether a deploy of the same inputs would change anything. */
function differs(report: PlanReport): boolean {
  // What was asked for last is told by the settings; an older release did not write it down.
  const { plan, database, settings, refusals } = hideInternals(report);
  return (
    plan.hasChanges ||
    plan.drift.some(({ relevant }) => relevant) ||
    settings.changes.length > 0 ||
    refusals.length > 0 ||
    ('refusals' in database && database.refusals.length > 0) ||
    ('steps' in database &&
      (database.steps.length > 0 || (database.deferral?.deferred.length ?? 0) > 0))
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
    const { cluster, database, notChecked, run } = report;
    const away = ('steps' in database && database.deferral?.nodes) || [];
    if (away.length > 0) {
      return `⚠️ ${renderCode(cluster)}: no drift of what could be looked at. ${away.join(', ')} did not answer. ${renderFooter(run)}\n`;
    }
    const found =
      'notObserved' in database
        ? `no drift of the infrastructure. The nodes were not looked at: ${renderText(shortenText(database.notObserved))}`
        : joinSentences('no drift.', notChecked);
    return `✅ ${renderCode(cluster)}: ${found} ${renderFooter(run)}\n`;
  }
  return fitSections(listDriftSections(report), SUMMARY_BUDGET);
}

/** The last word in the issue; Markdown. */
export function renderDriftClosed({
  notChecked,
  run,
}: Pick<DriftReport, 'notChecked' | 'run'>): string {
  const gone = 'The drift is gone: infrastructure and database match the inputs.';
  return `${joinSentences(gone, notChecked)}\n\n${renderFooter(run)}`;
}

/** That there is no drift, as plain text for the log. */
export function describeNoDrift({ notChecked }: Pick<DriftReport, 'notChecked'>): string {
  return joinSentences('No drift: infrastructure and database match the inputs.', notChecked);
}

const joinSentences = (sentence: string, more: string | null): string =>
  more === null ? sentence : `${sentence} ${more}`;

function listDriftSections(report: DriftReport) {
  const closing =
    'notObserved' in report.database
      ? 'This issue is closed once a run that can look at the nodes finds no drift.'
      : 'This issue is closed once the drift is gone.';
  const [, ...sections] = listPlanSections(
    hideInternals(report),
    'The whole plan is in the log of the run.',
  );
  const found = differs(report)
    ? 'The cluster differs from its inputs. A deploy of the current inputs would make the changes below. To keep the difference, change the inputs instead.'
    : 'The cluster matches its inputs, but the nodes have a problem that a deploy does not fix.';
  return [
    fixed(`${found} ${closing}`),
    fixed(report.notChecked ?? ''),
    renderAlert('CAUTION', {
      items: report.faults.map((text) => renderText(shortenText(text))),
      shrinkOrder: 8,
    }),
    ...sections,
  ];
}
