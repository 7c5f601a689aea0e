/** A label of a pull request by which people allow what is refused otherwise. */
export interface PermissionLabel {
  /** The input that names it, e.g. `allow-destroy-label`. */
  readonly input: string;
  /** Its name; null: nothing allows it. */
  readonly label: string | null;
  /** Of the pull request; null without one. */
  readonly labels: readonly string[] | null;
}

/** Whether the pull request carries the label. GitHub takes two names that differ only in case for the same. */
export function isAllowed({ label, labels }: Omit<PermissionLabel, 'input'>): boolean {
  if (label === null || labels === null) return false;
  return labels.some((one) => one.toLowerCase() === label.toLowerCase());
}

/** What to do to have it allowed, as a sentence. */
export function explainPermission({ input, label, labels }: PermissionLabel): string {
  if (label === null) return `To allow it, name a label in ${input}.`;
  if (labels === null) return `To allow it, open a pull request and label it ${label}.`;
  return `If this is wanted, label the pull request ${label} and run this again.`;
}
