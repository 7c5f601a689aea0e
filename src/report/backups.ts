import { type BackupSchedule, type BackupSpec, locateRepository } from '../cluster/backup.ts';
import {
  type DeployedBackup,
  findDeployedBackup,
  findGaps,
  findNextBackup,
  findWindow,
  isSameRepository,
  listAllBackups,
  predictExpiry,
} from '../cluster/deployed-backup.ts';
import type { BackupObservation, BackupRecord, NodeObservation } from '../cluster/observation.ts';
import { findLastRehearsal, type RehearsalRecord } from '../cluster/rehearsal.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import type { Step } from '../cluster/rollout/step.ts';
import type { SnapshotSpec } from '../cluster/snapshots.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { formatBytes, formatCopied, formatDuration } from '../messages/quantities.ts';
import { formatAge, formatMoment } from '../messages/times.ts';
import { countNoun, renderCode, shortenText } from './markdown.ts';
import { describeRehearsed } from './rehearsed.ts';

/** What a report says about backups. */
export interface BackupReport {
  /** Cluster name. */
  readonly cluster: string;
  /** Null: no backups. */
  readonly desired: BackupSpec | null;
  /** Of the data volumes; null: none are made. */
  readonly snapshots: SnapshotSpec | null;
  /** Where the primary archives to; null if it does not, or was not looked at. */
  readonly deployed: DeployedBackup | null;
  /** What the repository holds; null if it was not looked at. */
  readonly found: BackupObservation | null;
  /** Whether the primary was looked at. */
  readonly isObserved: boolean;
  /** WAL that waits to be archived. */
  readonly waiting: {
    readonly files: number;
    readonly bytes: number;
    /** Since when the oldest of them waits, in seconds since the epoch; null if none waits. */
    readonly since: number | null;
  };
  /** Used bytes of the primary's data volume, which a full backup reads; null where they are not known. */
  readonly dataBytes: number | null;
  /** The last rehearsal that succeeded; null if the nodes know of none. */
  readonly rehearsal: RehearsalRecord | null;
}

/** Returns what is known about the backups of a cluster. */
export function summarizeBackups(
  observed: readonly NodeObservation[],
  { name: cluster, backup: desired, snapshots }: Pick<ClusterSpec, 'name' | 'backup' | 'snapshots'>,
): BackupReport {
  const primary = observed.find(isRunningPrimary);
  const archiver = primary?.postgres?.archiver;
  return {
    cluster,
    desired,
    snapshots,
    deployed: findDeployedBackup(observed),
    found: primary?.backup ?? null,
    isObserved: primary !== undefined,
    waiting: {
      files: archiver?.waiting ?? 0,
      bytes: archiver?.waitingBytes ?? 0,
      since: archiver?.waitingSince ?? null,
    },
    dataBytes: primary?.storage.data?.usedBytes ?? null,
    rehearsal: findLastRehearsal(observed),
  };
}

/** Segments that wait from which on the report says so: the current one and those on their way always do. */
const MANY_WAITING = 4;
/** So long none of them waits while the bucket answers; in seconds. */
const LONG_WAITING = 600;

/**
 * Renders the backups that exist and their last rehearsal, one paragraph of Markdown; '' if the primary archives nowhere.
 * `now`: seconds since the epoch.
 */
export function renderBackupState(report: BackupReport, now: number): string {
  const { deployed, found, waiting, rehearsal } = report;
  if (deployed === null) return '';
  const place = renderPlace(deployed);
  const rehearsed = (from: number | null) =>
    rehearsal === null ? '' : ` ${describeRehearsed(rehearsal, { from, now })}`;
  const tail = describeWaiting(waiting, now);
  if (found === null || found.problem !== null) {
    const why = found === null ? 'looked at' : 'read';
    return `**Backups:** in ${place}, which could not be ${why}.${rehearsed(null)}${tail}`;
  }
  const { running } = found;
  const work =
    running === null
      ? ''
      : ` A backup (${running.type}) runs: ${formatCopied(running.doneBytes, running.totalBytes)}.`;
  const newest = found.backups.at(-1);
  const window = findWindow(found);
  if (newest === undefined || window === null) {
    return `**Backups:** none yet in ${place}.${work}${tail}`;
  }
  const { from, until } = window;
  const gap = found.dropped === null ? '' : ' (WAL is missing after that)';
  const bytes = listAllBackups(found).reduce(
    (sum, { repositoryBytes }) => sum + repositoryBytes,
    0,
  );
  const parts = [
    `newest ${formatMoment(newest.ended, now)} UTC (${describeType(newest)}, ${formatAge(newest.ended, now)})`,
    `restorable from ${formatMoment(from, now)} to ${formatMoment(until, from)} UTC${describeGaps(found.backups, now)}${gap}`,
    `${formatBytes(bytes)} of backups${found.walBytes === null ? '' : ` and ${formatBytes(found.walBytes)} of WAL`} in ${place}`,
  ];
  return `**Backups:** ${parts.join(', ')}.${rehearsed(from)}${work}${tail}`;
}

