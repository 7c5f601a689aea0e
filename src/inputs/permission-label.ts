/** A label of a pull request that allows a change which is otherwise refused. */
export interface PermissionLabel {
  /** The input that names it, e.g. `allow-destroy-label`. */
  readonly input: string;
  /** Its name; null if the change is never allowed. */
  readonly label: string | null;
  /** Labels of the pull request; null without a pull request. */
  readonly labels: readonly string[] | null;
  /** Login of the account that put it on; absent or null if it is not known. */
  readonly by?: string | null;
}

/** Whether the pull request has the label. GitHub ignores the case of label names. */
export function isAllowed({ label, labels }: Omit<PermissionLabel, 'input'>): boolean {
  if (label === null || labels === null) return false;
  return labels.some((one) => one.toLowerCase() === label.toLowerCase());
}

/** Says, in a sentence, how to allow the change. */
export function explainPermission({ input, label, labels }: PermissionLabel): string {
  if (label === null) return `To allow it, name a label in ${input}.`;
  if (labels === null) return `To allow it, open a pull request and label it ${label}.`;
  return `If this is wanted, label the pull request ${label} and run this again.`;
}
