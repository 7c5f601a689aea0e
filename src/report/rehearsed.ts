import type { RehearsalRecord } from '../cluster/rehearsal.ts';
import { formatBytes, formatDuration } from '../messages/quantities.ts';
import { DAY, formatAge, formatMoment } from '../messages/times.ts';

/** One that runs every month is never older. */
const RECENT_DAYS = 35;

/**
 * Returns a sentence on the last rehearsal. One that is old, or restored a moment before `from`, says nothing about the
 * backups that exist, so only its age is told. Both and `now` are in seconds since the epoch; null: no moment can be restored.
 */
export function describeRehearsed(
  { ended, restoredTo, seconds, bytes, commitAge }: RehearsalRecord,
  { from, now }: { from: number | null; now: number },
): string {
  const age = formatAge(ended, now);
  const isOld = now - ended > RECENT_DAYS * DAY || from === null || restoredTo < from;
  return isOld
    ? `Last rehearsed ${age}.`
    : `Rehearsed ${age}: restored to ${formatMoment(restoredTo, now)} UTC in ${formatDuration(seconds)} (${formatBytes(bytes)}${commitAge === null ? '' : `, ${describeCommitAge(commitAge)}`}).`;
}

/** Returns how old the newest restored commit was at the restored moment, without a full stop. Both are known to the second. */
export const describeCommitAge = (seconds: number): string =>
  `newest commit ${seconds < 1 ? 'less than 1 s' : formatDuration(seconds)} old then`;
