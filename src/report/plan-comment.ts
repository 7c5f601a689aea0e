import type { SlotFate } from '../cluster/rollout/logical-slots.ts';
import type { TopologyChange } from '../cluster/rollout/topology.ts';
import { toSeconds } from '../messages/times.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { DATABASE_OUTPUT } from '../terraform/plan-differences.ts';
import { isStarterRemoval } from '../terraform/starter.ts';
import { renderAlert } from './alert.ts';
import { summarizeBackupSteps } from './backup-steps.ts';
import { type BackupReport, hasBackups, renderBackupState, renderBackups } from './backups.ts';
import { COMMENT_BUDGET, fitSections, fixed, type Section } from './budget.ts';
import type { CapacityReport } from './capacity.ts';
import { countUndescribed, isNewCluster, summarizeChanges } from './changes.ts';
import { renderDocs } from './docs.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { mayPause } from './foresight.ts';
import { type Headline, renderHeadline, renderTitle } from './headline.ts';
import { type IgnoredRestore, renderIgnoredRestore } from './ignored-restore.ts';
import { renderLogicalSlots } from './logical-slots.ts';
import { type Losses, listLosses, type Permissions } from './losses.ts';
import { countNoun, renderCode, renderLink, renderText, shortenText } from './markdown.ts';
import { type NextStep, renderNextStep } from './next-step.ts';
import { renderOverview } from './overview.ts';
import { renderPlanText } from './plan-text.ts';
import { renderDrift, renderResources } from './resources.ts';
import { findRisks } from './risks.ts';
import { renderSettings, type SettingsReport } from './settings.ts';
import { renderSnapshotChange, renderSnapshotPolicy } from './snapshots.ts';
import { type DatabasePlan, renderDatabase, summarizeSteps } from './steps.ts';
import { renderStorage } from './storage.ts';
import { renderTopology } from './topology.ts';

/** The changes that a pull request would make. */
export interface PlanReport {
  /** Cluster name. */
  readonly cluster: string;
  readonly plan: PlanSummary;
  /** `terraform show -no-color <plan file>`. */
  readonly planText: string;
  readonly database: DatabasePlan;
  readonly settings: SettingsReport;
  /** The fate of the primary's logical slots; [] without slots or if the primary was not observed. */
  readonly logicalSlots: readonly SlotFate[];
  /** Which of them are lost and how to keep them, sentences; null if none is lost. */
  readonly slotLoss: string | null;
  /** What is deleted or ends of the backups, sentences; null if nothing. */
  readonly backupLoss: string | null;
  /** The labels that allow losses. */
  readonly permissions: Permissions;
  /** Every node before and after. */
  readonly topology: readonly TopologyChange[];
  /** How long commits wait for replicas that the change stops; null if they do not. */
  readonly writesWait: string | null;
  /** How full the data volumes are, and what was kept on them. */
  readonly capacity: CapacityReport;
  /** The backups before the change and after it; null: the report says nothing about them. */
  readonly backups: BackupReport | null;
  /** Why the infrastructure change is refused, whatever the labels, sentences. */
  readonly refusals: readonly string[];
  /** A restore that the pull request asks for and that does not happen; absent without one. */
  readonly ignoredRestore?: IgnoredRestore;
  /** Sentences, e.g. that a major version is past its end of life. */
  readonly warnings: readonly string[];
  /** Recent modifications of the volumes that the plan modifies, sentences; absent if it modifies none. */
  readonly volumeNotes?: readonly string[];
  readonly run: RunInfo;
}

/** Renders the comment on a plan: Markdown within `budget` bytes, without the marker. */
export function renderPlanComment(report: PlanReport, budget = COMMENT_BUDGET): string {
  const quiet = renderQuietLine(report);
  if (quiet !== null) {
    return `✅ ${renderCode(report.cluster)}: ${quiet} ${renderFooter(report.run)}\n`;
  }
  return fitSections(listPlanSections(hideInternals(report), renderWhole(report)), budget);
}

/** Renders headline, risks and footer only, for a comment without room for more; Markdown. */
export function renderPlanShort(report: PlanReport): string {
  const [headline, ...rest] = listPlanSections(hideInternals(report), renderWhole(report));
  const alerts = rest.slice(0, 2);
  const next = fixed(renderNextStep({ ...report, verdict: judge(report) }));
  const footer = fixed(`${renderWhole(report)}\n\n${renderFooter(report.run)}`);
  return fitSections([headline as Section, ...alerts, next, footer], SHORT_BUDGET);
}

