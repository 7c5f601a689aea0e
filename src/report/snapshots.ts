import type { SnapshotSpec } from '../cluster/snapshots.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { findSnapshotChange } from '../terraform/snapshot-changes.ts';

/** Renders when snapshots are made and how many are kept; plain text without a full stop. */
export function renderSnapshotPolicy({ keep, time }: Pick<SnapshotSpec, 'keep' | 'time'>): string {
  return `daily at ${time} UTC, the newest ${keep} of each data volume are kept`;
}

/** Renders what a plan changes of the snapshots, one paragraph of Markdown; '' for nothing. `desired`: null for none. */
export function renderSnapshotChange(
  plan: Pick<PlanSummary, 'resources'>,
  desired: SnapshotSpec | null,
): string {
  const change = findSnapshotChange(plan);
  if (change === null) return '';
  if (change.kind === 'end') {
    return '**Snapshots end:** AWS makes no more of the data volumes. Those that exist stay, and nothing deletes them.';
  }
  if (change.kind === 'begin') {
    return desired === null
      ? ''
      : `**Snapshots begin:** AWS makes them ${renderSnapshotPolicy(desired)}.`;
  }
  const { keep, time } = change;
  const parts = [
    ...(keep === null ? [] : [describeKeep(keep)]),
    ...(time === null ? [] : [`they begin at ${time.after} UTC instead of ${time.before}`]),
  ];
  return `**Snapshots change:** ${parts.join('; ')}.`;
}

function describeKeep({ before, after }: { before: number; after: number }): string {
  const kept = `${after} of each data volume are kept instead of ${before}`;
  return after >= before ? kept : `${kept}, and AWS **deletes** the older ones after the next`;
}
