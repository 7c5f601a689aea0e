/**
 * What a merge does to a cluster, for labels in a list of pull requests: `refused`, the action does nothing;
 * `destroy`, a resource is destroyed or replaced; `switchover`, another node becomes the primary; `restart`, a server
 * or its instance is restarted; `no-changes`, nothing happens.
 */
export const EFFECTS = ['refused', 'destroy', 'switchover', 'restart', 'no-changes'] as const;

/** One of the effects. */
export type Effect = (typeof EFFECTS)[number];

/** Returns the label of an effect, e.g. `postgres/restart` with the prefix `postgres/`. */
export const nameLabel = (prefix: string, effect: Effect): string => `${prefix}${effect}`;