/**
 * Renders the backups and what `steps` change of them, paragraphs of Markdown; '' for a cluster that has none and gets
 * none. `now`: seconds since the epoch.
 */
export function renderBackups(report: BackupReport, steps: readonly Step[], now: number): string {
  return [renderBackupState(report, now), ...renderPolicy(report, steps, now)]
    .filter((text) => text !== '')
    .join('\n\n');
}

/**
 * Renders the backups after a deploy that did `steps`, one paragraph of Markdown; '' without any. `report` is from before
 * its last steps. `now`: seconds since the epoch.
 */
export function renderBackupsAfter(
  report: BackupReport,
  steps: readonly Step[],
  now: number,
): string {
  const { cluster, desired, deployed } = report;
  const isWritten = steps.some(({ kind }) => kind === 'archive');
  if (desired === null) {
    return deployed !== null && isWritten
      ? `**Backups ended.** What ${renderPlace(deployed)} holds stays there, and nothing deletes it.`
      : '';
  }
  const made = steps.find((step) => step.kind === 'backup');
  if (made === undefined) {
    return isWritten
      ? `**Backups:** ${renderBackupPolicy({ cluster, desired })}.`
      : renderBackupState(report, now);
  }
  const from = findBeginning(report, desired, now);
  const path = locateRepository({ ...desired, cluster });
  const kept = report.found?.backups.filter(({ ended }) => from !== null && ended >= from) ?? [];
  const parts = [
    `newest made by this run (${made.type})`,
    `restorable from ${from === null ? 'its end' : `${formatMoment(from, now)} UTC`} on${describeGaps(kept, now)}`,
    `in ${renderPlace({ ...desired, path })}`,
  ];
  return `**Backups:** ${parts.join(', ')}.`;
}

/** More gaps than this would not be read. */
const MAX_GAPS = 3;

/** Returns which moments before the end of the newest backup cannot be restored, an end of a sentence; '' for none. */
function describeGaps(backups: readonly BackupRecord[], now: number): string {
  const gaps = findGaps(backups);
  if (gaps.length === 0) return '';
  const texts = gaps
    .slice(-MAX_GAPS)
    .map(({ from, until }) => `${formatMoment(from, now)} to ${formatMoment(until, from)}`);
  const more = gaps.length - texts.length;
  const rest = more === 0 ? '' : `, and ${countNoun(more, 'earlier gap')}`;
  return ` **except ${texts.join(', ')}** (WAL is missing${rest})`;
}

/** Returns the first moment that can be restored after one more backup; null: its own end. */
function findBeginning(
  { cluster, deployed, found }: BackupReport,
  backup: BackupSpec,
  now: number,
): number | null {
  const isOther = deployed === null || !isSameRepository(deployed, { backup, cluster });
  if (isOther || found === null || found.dropped !== null) return null;
  const expiry = predictExpiry(found, { retentionDays: backup.retentionDays, at: now });
  return (expiry === null ? found.backups[0] : expiry.restorable)?.ended ?? null;
}

/** Whether the cluster has backups or gets them. */
export const hasBackups = ({ desired, deployed }: BackupReport): boolean =>
  desired !== null || deployed !== null;

function renderPolicy(report: BackupReport, steps: readonly Step[], now: number): string[] {
  const { cluster, desired, deployed } = report;
  if (desired === null) {
    return deployed === null
      ? []
      : [
          '**Backups end:** nothing more is archived, and no more backups are made. What the bucket holds stays there, and nothing deletes it.',
        ];
  }
  if (deployed === null) {
    const policy = renderBackupPolicy({ cluster, desired });
    return report.isObserved || steps.some(({ kind }) => kind === 'archive')
      ? [`**Backups begin:** ${policy}.${describeFirst(report, steps)}`]
      : [`**Backups:** ${policy}. What is there is not known: the nodes were not looked at.`];
  }
  if (!isSameRepository(deployed, { backup: desired, cluster })) {
    return [
      `**Backups move:** ${renderBackupPolicy({ cluster, desired })}.${describeFirst(report, steps)} What ${renderPlace(deployed)} holds stays there, and nothing deletes it.`,
    ];
  }
  return [...describeSchedule(deployed, desired), ...describeRetention(report, desired, now)];
}

