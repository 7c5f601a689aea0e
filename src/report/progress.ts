import type { EndedRun, MeasuredProgress, NodeWork } from '../cluster/progress.ts';
import { formatBytes, formatCopied, formatDuration } from '../messages/quantities.ts';
import { formatSecond } from '../messages/times.ts';

/**
 * Describes the work of each node in plain text, e.g. `node-2 has copied 197.8 GiB of 465.7 GiB (42 %), 112.5 MiB/s,
 * 41 min left`.
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
      return `${begin} The next run ${rest}: run the job again; a scheduled run that has the secrets of a deploy does the same.`;
    case 'operation':
      return `${begin} The next run ${rest}: run the job again.`;
    case 'backup':
      return `${begin} The backup ends on the node by itself. To wait for its end, give this command again: it goes on with the backup that runs.`;
    case 'repair':
      return `${begin} The next deploy ${rest}. Do not give this command again: it would begin anew.`;
  }
}

function describeAmount({ kind, done, total, reached }: MeasuredProgress): string {
  if (kind === 'copy') return `has copied ${formatCopied(done, total)}`;
  if (kind === 'backup') return `has backed up ${formatCopied(done, total)}`;
  if (kind === 'verification') return `has verified ${formatCopied(done, total)}`;
  if (kind === 'restore') return `has restored ${formatCopied(done, total)} of a backup`;
  const verb = kind === 'replay' ? 'replays' : 'recovers with';
  const amount =
    total === null || done > total
      ? `${verb} WAL, ${formatBytes(done)} so far`
      : `${verb} ${formatBytes(total - done)} of WAL`;
  return reached == null ? amount : `${amount}, and has reached ${formatSecond(reached)}`;
}
