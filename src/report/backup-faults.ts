import { findWindow } from '../cluster/deployed-backup.ts';
import type { BackupObservation, NodeObservation } from '../cluster/observation.ts';
import { formatAge, formatMoment } from '../messages/times.ts';
import { countNoun } from './markdown.ts';

/** A backup is due every day; a large one may take hours. */
const OVERDUE_SECONDS = 36 * 3600;

/**
 * Returns the problems of the backups that the node makes, as sentences of plain text, partly in the node's words. `now`:
 * seconds since the epoch.
 */
export function describeBackupFaults(
  { name, backup }: Pick<NodeObservation, 'name' | 'backup'>,
  now: number,
): string[] {
  if (backup === null) return [];
  if (backup.problem !== null) {
    return [
      `${name}: the backups cannot be read: ${endSentence(backup.problem)}`,
      ...describeDropped(name, backup, now),
    ];
  }
  return [
    ...describeDropped(name, backup, now),
    ...describeFailure(name, backup, now),
    ...describeOverdue(name, backup, now),
    ...describeDamage(name, backup, now),
  ];
}

/** Adds the full stop that a node's words may lack. */
const endSentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

function describeDropped(name: string, backup: BackupObservation, now: number): string[] {
  const { dropped, running } = backup;
  if (dropped === null) return [];
  const window = findWindow(backup);
  const since = formatMoment(dropped.since, now);
  const gap =
    window === null
      ? `Nothing after ${since} UTC can be restored`
      : `What was committed after ${formatMoment(window.until, now)} UTC cannot be restored`;
  const closing =
    running?.type === 'full'
      ? 'the full backup that runs now is complete'
      : 'the next backup, which is a full one, is complete: the action with command: backup begins it at once';
  return [
    `${name}: WAL is missing from the archive since ${since} UTC (${countNoun(dropped.files, 'file')}): it was dropped because the queue was full, a lost primary had not archived it, or nothing was archived for a time. ${gap} until ${closing}.`,
  ];
}

/** A failed run that no later backup made up for. */
function describeFailure(
  name: string,
  { last, backups, running }: BackupObservation,
  now: number,
): string[] {
  const newest = backups.at(-1)?.ended ?? 0;
  if (last === null || last.problem === null || last.ended < newest || running !== null) return [];
  return [
    `${name}: the last backup failed (${formatMoment(last.ended, now)} UTC) and is tried again by itself: ${endSentence(last.problem)}`,
  ];
}

function describeOverdue(
  name: string,
  { backups, running }: BackupObservation,
  now: number,
): string[] {
  const newest = backups.at(-1);
  if (newest === undefined || running !== null || now - newest.ended <= OVERDUE_SECONDS) return [];
  return [
    `${name}: the newest backup is of ${formatMoment(newest.ended, now)} UTC (${formatAge(newest.ended, now)}), and one is due every day. The action with command: backup makes one now; systemctl status 'postgres-cluster-*-backup.*' on ${name} shows why none was made.`,
  ];
}

function describeDamage(name: string, { backups }: BackupObservation, now: number): string[] {
  const newest = backups.at(-1);
  if (!newest?.damaged) return [];
  return [
    `${name}: the newest backup (${newest.label}, ${formatMoment(newest.ended, now)} UTC) has pages whose checksum is wrong, so pages of the database are damaged. Run pg_amcheck on ${name}, and keep the backups from before the damage.`,
  ];
}