function describeSchedule({ schedule: before }: DeployedBackup, { schedule }: BackupSpec) {
  if (before === null || isSameSchedule(before, schedule)) return [];
  return [`**Backups change:** ${describeTimes(schedule)} instead of ${describeTimes(before)}.`];
}

const isSameSchedule = (a: BackupSchedule, b: BackupSchedule): boolean =>
  a.time === b.time && a.fullOn === b.fullOn;

function describeRetention(
  { deployed, found }: BackupReport,
  { retentionDays: after, schedule }: BackupSpec,
  now: number,
): string[] {
  const before = deployed?.retentionDays ?? null;
  if (before === null || before === after) return [];
  const change = `**Backups change:** ${countNoun(after, 'day')} are kept instead of ${before}`;
  if (after > before) return [`${change}.`];
  const { backups = [] } = found ?? {};
  if (found === null || found.problem !== null || backups.length === 0) {
    return [`${change}: what is older is deleted after the next backup.`];
  }
  const at = findNextBackup(schedule, now);
  const all = listAllBackups(found);
  const expiry = predictExpiry(found, { retentionDays: after, at });
  const when = `after the next backup (${formatMoment(at, now)} UTC)`;
  if (expiry === null) return [`${change}: none of the ${all.length} is deleted ${when}.`];
  const { deleted, oldestKept, restorable } = expiry;
  const from =
    restorable === oldestKept
      ? 'from that moment on'
      : restorable === null
        ? 'nothing before the next full backup'
        : `from ${formatMoment(restorable.ended, now)} UTC on`;
  return [
    `${change}: ${when}, backups before the full one of ${formatMoment(oldestKept.ended, now)} UTC are **deleted** (${deleted.length} of ${all.length}). Restorable then: ${from}.`,
  ];
}

/** Returns what a step of these does at once, as a sentence; '' without a full backup. */
function describeFirst({ dataBytes, deployed }: BackupReport, steps: readonly Step[]): string {
  const isMade = steps.some((step) => step.kind === 'backup' && step.type === 'full');
  if (!isMade) return '';
  const size = dataBytes === null ? '' : ` of about ${formatBytes(dataBytes)}`;
  return ` The first full backup${deployed === null ? '' : ' there'}${size} starts with this merge.`;
}

/** Renders where backups go, when they are made and how long they are kept; Markdown without a full stop. */
export function renderBackupPolicy({
  cluster,
  desired,
}: {
  cluster: string;
  desired: BackupSpec;
}): string {
  const path = locateRepository({ ...desired, cluster });
  const kept = `kept ${countNoun(desired.retentionDays, 'day')}`;
  return `${renderPlace({ ...desired, path })}, ${describeTimes(desired.schedule)}, ${kept}`;
}

const describeTimes = ({ time, fullOn }: BackupSchedule): string =>
  `daily at ${time} UTC, full on ${fullOn.slice(0, 1).toUpperCase()}${fullOn.slice(1)}s`;

const describeType = ({ type }: BackupRecord): string => (type === 'full' ? 'full' : 'incremental');

/** Returns what waits to be archived, as a sentence after others; '' if it is little and has just come. */
function describeWaiting({ files, bytes, since }: BackupReport['waiting'], now: number): string {
  const seconds = since === null ? 0 : now - since;
  const isLong = seconds > LONG_WAITING;
  if (files < MANY_WAITING && !isLong) return '';
  const wait = `${countNoun(files, 'WAL file')} (${formatBytes(bytes)}) ${files === 1 ? 'waits' : 'wait'} to be archived`;
  if (!isLong) return ` ${wait}.`;
  return ` ${wait}, ${files === 1 ? '' : 'the oldest '}for ${formatDuration(seconds)}.`;
}

/** A place longer than this would not be read. */
const MAX_PLACE = 400;

/** Renders a repository of backups, e.g. `s3://acme-backups/production/orders`; Markdown. */
export function renderPlace({
  bucket,
  path,
  endpoint,
}: Pick<DeployedBackup, 'bucket' | 'path' | 'endpoint'>): string {
  const place = renderCode(shortenText(`s3://${bucket}${path}`, MAX_PLACE));
  return endpoint === null ? place : `${place} at ${renderCode(shortenText(endpoint, MAX_PLACE))}`;
}