/** Size limit of the short form. */
const SHORT_BUDGET = 4_000;

/** Returns the headline as plain text on one line. */
export function renderPlanTitle(report: PlanReport): string {
  return renderTitle(buildHeadline(hideInternals(report)));
}

const renderWhole = ({ run }: PlanReport): string =>
  `The whole plan is in the ${renderLink('job summary', run.url)}.`;

/**
 * Returns a plan's sections in reading order; `whole` says in Markdown where to find what has to be left out. The
 * wording of the plan shrinks first, then changes outside Terraform, then unchanged lines, attributes and names; risks
 * shrink last. `next`: one line of Markdown instead of what happens to the pull request; '' for none.
 */
export function listPlanSections(
  report: PlanReport,
  whole: string,
  next: string = renderNextStep({ ...report, verdict: judge(report) }),
): Section[] {
  const { plan, topology, run } = report;
  const nodes = renderTopology(topology, { shrinkOrder: 5, whole });
  return [
    fixed(renderHeadline(buildHeadline(report))),
    ...renderAlerts(report),
    renderOverview(plan, { topology, run, backups: report.backups }),
    // The nodes of a new cluster are what it is; those of another are what the steps lead to.
    ...(isNewCluster(plan) ? [nodes] : []),
    fixed('#### Database'),
    renderSettings(report.settings, { shrinkOrder: 6, whole }),
    renderDatabase(report.database, {
      shrinkOrder: 7,
      whole,
      isRefused: judge(report) !== 'planned',
    }),
    renderLogicalSlots(report.logicalSlots, { shrinkOrder: 5, whole }),
    ...(isNewCluster(plan) ? [] : [nodes]),
    renderStorage({ plan, capacity: report.capacity }, { shrinkOrder: 5, whole }),
    fixed(renderBackupSection(report)),
    renderDrift(plan.drift, { shrinkOrder: 2, whole }),
    renderResources(plan, { undescribed: countUndescribed(plan), shrinkOrder: 3, whole }),
    fixed(renderVolumeNotes(report.volumeNotes ?? [])),
    plan.hasChanges ? renderPlanText(report.planText, { shrinkOrder: 1, whole }) : fixed(''),
    fixed(next),
    fixed(renderFooter(run)),
  ];
}

/** Renders what a person must know before everything else: why it is stopped, what is lost or at risk. */
function renderAlerts(report: PlanReport): Section[] {
  const risks = findRisks(report.plan);
  const { blocked, allowed } = findLosses(report);
  return [
    renderAlert('CAUTION', {
      items: [
        ...(isDown(report) ? ['**No primary answers:** nobody can write now.'] : []),
        ...report.refusals.map(renderRefusal),
        ...blocked,
        ...risks.filter(({ level }) => level === 'risk').map(({ text }) => text),
      ],
      shrinkOrder: 8,
    }),
    renderAlert('WARNING', {
      items: [
        ...(report.ignoredRestore ? [renderIgnoredRestore(report.ignoredRestore, report.run)] : []),
        ...allowed,
        ...risks.filter(({ level }) => level === 'notice').map(({ text }) => text),
        ...report.warnings.map((text) => renderText(shortenText(text))),
      ],
      shrinkOrder: 4,
    }),
  ];
}

