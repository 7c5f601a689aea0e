/** On what grounds logical slots may be lost, as with `Ground` in terraform/protection.ts. */
export interface SlotConsent {
  /** The input `allow-slot-loss-label`; null: nothing allows a loss. */
  readonly label: string | null;
  /** Of the pull request; null without one. */
  readonly labels: readonly string[] | null;
}

/** Whether the pull request carries the label. GitHub takes two names that differ only in case for the same. */
export function allowsSlotLoss({ label, labels }: SlotConsent): boolean {
  return label !== null && (labels ?? []).some((one) => one.toLowerCase() === label.toLowerCase());
}

/** The reason (`explainSlotLoss`) with the way that the label is; none without a reason, or where the label is there. */
export function refuseSlotLoss(reason: string | null, consent: SlotConsent): string[] {
  if (reason === null || allowsSlotLoss(consent)) return [];
  const { label, labels } = consent;
  if (label === null) return [`${reason} To let them go, name a label in allow-slot-loss-label.`];
  return [
    labels === null
      ? `${reason} To let them go, open a pull request and label it ${label}.`
      : `${reason} If the loss is wanted, label the pull request ${label} and run this again.`,
  ];
}
