import { CLUSTER_KEYS, type ClusterKey } from './cluster-schema.ts';
import { type Description, type InputValue, isSameValue } from './combine.ts';

/**
 * What a plan does with the value that a pull request gives a key. It was written by somebody who may not merge.
 *
 * - `planned`: it goes into the plan and nowhere else. Nothing is contacted at an address that it names.
 * - `registry`: nodes ask a server that it names. It is planned as long as that server stays the same.
 * - `identity`: it says which cluster this is. The default branch's counts; a file that is new there has its own.
 * - `state`: it says where the state is. The default branch's counts; where that has no such file and the step says
 *   nothing either, an empty state stands for it.
 * - `rule`: it steers the action. The default branch's counts, or the step's, or the default.
 */
export type PlanUse = 'planned' | 'registry' | 'identity' | 'state' | 'rule';

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
  image: 'registry',
  image_tag: 'planned',
  ssh_user: 'rule',
  ssh_public_key: 'planned',
  ssh_cidrs: 'planned',
  client_cidrs: 'planned',
  subnet_ids: 'planned',
  instance_profile: 'planned',
  backend: 'state',
  backend_config: 'state',
  working_directory: 'identity',
  allow_destroy_label: 'rule',
  allow_collation_label: 'rule',
  allow_slot_loss_label: 'rule',
  allow_plan_label: 'rule',
  label_prefix: 'rule',
  on_plan_change: 'rule',
  comment: 'rule',
  terraform_binary: 'rule',
  require_signature: 'rule',
};

/**
 * Takes from `proposed`, the file as the merge would leave it, what a plan may use, and the rest from `standing`, the
 * file of the default branch; null: that has none. `blank`: the plan is made from an empty state, so that no backend and
 * no node is contacted.
 */
export function selectPlanValues(
  proposed: Description,
  { standing, blank }: { standing: Description | null; blank: boolean },
): Description {
  const description = new Map<ClusterKey, InputValue>();
  for (const key of CLUSTER_KEYS) {
    const [next, now] = [proposed.get(key), standing?.get(key)];
    const used = isUsable(PLAN_USES[key], { next, now, isNew: standing === null, blank })
      ? next
      : now;
    if (used !== undefined) description.set(key, used);
  }
  return description;
}

function isUsable(
  use: PlanUse,
  {
    next,
    now,
    isNew,
    blank,
  }: { next: InputValue | undefined; now: InputValue | undefined; isNew: boolean; blank: boolean },
): boolean {
  switch (use) {
    case 'planned':
      return true;
    case 'registry':
      return blank || readRegistry(next) === readRegistry(now);
    case 'identity':
      return isNew;
    case 'state':
      return blank;
    case 'rule':
      return false;
  }
}

/** The host that an image is pulled from; without one it is Docker Hub's (distribution/reference, "familiar names"). */
function readRegistry(image: InputValue | undefined): string {
  const [host = '', ...rest] = String(image?.value ?? '').split('/');
  return rest.length > 0 && (/[.:]/.test(host) || host === 'localhost') ? host : 'docker.io';
}

/** Rules of a merge, and the value of each that no other is stricter than. */
const MERGE_RULES = [
  ['on_plan_change', 'fail'],
  ['require_signature', true],
  ['allow_destroy_label', ''],
  ['allow_collation_label', ''],
  ['allow_slot_loss_label', ''],
] as const satisfies readonly (readonly [ClusterKey, unknown])[];

/**
 * What a merge goes by: the description that it brings, `after`, but for the rules of merges. One that it makes looser
 * counts from the next merge on: else a pull request could switch off what holds its own merge to what was shown.
 */
export function keepMergeRules(after: Description, before: Description): Description {
  const description = new Map(after);
  for (const [key, strictest] of MERGE_RULES) {
    const rule = before.get(key);
    if (after.get(key)?.value !== strictest && rule !== undefined) description.set(key, rule);
  }
  return description;
}

/** The keys in which two descriptions come to something else. */
export function listDifferingKeys(a: Description, b: Description): ClusterKey[] {
  return CLUSTER_KEYS.filter((key) => {
    const [left, right] = [a.get(key), b.get(key)];
    return left === undefined || right === undefined
      ? left !== right
      : !isSameValue(key, left, right);
  });
}
