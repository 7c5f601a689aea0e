import { type BackupSpec, locateRepository } from '../cluster/backup.ts';
import type { Canary, RehearsalRecord, Verification } from '../cluster/rehearsal.ts';
import { formatBytes, formatDuration } from '../messages/quantities.ts';
import { formatAge, formatMoment, formatSecond, toSeconds } from '../messages/times.ts';
import { renderAlert } from './alert.ts';
import { renderPlace } from './backups.ts';
import { COMMENT_BUDGET, fitSections, fixed, type Section, SUMMARY_BUDGET } from './budget.ts';
import { renderFailure, renderTranscripts } from './failure.ts';
import { type RunInfo, renderFooter } from './footer.ts';
import { type Headline, renderHeadline } from './headline.ts';
import { countNoun, renderCode, renderTable, renderText, shortenText } from './markdown.ts';
import { describeCommitAge } from './rehearsed.ts';

/**
 * What a rehearsal does, in this order. `preparing`: removes what an earlier rehearsal left, writes the canary and archives
 * it; `making`: the node, with its packages and the image; `restoring`: from there to a restored primary; `recording`: on the
 * nodes of the cluster; `removing`: the rehearsal's node.
 */
export type RehearsalPhase =
  | 'preparing'
  | 'making'
  | 'restoring'
  | 'verifying'
  | 'recording'
  | 'removing';

/** How a rehearsal failed. */
export interface RehearsalFailure {
  readonly state: 'failed';
  /** The first that failed: `removing` only if everything before succeeded. */
  readonly phase: RehearsalPhase;
  /** Raw messages of any length. */
  readonly error: string;
  /** Why nodes could not be reached, sentences; `error` has the rest, or is empty. */
  readonly explanation?: readonly string[];
  /** What ssh said where nodes could not be reached, one message per node; for the summary. */
  readonly transcripts?: readonly string[];
  /** What to do now, in a sentence. */
  readonly nextStep: string;
  /** Whether `wait-minutes` was over: a rehearsal that did not end says nothing about the backups. Absent: it was not. */
  readonly isOutOfTime?: boolean;
}

/** The rehearsal of the restore of a cluster. */
export interface RehearsalReport {
  /** Name of the cluster whose backups are restored. */
  readonly cluster: string;
  /** Where the backups are. */
  readonly backup: Pick<BackupSpec, 'bucket' | 'prefix' | 'endpoint'>;
  /**
   * Age of the newest archived WAL when the rehearsal began, in seconds: what a disaster would have lost then; null if it is
   * not known.
   */
  readonly walAge: number | null;
  /** What is looked for in the restored database, and the moment to restore to; null until it is written. */
  readonly canary: Canary | null;
  /** What the restored node found; null until it is verified. */
  readonly verification: Verification | null;
  /** What the nodes of the cluster remember of this rehearsal; null until it is verified. */
  readonly record: RehearsalRecord | null;
  /** The last rehearsal before this one that succeeded (`findLastRehearsal`); null if none is known. */
  readonly last: RehearsalRecord | null;
  /** How long it took to make the node and to remove it, in seconds; null until then. */
  readonly seconds: { readonly making: number | null; readonly removing: number | null };
  readonly progress: /** Nothing is left. */
    | { readonly state: 'done' }
    | RehearsalFailure
    | { readonly state: 'cancelled'; readonly phase: RehearsalPhase };
  /** What could not be removed and is billed, in a sentence; null if nothing is left. */
  readonly left: string | null;
  readonly run: RunInfo;
}

/** Renders the job summary of a rehearsal. Markdown. */
export function renderRehearsalSummary(report: RehearsalReport): string {
  const { progress } = report;
  return fitSections(
    [
      fixed(renderHeadline(buildHeadline(report))),
      ...(progress.state === 'failed' ? listFailure(report, progress) : []),
      ...(progress.state === 'cancelled' ? [fixed(addRest(CANCELLED, report))] : []),
      renderLeft(report),
      fixed(progress.state === 'failed' ? renderTranscripts(progress.transcripts) : ''),
      fixed(renderFacts(report)),
      fixed(renderFooter(report.run)),
    ],
    SUMMARY_BUDGET,
  );
}

