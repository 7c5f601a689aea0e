import type { DatabaseLosses } from '../cluster/rollout/rollout.ts';
import type { Labelers } from '../github/labelers.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { explainPermission, isAllowed, type PermissionLabel } from '../inputs/permission-label.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import { type LossReport, listLosses, type Permissions } from '../report/losses.ts';
import type { PlanSummary } from '../terraform/plan.ts';

/**
 * Builds the permission to lose logical slots.
 *
 * @param labels of the pull request; null without one
 */
export function buildSlotPermission(
  { allowSlotLossLabel: label }: Pick<Inputs, 'allowSlotLossLabel'>,
  labels: readonly string[] | null,
): PermissionLabel {
  return { input: 'allow-slot-loss-label', label, labels };
}

/** Builds the permissions to lose something. `labels`: of the pull request; null without one. */
export function buildPermissions(
  inputs: Pick<Inputs, 'allowSlotLossLabel' | 'allowDestroyLabel'>,
  labels: readonly string[] | null,
): Permissions {
  const { allowDestroyLabel: label } = inputs;
  return {
    destroy: { input: 'allow-destroy-label', label, labels },
    slotLoss: buildSlotPermission(inputs, labels),
  };
}

/**
 * Returns the losses with what was found since. A rollout that goes on finds no loss that it has made, so what is known
 * stays.
 */
export function addLosses(
  known: Omit<LossReport, 'plan'>,
  { slotLoss, backupLoss }: DatabaseLosses,
): Omit<LossReport, 'plan'> {
  return {
    ...known,
    slotLoss: known.slotLoss ?? slotLoss,
    backupLoss: known.backupLoss ?? backupLoss,
  };
}

/** Returns the permissions with who put the labels on. Asks GitHub only if a label allows a loss. */
export async function nameAllowers(
  report: LossReport,
  findLabelers: () => Promise<Labelers>,
): Promise<Permissions> {
  const { destroy, slotLoss } = report.permissions;
  if (!isAllowed(destroy) && !isAllowed(slotLoss)) return report.permissions;
  if (listLosses(report).allowed.length === 0) return report.permissions;
  const labelers = await findLabelers();
  const name = (permission: PermissionLabel): PermissionLabel => ({
    ...permission,
    by: labelers.get((permission.label ?? '').toLowerCase()) ?? null,
  });
  return { destroy: name(destroy), slotLoss: name(slotLoss) };
}

/** Returns the report of a deploy with who allowed its losses, if it has any. */
export async function nameAllowersIn<Report extends Pick<DeployReport, 'plan' | 'losses'>>(
  report: Report,
  findLabelers: () => Promise<Labelers>,
): Promise<Report> {
  const { plan, losses } = report;
  if (plan === null || losses === undefined) return report;
  const permissions = await nameAllowers({ ...losses, plan }, findLabelers);
  return { ...report, losses: { ...losses, permissions } };
}

/**
 * Refuses to change or remove the role of the nodes, with which they archive, before they were looked at: whether backups
 * end is not known then. `notObserved`: why they were not, in a sentence; null if they were.
 */
export function refuseUnseenRole(
  { resources }: Pick<PlanSummary, 'resources'>,
  { notObserved, permission }: { notObserved: string | null; permission: PermissionLabel },
): string[] {
  const changed = resources.find(
    ({ type, name, action }) =>
      type === 'aws_iam_role_policy' &&
      name === 'nodes' &&
      ['update', 'replace', 'delete'].includes(action),
  );
  if (notObserved === null || changed === undefined || isAllowed(permission)) return [];
  return [
    `${changed.address}: what the nodes may do in the bucket of their backups would change, but they could not be looked at first, so whether that ends archiving is not known. Nothing was changed. ${notObserved}`,
  ];
}

/** Returns the reason of a loss with the way to allow it; nothing without a reason, or if it is allowed. */
export function refuseLoss(reason: string | null, permission: PermissionLabel): string[] {
  if (reason === null || isAllowed(permission)) return [];
  return [`${reason} ${explainPermission(permission)}`];
}
