import { toSeconds } from '../messages/times.ts';
import { renderAlert } from './alert.ts';
import { hasBackups, renderBackupState } from './backups.ts';
import { COMMENT_BUDGET, fitSections, fixed, SUMMARY_BUDGET } from './budget.ts';
import { renderFooter } from './footer.ts';
import { renderCode, renderText, shortenText } from './markdown.ts';
import { renderDriftNextStep } from './next-step.ts';
import { hideInternals, judge, listPlanSections, type PlanReport } from './plan-comment.ts';

/** The differences between a cluster and its inputs. */
export interface DriftReport extends PlanReport {
  /** What was not compared and why, a sentence that begins with `Not checked:`; null if everything was. */
  readonly notChecked: string | null;
  /** Problems on the nodes that a deploy does not fix, sentences. */
  readonly faults: readonly string[];
}

/** The result of a comparison. */
export type DriftFinding =
  | { readonly kind: 'drift' }
  /** Infrastructure and database match the inputs. */
  | { readonly kind: 'none' }
  /** The infrastructure matches; the nodes were not to be observed. */
  | { readonly kind: 'infrastructure only' }
  /** The infrastructure matches; the nodes could not be observed. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** Returns the result of `report`. `canLogIn`: the job has a private key, so the nodes were to be observed. */
export function judgeDrift(report: DriftReport, { canLogIn }: { canLogIn: boolean }): DriftFinding {
  const { database } = report;
  if (hasDrift(report)) return { kind: 'drift' };
  if (database.kind === 'steps' && database.deferral) {
    return { kind: 'unreachable', reason: `${database.deferral.nodes.join(', ')} did not answer.` };
  }
  if (database.kind !== 'unobserved') return { kind: 'none' };
  return canLogIn
    ? { kind: 'unreachable', reason: database.notObserved }
    : { kind: 'infrastructure only' };
}

/** Inputs without which a comparison leaves something out. */
export type UncheckedSecret = 'postgres-password' | 'replication-password' | 'backup-cipher-key';

/**
 * Returns the sentence on unchecked secrets for `DriftReport.notChecked`; null if all were given. `missing`: the names of
 * the inputs that were not.
 */
export function explainUnchecked(missing: readonly UncheckedSecret[]): string | null {
  const passwords = missing.filter((input) => input !== 'backup-cipher-key');
  const parts = [
    ...(passwords.length === 0 ? [] : [explainPasswords(passwords)]),
    ...(missing.includes('backup-cipher-key')
      ? ['whether the nodes have the right key of the backups, as backup-cipher-key is not given']
      : []),
  ];
  return parts.length === 0 ? null : `Not checked: ${parts.join('; ')}.`;
}

function explainPasswords(missing: readonly UncheckedSecret[]): string {
  if (missing.length > 1) {
    return `whether the roles still have their passwords, as ${missing.join(' and ')} are not given`;
  }
  const [input] = missing;
  const role = input === 'postgres-password' ? 'postgres' : 'replicator';
  return `whether the role ${role} still has its password, as ${input} is not given`;
}

/** Whether anything needs fixing. A node that was not observed shows no drift. */
export function hasDrift(report: DriftReport): boolean {
  return report.faults.length > 0 || differs(report);
}

/** Whether a deploy of the same inputs would change anything. */
function differs(report: PlanReport): boolean {
  // The settings show the last request, which older releases did not record.
  const { plan, database, settings, refusals } = hideInternals(report);
  return (
    plan.hasChanges ||
    plan.drift.some(({ relevant }) => relevant) ||
    settings.changes.length > 0 ||
    refusals.length > 0 ||
    database.kind === 'refused' ||
    (database.kind === 'steps' &&
      (database.steps.length > 0 || (database.deferral?.deferred.length ?? 0) > 0))
  );
}

/** Renders the issue that is open while there is drift. `title` is plain text, `body` Markdown. */
export function renderDriftIssue(report: DriftReport): { title: string; body: string } {
  return {
    title: `Drift: ${report.cluster}`,
    body: fitSections(listDriftSections(report), COMMENT_BUDGET),
  };
}

/** Renders the job summary of a drift check; Markdown. */
export function renderDriftSummary(report: DriftReport): string {
  if (!hasDrift(report)) {
    const { cluster, database, notChecked, run } = report;
    const away = (database.kind === 'steps' && database.deferral?.nodes) || [];
    if (away.length > 0) {
      return `⚠️ ${renderCode(cluster)}: no drift of what could be looked at. ${away.join(', ')} did not answer. ${renderFooter(run)}\n`;
    }
    const found =
      database.kind === 'unobserved'
        ? `no drift of the infrastructure. The nodes were not looked at: ${renderText(shortenText(database.notObserved))}`
        : joinSentences(joinSentences('no drift.', describeState(report)), notChecked);
    return `✅ ${renderCode(cluster)}: ${found} ${renderFooter(run)}\n`;
  }
  return fitSections(listDriftSections(report), SUMMARY_BUDGET);
}

/** Renders the backups that exist, Markdown; null without any. */
const describeState = ({ backups, run }: DriftReport): string | null =>
  (backups && renderBackupState(backups, toSeconds(run.time))) || null;

/** Renders the last comment on the issue; Markdown. */
export function renderDriftClosed({
  notChecked,
  run,
}: Pick<DriftReport, 'notChecked' | 'run'>): string {
  const gone = 'The drift is gone: infrastructure and database match the inputs.';
  return `${joinSentences(gone, notChecked)}\n\n${renderFooter(run)}`;
}

/** Returns the log line for no drift, plain text. */
export function describeNoDrift({ notChecked }: Pick<DriftReport, 'notChecked'>): string {
  return joinSentences('No drift: infrastructure and database match the inputs.', notChecked);
}

const joinSentences = (sentence: string, more: string | null): string =>
  more === null ? sentence : `${sentence} ${more}`;

function listDriftSections(report: DriftReport) {
  const closing =
    report.database.kind === 'unobserved'
      ? 'This issue is closed once a run that can look at the nodes finds no drift.'
      : 'This issue is closed once the drift is gone.';
  const visible = hideInternals(report);
  // That a cluster has no backups is said where it is changed.
  const backups = report.backups && hasBackups(report.backups) ? report.backups : null;
  const [, ...sections] = listPlanSections(
    { ...visible, backups },
    'The whole plan is in the log of the run.',
    differs(report) ? renderDriftNextStep({ verdict: judge(visible), run: report.run }) : '',
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
