import { kindOf } from './node-changes.ts';
import type { PlanSummary, ResourceChange } from './plan.ts';

/** The policy that makes snapshots of the data volumes. */
const POLICY = 'aws_dlm_lifecycle_policy.snapshots';
const KEEP = 'policy_details[0].schedule[0].retain_rule[0].count';
const TIME = 'policy_details[0].schedule[0].create_rule[0].times';

/** Both sides of a value that differs. */
export interface Difference<Value> {
  readonly before: Value;
  readonly after: Value;
}

/** What a plan does to the snapshots of the data volumes. */
export type SnapshotChange =
  | { readonly kind: 'begin' }
  | { readonly kind: 'end' }
  | {
      readonly kind: 'change';
      /** Snapshots of each volume that are kept; null: as many as before. */
      readonly keep: Difference<number> | null;
      /** In UTC; null: as before. */
      readonly time: Difference<string> | null;
    };

/** Returns what the plan does to the snapshots; null for nothing that a person has to know. */
export function findSnapshotChange({
  resources,
}: Pick<PlanSummary, 'resources'>): SnapshotChange | null {
  const policy = resources.find((one) => kindOf(one) === POLICY && one.deposed === null);
  if (policy?.action === 'create') return { kind: 'begin' };
  if (policy?.action === 'delete') return { kind: 'end' };
  if (policy?.action !== 'update') return null;
  const keep = readDifference(policy, KEEP, (value) => (typeof value === 'number' ? value : null));
  const time = readDifference(policy, TIME, readFirst);
  return keep === null && time === null ? null : { kind: 'change', keep, time };
}

/**
 * Explains what the plan ends or deletes of the snapshots, as sentences; null if nothing. As with backups, that needs more
 * than a merge.
 */
export function explainSnapshotLoss(plan: Pick<PlanSummary, 'resources'>): string | null {
  const change = findSnapshotChange(plan);
  if (change?.kind === 'end') {
    return 'snapshots is removed: no more snapshots of the data volumes are made. Those that exist stay, and nothing deletes them.';
  }
  if (change?.kind !== 'change' || change.keep === null) return null;
  const { before, after } = change.keep;
  return after >= before
    ? null
    : `snapshots.keep: ${after} instead of ${before} snapshots of each data volume are kept, so AWS deletes the older ones.`;
}

function readDifference<Value>(
  { attributes }: ResourceChange,
  path: string,
  read: (value: unknown) => Value | null,
): Difference<Value> | null {
  const { before, after } = attributes.find((one) => one.path === path) ?? {};
  if (before?.kind !== 'known' || after?.kind !== 'known') return null;
  const sides = { before: read(before.value), after: read(after.value) };
  return sides.before === null || sides.after === null
    ? null
    : { before: sides.before, after: sides.after };
}

/** Returns the one text of a list; null if it is another value. */
function readFirst(value: unknown): string | null {
  const [first] = Array.isArray(value) ? value : [];
  return typeof first === 'string' ? first : null;
}