/** Renders the backups and what changes of them; the overview of a new cluster says where they go. */
function renderBackupSection({ backups, plan, database, run }: PlanReport): string {
  if (backups === null || isNewCluster(plan)) return '';
  const steps = database.kind === 'steps' ? database.steps : [];
  const snapshots = renderSnapshotChange(plan, backups.snapshots);
  // What the change says of the snapshots is not said twice.
  const absent = { ...backups, snapshots: snapshots === '' ? backups.snapshots : null };
  return [
    hasBackups(backups) ? renderBackups(backups, steps, toSeconds(run.time)) : '',
    snapshots,
    hasBackups(backups) ? '' : renderAbsence(absent, run),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** Says, quietly, that a cluster has no backups. */
function renderAbsence({ snapshots }: BackupReport, run: RunInfo): string {
  const more = snapshots === null ? '' : `, only snapshots: ${renderSnapshotPolicy(snapshots)}`;
  return `<sub>This cluster has no backups${more}. ${renderDocs('Back up and restore', run, 'backups')}</sub>`;
}

/** Returns the losses of a plan. A refused plan loses nothing, whatever the labels. */
const findLosses = (report: PlanReport): Losses =>
  report.refusals.length > 0 ? { blocked: [], allowed: [] } : listLosses(report);

/** Judges a plan: `refused` whatever the labels, `blocked` without a label that allows a loss, else `planned`. */
export function judge(report: PlanReport): NextStep['verdict'] {
  if (report.refusals.length > 0 || report.database.kind === 'refused') return 'refused';
  return findLosses(report).blocked.length > 0 ? 'blocked' : 'planned';
}

/** Removes spent starters from the plan, and the settings, which are shown in a separate table. */
export function hideInternals(report: PlanReport): PlanReport {
  const { plan } = report;
  const outputs = plan.outputs.filter(({ name }) => name !== DATABASE_OUTPUT);
  const resources = plan.resources.filter((resource) => !isStarterRemoval(resource));
  const visible = { ...plan, outputs, resources };
  return { ...report, plan: { ...visible, hasChanges: !isEmpty(visible) } };
}

function isEmpty({ outputs, counts }: PlanSummary): boolean {
  return outputs.length === 0 && Object.values(counts).every((count) => count === 0);
}

/** Whether replicas were observed, but no primary answers. */
function isDown({ topology }: PlanReport): boolean {
  const roles = topology.map(({ before }) => before?.role ?? null);
  return roles.includes('replica') && !roles.includes('primary');
}

/** Renders quiet lines below the resources; empty without notes. */
function renderVolumeNotes(notes: readonly string[]): string {
  const rest = notes.length - MAX_NOTES;
  return [...notes.slice(0, MAX_NOTES), ...(rest > 0 ? [`${countNoun(rest, 'volume')} more.`] : [])]
    .map((text) => `<sub>${renderText(shortenText(text))}</sub>`)
    .join('\n\n');
}

const MAX_NOTES = 6;

const renderRefusal = (refusal: string): string =>
  `**Refused:** ${renderText(shortenText(refusal))}`;

/** Returns one line if there is nothing to review, else null. */
function renderQuietLine(report: PlanReport): string | null {
  const { plan, database, settings, warnings, refusals } = report;
  const isQuiet = [plan.drift, warnings, refusals, settings.changes].every(
    ({ length }) => length === 0,
  );
  if (!isEmpty(plan) || !isQuiet || report.ignoredRestore) return null;
  if (database.kind === 'unobserved') {
    if (database.plannedChanges.some(({ kind }) => kind !== 'unrecorded')) return null;
    const reason = `The nodes were not looked at: ${renderText(shortenText(database.notObserved))}`;
    return database.plannedChanges.length === 0
      ? `no changes, as far as Terraform's state tells. ${reason} The deploy asks them.`
      : `no infrastructure changes. ${reason} The deploy asks them what the database needs.`;
  }
  if (database.kind !== 'steps' || database.steps.length > 0) return null;
  const state = report.backups && renderBackupState(report.backups, toSeconds(report.run.time));
  return state ? `no changes. ${state}` : 'no changes.';
}

function buildHeadline(report: PlanReport): Headline {
  const { cluster, plan, database, settings, writesWait } = report;
  const verdict = judge(report);
  const changes = summarizeChanges(plan);
  const done = database.kind === 'steps' ? database.steps : [];
  // A new cluster is initialised or restored, and copied: nothing else can happen.
  const steps = isNewCluster(plan)
    ? summarizeBackupSteps(done.filter(({ kind }) => kind === 'restore')).join('')
    : summarizeSteps(done, writesWait);
  const parts = [
    verdict,
    changes.length > 0 ? changes.join(' · ') : plan.outputs.length > 0 ? 'outputs only' : '',
    isDown(report) ? 'writes are down' : '',
    steps === '' && settings.changes.length > 0
      ? countNoun(settings.changes.length, 'setting')
      : steps,
    database.kind === 'unobserved' && database.plannedChanges.some(mayPause)
      ? 'pause not known'
      : '',
  ].filter((part) => part !== '');
  const isRisky =
    isDown(report) || findRisks(plan).length > 0 || findLosses(report).allowed.length > 0;
  return {
    emoji: verdict !== 'planned' ? '🛑' : isRisky ? '⚠️' : '📋',
    cluster,
    text: (parts.length === 1 ? [...parts, 'no infrastructure changes'] : parts).join(' · '),
  };
}
