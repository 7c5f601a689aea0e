/**
 * What a merge does to a cluster, in words for a list of pull requests: `refused`, the action will not do it;
 * `destroy`, a resource is destroyed or replaced; `switchover`, another node becomes the primary; `restart`, a server
 * or its instance is restarted; `no-changes`, nothing happens.
 */
export const EFFECTS = ['refused', 'destroy', 'switchover', 'restart', 'no-changes'] as const;

/** One of them. */
export type Effect = (typeof EFFECTS)[number];

/** The label of an effect, e.g. `postgres/restart` with the prefix `postgres/`. */
export const nameLabel = (prefix: string, effect: Effect): string => `${prefix}${effect}`;
