import { archive, archiveReplicas, backUp } from './backups.ts';
import {
  admit,
  bringUpPrimary,
  bringUpReplicas,
  endStrayCopies,
  liftFence,
  prepare,
  provision,
  relaxQuorum,
  repoint,
} from './bring-up.ts';
import {
  changePrimary,
  changeReplicas,
  checkSettings,
  destroyLeaving,
  reload,
  stopLeaving,
} from './change-servers.ts';
import type { ClusterState } from './cluster-state.ts';
import type { PlannedStep } from './step.ts';
import { grow } from './storage-steps.ts';

/** Returns the step that one rule requires in this state, or null when the rule has nothing to do. */
type Rule = (cluster: ClusterState) => PlannedStep | null;

/**
 * The order of a rollout: a rule applies only when no rule before it has anything to do. Replicas change before the
 * primary.
 */
const RULES: readonly Rule[] = [
  provision,
  prepare,
  // Before servers start: one may be down because its volume is full.
  grow,
  bringUpPrimary,
  checkSettings,
  liftFence,
  relaxQuorum,
  admit,
  repoint,
  endStrayCopies,
  bringUpReplicas,
  archiveReplicas,
  stopLeaving,
  changeReplicas,
  changePrimary,
  reload,
  // Once every server is up: it needs what they were restarted for.
  archive,
  destroyLeaving,
  // Last, because it takes long and nothing waits for it.
  backUp,
];

/** Rules that stop a server or remove a node. They wait until every node can be reached. */
const DEFERRED: ReadonlySet<Rule> = new Set([
  checkSettings,
  stopLeaving,
  changeReplicas,
  changePrimary,
  destroyLeaving,
]);

/** Returns the first step that a rule requires, or null when the cluster is as desired. */
export function chooseStep(cluster: ClusterState): PlannedStep | null {
  for (const rule of RULES) {
    if (cluster.isDegraded && DEFERRED.has(rule)) continue;
    const step = rule(cluster);
    if (step !== null) return step;
  }
  return null;
}
