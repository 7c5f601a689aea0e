import type { PlanSummary } from '../terraform/plan.ts';
import { findLosses } from '../terraform/stage.ts';

/**
 * Why the plan may not be applied as it is: nodes with data that it would destroy or replace, and how to allow
 * that. None where it does not, or the pull request carries the label. `label` null: nothing allows it;
 * `labels` null: there is no pull request.
 */
export function refuseLosses(
  plan: PlanSummary,
  {
    label,
    labels,
    partly = false,
  }: {
    label: string | null;
    labels: readonly string[] | null;
    /** The rest of a reviewed plan whose apply had begun. */
    partly?: boolean;
  },
): string[] {
  const losses = findLosses(plan, { partly });
  if (losses.length === 0) return [];
  if (label !== null && labels?.some((one) => one.toLowerCase() === label.toLowerCase())) return [];
  const last = losses.length - 1;
  const wayOut = ` A node that holds data is protected. ${allow(label, labels)}`;
  return losses.map((loss, index) => `${loss}.${index === last ? wayOut : ''}`);
}

function allow(label: string | null, labels: readonly string[] | null): string {
  if (label === null) return 'To allow it, name a label in allow-destroy-label.';
  if (labels === null) return `To allow it, open a pull request and label it ${label}.`;
  return `If this is wanted, label the pull request ${label} and run this again.`;
}
