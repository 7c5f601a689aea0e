import type { MeasuredProgress, NodeWork } from '../cluster/progress.ts';
import { formatBytes } from './markdown.ts';

/**
 * Describes the work of each node in plain text, e.g. `node-2 copies 197.8 GiB of 465.7 GiB (42 %), 112.5 MiB/s, 41 min
 * left`.
 */
export function describeWork(work: readonly NodeWork[]): string[] {
  return work.map((one) => {
    if (one.kind === 'step') return `${one.node} goes on with the step ${one.step}`;
    return [
      `${one.node} ${describeAmount(one)}`,
      one.rate === null ? '' : `${formatBytes(Math.round(one.rate))}/s`,
      one.left === null ? '' : `${formatDuration(one.left)} left`,
    ]
      .filter((part) => part !== '')
      .join(', ');
  });
}

/** Says what becomes of the work that goes on without the run. `isCommand`: the run would begin anew if it ran again. */
export function explainContinuing({ isCommand = false }: { isCommand?: boolean } = {}): string {
  if (isCommand) {
    return 'Nothing is lost: the work does not depend on this run. Deploy to finish it: the deploy finds the work, does the rest and proves replication. Do not run this command again for that.';
  }
  return 'Nothing is lost: the work does not depend on this run. The next run finds it, does the rest and proves replication: run the job again, or wait for the next scheduled run.';
}

function describeAmount({ kind, done, total }: MeasuredProgress): string {
  if (kind === 'copy') {
    // An estimate that was exceeded says nothing any more.
    if (total === null || done > total || total === 0) return `copies, ${formatBytes(done)} so far`;
    const percent = Math.floor((done / total) * 100);
    return `copies ${formatBytes(done)} of ${formatBytes(total)} (${percent} %)`;
  }
  const verb = kind === 'replay' ? 'replays' : 'recovers with';
  return total === null || done > total
    ? `${verb} WAL, ${formatBytes(done)} so far`
    : `${verb} ${formatBytes(total - done)} of WAL`;
}

/** Returns e.g. `15 s`, `41 min` or `5 h 12 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}
