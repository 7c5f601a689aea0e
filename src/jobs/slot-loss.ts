import type { Inputs } from '../inputs/inputs.ts';
import { explainPermission, isAllowed, type PermissionLabel } from '../inputs/permission-label.ts';
import type { Permissions } from '../report/losses.ts';

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

/** Returns the reason of a loss with the way to allow it; nothing without a reason, or if it is allowed. */
export function refuseLoss(reason: string | null, permission: PermissionLabel): string[] {
  if (reason === null || isAllowed(permission)) return [];
  return [`${reason} ${explainPermission(permission)}`];
}