/** Renders the issue that is open from a failure to the next success. `title` is plain text, `body` Markdown. */
export function renderRehearsalIssue(
  report: RehearsalReport & { readonly progress: RehearsalFailure },
): { title: string; body: string } {
  const sections = [
    ...listFailure(report, report.progress),
    renderLeft(report),
    fixed(renderFacts(report)),
    fixed('This issue is closed by the next rehearsal that succeeds.'),
    fixed(renderFooter(report.run)),
  ];
  return {
    title: `Rehearsal failed: ${report.cluster}`,
    body: fitSections(sections, COMMENT_BUDGET),
  };
}

/** Renders the last comment on the issue; Markdown. */
export function renderRehearsalClosed(report: RehearsalReport): string {
  return `${renderText(describeSuccess(report))}\n\n${renderFooter(report.run)}`;
}

/** Returns the log line for a rehearsal that succeeded, plain text. */
export function describeSuccess({ cluster, record, verification }: RehearsalReport): string {
  const what = `The backups of ${cluster} can be restored`;
  const isOnlyRead = verification?.method === 'pg_dumpall';
  const check = isOnlyRead ? 'read every table of the result' : 'verified the result';
  return record === null
    ? `${what}.`
    : `${what}: a rehearsal restored them to ${formatSecond(record.restoredTo)} in ${formatDuration(record.seconds)} (${formatBytes(record.bytes)}) and ${check}.`;
}

/** What it does in a phase. */
export const PHASE_WORDS: Readonly<Record<RehearsalPhase, string>> = {
  preparing: 'preparing it',
  making: 'making its node',
  restoring: 'restoring',
  verifying: 'verifying what was restored',
  recording: 'recording it',
  removing: 'removing its node',
};

function buildHeadline({ cluster, progress, record, run }: RehearsalReport): Headline {
  if (progress.state !== 'done') {
    const emoji = progress.state === 'failed' ? '❌' : '⏹️';
    const text = `rehearsal ${progress.state} while ${PHASE_WORDS[progress.phase]}`;
    return { emoji, cluster, text };
  }
  const parts = [
    'rehearsed',
    ...(record === null
      ? []
      : [
          `restored to ${formatMoment(record.restoredTo, toSeconds(run.time))} UTC in ${formatDuration(record.seconds)}`,
          formatBytes(record.bytes),
        ]),
  ];
  return { emoji: '✅', cluster, text: parts.join(' · ') };
}

/** What a cancelled rehearsal means. */
export const CANCELLED = 'A rehearsal that was cancelled says nothing about the backups.';

const listFailure = (report: RehearsalReport, failure: RehearsalFailure): Section[] => [
  fixed(addRest(describeMeaning(report, failure), report)),
  renderFailure(failure, report.run),
];

/** Says what a failure means for the backups; Markdown. */
function describeMeaning(
  { cluster, record }: RehearsalReport,
  { phase, isOutOfTime = false }: RehearsalFailure,
): string {
  const name = renderCode(cluster);
  if (isOutOfTime && record === null) {
    return `**The rehearsal of ${name} did not end within \`wait-minutes\`**, so it is not known whether its backups can be restored.`;
  }
  const distrust = 'Do not rely on them until a rehearsal succeeds.';
  switch (phase) {
    case 'preparing':
    case 'making':
      return `**The restore of ${name} could not be rehearsed.** The rehearsal failed before it read the backups, so it is not known whether they can be restored.`;
    case 'restoring':
      return `**The backups of ${name} could not be restored.** ${distrust}`;
    case 'verifying':
      return `**The backups of ${name} were restored, but what was restored could not be verified.** ${distrust} A backup copies files as they are: a table or an index that is damaged here may be damaged in ${name} as well.`;
    case 'recording':
      return `The backups of ${name} were restored and verified. **This could not be recorded on its nodes**, so comments do not mention it.`;
    case 'removing':
      return `The backups of ${name} were restored and verified. **The node of the rehearsal could not be removed.**`;
  }
}

/** Adds that nothing is left of a rehearsal that ended early. What is left has an alert of its own. */
const addRest = (sentences: string, { left }: RehearsalReport): string =>
  left === null ? `${sentences} Nothing of the rehearsal is left or billed.` : sentences;

