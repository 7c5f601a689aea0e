import type { EndedRun, MeasuredProgress, NodeWork } from '../cluster/progress.ts';
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

/** Says what becomes of the work that goes on without `run`, and what to do. */
export function explainContinuing(run: EndedRun): string {
  const begin = 'Nothing is lost: the work does not depend on this run.';
  const rest = 'finds it, does the rest and proves replication';
  switch (run) {
    case 'deploy':
      return `${begin} The next run ${rest}: run the job again, or wait for the next scheduled run, if that has the secrets of a deploy.`;
    case 'operation':
      return `${begin} The next run ${rest}: run the job again.`;
    case 'repair':
      return `${begin} The next deploy ${rest}. Do not give this command again: it would begin anew.`;
  }
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
