import { CLUSTER_KEYS, type ClusterKey } from './cluster-schema.ts';
import { isSameValue } from './combine.ts';
import type { Description, InputValue } from './description.ts';

/**
 * How a plan uses a value from a pull request, whose author may not be allowed to merge.
 *
 * - `planned`: the value is used in the plan only. No address in it is contacted.
 * - `registry`: the value names a server that nodes contact. It is used if the server stays the same.
 * - `identity`: the value identifies the cluster. The default branch's is used, or a new file's own.
 * - `state`: the value locates the state. The default branch's is used. If neither that branch nor the step has one, the
 *   plan starts from an empty state.
 * - `rule`: the value controls the action. The default branch's is used, else the step's, else the default.
 */
export type PlanUse = 'planned' | 'registry' | 'identity' | 'state' | 'rule';

/** The use of each key; docs/reference/cluster-file.md has the reasons. */
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
  ssh_via: 'planned',
  instance_connect_endpoint_id: 'planned',
  ssh_address: 'planned',
  internet_via: 'planned',
  avoid_zones: 'planned',
  dns_zone_id: 'planned',
  client_cidrs: 'planned',
  subnet_ids: 'planned',
  instance_profile: 'planned',
  vpc_cidr: 'planned',
  data_volume_size: 'planned',
  data_volume_iops: 'planned',
  data_volume_throughput: 'planned',
  root_volume_size: 'planned',
  kms_key_id: 'planned',
  tags: 'planned',
  backup: 'planned',
  restore: 'planned',
  snapshots: 'planned',
  clone_from: 'planned',
  clone_max_rate: 'planned',
  storage_alert_percent: 'rule',
  wait_minutes: 'rule',
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
 * Takes the values that a plan may use from `proposed`, the file after the merge, and the others from `existing`, the
 * default branch's file (null if it has none). With `blank` the plan starts from an empty state and contacts neither a
 * backend nor a node.
 */
export function selectPlanValues(
  proposed: Description,
  { existing, blank }: { existing: Description | null; blank: boolean },
): Description {
  const description = new Map<ClusterKey, InputValue>();
  for (const key of CLUSTER_KEYS) {
    const [next, now] = [proposed.get(key), existing?.get(key)];
    const used = isUsable(PLAN_USES[key], { next, now, isNew: existing === null, blank })
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

/** Returns the host of an image's registry, by default Docker Hub's (distribution/reference, "familiar names"). */
function readRegistry(image: InputValue | undefined): string {
  const [host = '', ...rest] = String(image?.value ?? '').split('/');
  return rest.length > 0 && (/[.:]/.test(host) || host === 'localhost') ? host : 'docker.io';
}

/** Rules of a merge, with the strictest value of each. */
const MERGE_RULES = [
  ['on_plan_change', 'fail'],
  ['require_signature', true],
  ['allow_destroy_label', ''],
  ['allow_collation_label', ''],
  ['allow_slot_loss_label', ''],
] as const satisfies readonly (readonly [ClusterKey, unknown])[];

/**
 * Returns `after`, the description that a merge brings, with the rules from `before` unless the new ones are the
 * strictest. Otherwise a pull request could switch off the check of its own merge.
 */
export function keepMergeRules(after: Description, before: Description): Description {
  const description = new Map(after);
  for (const [key, strictest] of MERGE_RULES) {
    const rule = before.get(key);
    if (after.get(key)?.value !== strictest && rule !== undefined) description.set(key, rule);
  }
  return description;
}

/** Lists the keys whose values differ. */
export function listDifferingKeys(a: Description, b: Description): ClusterKey[] {
  return CLUSTER_KEYS.filter((key) => {
    const [left, right] = [a.get(key), b.get(key)];
    return left === undefined || right === undefined
      ? left !== right
      : !isSameValue(key, left, right);
  });
}