function renderLeft({ left }: RehearsalReport): Section {
  const items =
    left === null
      ? []
      : [
          `**Not removed:** ${renderText(shortenText(left))} What is left is billed until it is removed; the next rehearsal removes it first.`,
        ];
  return renderAlert('WARNING', { items, shrinkOrder: 3 });
}

/** Renders what is known as a table whose first row is its header. */
function renderFacts(report: RehearsalReport): string {
  const [first, ...rows] = listFacts(report);
  return first === undefined ? '' : renderTable(first, rows, { left: true });
}

type Fact = readonly [label: string, value: string];

function listFacts(report: RehearsalReport): Fact[] {
  const { cluster, backup, walAge, canary, verification, record, progress } = report;
  const place = renderPlace({ ...backup, path: locateRepository({ ...backup, cluster }) });
  const facts: (Fact | null)[] = [
    record && ['Restored to', renderMoment(record)],
    record === null && canary !== null ? ['Restore to', renderInstant(canary.written)] : null,
    record && ['Time', renderTime(record, report)],
    ['Backup', verification === null ? place : `${renderCode(verification.backup)} in ${place}`],
    verification && ['Size', formatBytes(verification.bytes)],
    verification && ['Verification', renderVerification(verification)],
    verification && canary && ['Found', renderFound(canary, cluster)],
    walAge === null
      ? null
      : [
          'Newest archived WAL',
          `${formatDuration(walAge)} old when the rehearsal began; a disaster then would have lost at most what was committed since`,
        ],
    progress.state === 'done' ? ['Removed', renderRemoved(report)] : null,
    progress.state === 'done' ? null : ['Last success', renderLast(report)],
  ];
  return facts.filter((fact) => fact !== null);
}

const renderMoment = ({ restoredTo, commitAge }: RehearsalRecord): string =>
  `${formatSecond(restoredTo)}${commitAge === null ? '' : `, ${describeCommitAge(commitAge)}`}`;

/** Renders a moment in RFC 3339 to the second. */
const renderInstant = (instant: string): string =>
  `${renderText(instant.slice(0, 19).replace('T', ' '))} UTC`;

function renderTime({ seconds: total }: RehearsalRecord, report: RehearsalReport): string {
  const { seconds, verification } = report;
  const parts = [
    ...(seconds.making === null
      ? []
      : [`${formatDuration(seconds.making)} of it to make the node`]),
    ...(verification === null
      ? []
      : [`${formatDuration(verification.restoreSeconds)} to restore and recover`]),
  ];
  return [
    `**${formatDuration(total)}** from the request for a node to the restored database`,
    ...parts,
  ].join(', ');
}

/** What the method did, and did not do. */
const METHOD_WORDS: Readonly<Record<Verification['method'], { does: string; lacks: string }>> = {
  pg_amcheck: {
    does: 'checked every table and B-tree index for damage with `pg_amcheck`',
    lacks: '',
  },
  pg_dumpall: {
    does: 'read every table with `pg_dumpall`',
    lacks:
      '. The image has no `pg_amcheck` with its extension `amcheck`: no damage was looked for, and no index was read',
  },
};

function renderVerification({ relations, databases, verifySeconds, method }: Verification): string {
  const { does, lacks } = METHOD_WORDS[method];
  return `${does} (${relations} in ${countNoun(databases, 'database')}), in ${formatDuration(verifySeconds)}${lacks}`;
}

const renderFound = ({ roles, databases }: Canary, cluster: string): string =>
  `the test row, ${countNoun(roles, 'role')} and ${countNoun(databases, 'database')}, as in ${renderCode(cluster)}`;

const renderRemoved = ({ seconds }: RehearsalReport): string =>
  `its node and volume${seconds.removing === null ? '' : `, in ${formatDuration(seconds.removing)}`}`;

function renderLast({ last, run }: RehearsalReport): string {
  if (last === null) return 'none that the nodes know of';
  const now = toSeconds(run.time);
  return `${formatMoment(last.ended, now)} UTC (${formatAge(last.ended, now)}): restored in ${formatDuration(last.seconds)} (${formatBytes(last.bytes)})`;
}
