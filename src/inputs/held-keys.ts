import type { ClusterKey } from './cluster-schema.ts';
import { type Description, type Given, isSame } from './given.ts';

/**
 * What a plan does with the value that a pull request gives a key. It was written by somebody who may not merge.
 *
 * - `planned`: it goes into the plan and nowhere else. Nothing is contacted at an address that it names.
 * - `identity`: it says which cluster this is or where its state lies. The default branch's counts; where that has no
 *   such file, the plan is one of a new cluster and is made from an empty state.
 * - `rule`: it steers the action, or is contacted. The default branch's counts, or the default.
 */
export type PlanUse = 'planned' | 'identity' | 'rule';

/** What a plan does with each key; docs/review.md has the reasons. */
export const PLAN_USES: Readonly<Record<ClusterKey, PlanUse>> = {
  cluster_name: 'identity',
  instance_type: 'planned',
  replica_count: 'planned',
  region: 'identity',
  primary: 'planned',
  synchronous_replicas: 'planned',
  max_connections: 'planned',
  shared_buffers: 'planned',
  settings: 'planned',
  // Nodes ask its registry which image a tag stands for: planned as long as the registry stays.
  image: 'planned',
  image_tag: 'planned',
  ssh_user: 'rule',
  ssh_public_key: 'planned',
  ssh_cidrs: 'planned',
  client_cidrs: 'planned',
  subnet_ids: 'planned',
  backend: 'identity',
  backend_config: 'identity',
  working_directory: 'identity',
  allow_destroy_label: 'rule',
  allow_plan_label: 'rule',
  label_prefix: 'rule',
  on_plan_change: 'rule',
  comment: 'rule',
  terraform_binary: 'rule',
  require_signature: 'rule',
};

/** A file of a pull request as its plan may use it. */
export interface HeldFile {
  readonly description: Description;
  /** Keys whose value the plan takes from elsewhere, though the pull request changes it. */
  readonly held: readonly ClusterKey[];
}

/**
 * Takes from `proposed`, the file as the merge would leave it, what a plan may use, and the rest from `standing`, the
 * file of the default branch; null: that has none. `blank`: the plan is made from an empty state, so that no backend and
 * no node is contacted.
 */
export function holdBack(
  proposed: Description,
  { standing, blank }: { standing: Description | null; blank: boolean },
): HeldFile {
  const description = new Map<ClusterKey, Given>();
  const held: ClusterKey[] = [];
  for (const key of Object.keys(PLAN_USES) as ClusterKey[]) {
    const [next, now] = [proposed.get(key), standing?.get(key)];
    const isFree = blank ? PLAN_USES[key] !== 'rule' : mayUse(key, { next, now, standing });
    const used = isFree ? next : now;
    if (used !== undefined) description.set(key, used);
    const differs =
      next === undefined || now === undefined ? next !== now : !isSame(key, next, now);
    if (!isFree && differs) held.push(key);
  }
  return { description, held };
}

/** Whether a plan that contacts the backend and the nodes may use the new value. */
function mayUse(
  key: ClusterKey,
  values: { next: Given | undefined; now: Given | undefined; standing: Description | null },
): boolean {
  if (key === 'image') return isSameRegistry(values.next, values.now);
  if (PLAN_USES[key] === 'planned') return true;
  const isPlace = key === 'backend' || key === 'backend_config';
  return PLAN_USES[key] === 'identity' && values.standing === null && !isPlace;
}

function isSameRegistry(a: Given | undefined, b: Given | undefined): boolean {
  return readRegistry(a) === readRegistry(b);
}

/** The host that an image is pulled from; without one it is Docker Hub's (distribution/reference, "familiar names"). */
function readRegistry(image: Given | undefined): string {
  const [host = '', ...rest] = String(image?.value ?? '').split('/');
  return rest.length > 0 && (/[.:]/.test(host) || host === 'localhost') ? host : 'docker.io';
}
