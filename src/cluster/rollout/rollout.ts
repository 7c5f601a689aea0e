import type { DesiredCluster } from '../desired.ts';
import { namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findPrimary, isRunningPrimary } from '../replication.ts';
import { explainBackupLoss } from './backup-loss.ts';
import { chooseStep } from './choose-step.ts';
import { ClusterState, findInitialPrimary } from './cluster-state.ts';
import { type Deferral, findDeferral } from './deferral.ts';
import { explainSlotLoss } from './logical-slots.ts';
import { findRefusals } from './refusals.ts';
import { refuseUnfitCopies } from './refuse-copies.ts';
import { explainNodes, type Step } from './step.ts';
import { verify } from './verify.ts';

/** What steps lose, as sentences; null where they lose nothing. */
export interface DatabaseLosses {
  /** Which logical slots a switchover loses, and how to keep them. */
  readonly slotLoss: string | null;
  /** What is deleted or ends of the backups. */
  readonly backupLoss: string | null;
}

/** What to do, or why nothing is done. */
export type Rollout =
  | {
      readonly kind: 'refused';
      readonly refusals: readonly string[];
      /** The nodes whose volumes have no room for their copies, if nothing else is refused. */
      readonly unfit?: readonly string[];
    }
  | {
      readonly kind: 'steps';
      /** The node that is primary after the steps. */
      readonly primary: string;
      readonly steps: readonly Step[];
      /** Whether the steps only uncover what there is: what follows is decided by the next observation. */
      readonly observeAgain: boolean;
      /** What waits for unreachable nodes; undefined where every node can be reached. */
      readonly deferral?: Deferral;
      /** What the steps lose with permission; undefined where they lose nothing. */
      readonly losses?: DatabaseLosses;
    };

/**
 * Returns the steps that lead from what was observed to what is desired; empty when nothing differs.
 *
 * Each step is chosen from the state alone, and the next one from the predicted state after it, so nothing has to be
 * stored between runs: after an interruption the next observation yields the remaining steps.
 *
 * `observed` holds one entry per existing node, in any order; a desired node without one is created first.
 * Without `checksRoom`, copies that do not fit are planned as well: what is done first makes room for them.
 */
export function rollout(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
  { checksRoom = true }: { checksRoom?: boolean } = {},
): Rollout {
  const undetermined = observed.filter(isUndetermined);
  const { unreachable = [] } = desired;
  const missing = desired.nodes.filter(
    ({ name }) => !unreachable.includes(name) && !observed.some((node) => node.name === name),
  );
  const refusals = findRefusals(observed, {
    desired,
    incomplete: undetermined.length + missing.length > 0,
  });
  if (refusals.length > 0) return { kind: 'refused', refusals };
  const isStopped = ({ name }: { name: string }) => desired.stopped?.includes(name) ?? false;
  if (missing.some(isStopped)) return bootStopped(observed, { desired, missing, isStopped });
  if (undetermined.length > 0) return prepareUndetermined(observed, desired);
  // The volume of a missing node may hold the cluster: it is observed before anything else is decided.
  if (missing.length > 0 && observed.length > 0 && findPrimary(observed) === null) {
    const reasons = explainNodes(missing, () => [{ kind: 'missing' }]);
    return {
      kind: 'steps',
      primary: findInitialPrimary(desired),
      steps: [{ kind: 'provision', nodes: namesOf(missing), reasons }],
      observeAgain: true,
    };
  }
  const plan = planSteps(observed, desired);
  const unfit = checksRoom ? refuseUnfitCopies(observed, { steps: plan.steps, desired }) : [];
  if (unfit.length > 0) {
    const refusals = unfit.map(({ reason }) => reason);
    return { kind: 'refused', refusals, unfit: unfit.map(({ node }) => node) };
  }
  const slotLoss = explainSlotLoss(observed, { ...plan, desired });
  const backupLoss = explainBackupLoss(observed, { ...plan, desired });
  const refused = [
    ...refuseLoss(desired.allowsSlotLoss ? null : slotLoss, {
      what: 'To let them go',
      input: 'allow-slot-loss-label',
    }),
    ...refuseLoss(desired.allowsBackupLoss ? null : backupLoss, {
      what: 'To allow it',
      input: 'allow-destroy-label',
    }),
  ];
  if (refused.length > 0) return { kind: 'refused', refusals: refused };
  if (slotLoss === null && backupLoss === null) return plan;
  return { ...plan, losses: { slotLoss, backupLoss } };
}

/** Returns a loss with the way to allow it; [] without one. */
function refuseLoss(loss: string | null, { what, input }: { what: string; input: string }) {
  return loss === null
    ? []
    : [`${loss} ${what}, deploy with a pull request that carries the label of ${input}.`];
}

/** Starts stopped instances before anything else: running servers are left alone while a node is down. */
function bootStopped(
  observed: readonly NodeObservation[],
  options: {
    desired: DesiredCluster;
    missing: DesiredCluster['nodes'];
    isStopped: (node: { name: string }) => boolean;
  },
): Rollout {
  const { desired, missing, isStopped } = options;
  const stopped = missing.filter(isStopped);
  const created = missing.filter((node) => !isStopped(node));
  const provision: Step = {
    kind: 'provision',
    nodes: namesOf(created),
    reasons: explainNodes(created, () => [{ kind: 'missing' }]),
  };
  const boot: Step = {
    kind: 'boot',
    nodes: namesOf(stopped),
    instanceType: desired.instanceType,
    reasons: explainNodes(stopped, () => [{ kind: 'instance-stopped' }]),
  };
  return {
    kind: 'steps',
    primary: findPrimary(observed) ?? findInitialPrimary(desired),
    steps: created.length > 0 ? [provision, boot] : [boot],
    observeAgain: true,
  };
}

function prepareUndetermined(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): Rollout {
  const { unreachable = [] } = desired;
  const nodes = observed.filter(isUndetermined);
  const hasPrimary = observed.some(isRunningPrimary);
  const prepare: Step = {
    kind: 'prepare',
    nodes: namesOf(nodes),
    ...(hasPrimary && { fenced: true }),
    reasons: explainNodes(nodes, () => [{ kind: 'unobservable' }]),
  };
  return {
    kind: 'steps',
    primary: findInitialPrimary(desired),
    steps: [prepare],
    observeAgain: true,
    ...(unreachable.length > 0 && { deferral: { nodes: unreachable, deferred: [] } }),
  };
}

/** Returns the steps from a state that nothing forbids to change. */
export function planSteps(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): Extract<Rollout, { kind: 'steps' }> {
  let cluster = ClusterState.fromObservation(observed, desired);
  const steps: Step[] = [];
  const isDown = !observed.some(isRunningPrimary);
  for (let step = chooseStep(cluster); step !== null; step = chooseStep(cluster)) {
    steps.push(step);
    cluster = cluster.after(step);
    // Only a running primary tells which slots it has and what its replicas lack.
    if (isDown && (step.kind === 'start' || step.kind === 'promote')) {
      return { kind: 'steps', primary: cluster.primary, steps, observeAgain: true };
    }
    if (steps.length > 50 * (desired.nodes.length + desired.leaving.length)) {
      throw new Error(`the rollout of ${desired.name} does not come to an end`);
    }
  }
  const deferral = findDeferral(cluster.existing, desired);
  const verification = verify(cluster);
  return {
    kind: 'steps',
    primary: cluster.primary,
    steps: verification === null ? steps : [...steps, verification],
    observeAgain: false,
    ...(deferral && { deferral }),
  };
}

/**
 * Whether the node may hold the cluster and cannot tell yet: its volume has a file system that is not mounted, as on a
 * new instance or after a failed mount at boot, or its Docker does not answer.
 */
function isUndetermined({ volume, data, host, postgres }: NodeObservation): boolean {
  const isUnmounted = volume.filesystem !== null && !volume.ready && data === 'absent';
  // Without Docker neither what runs nor what the control file says is known.
  const isSilent = data === 'complete' && postgres === null && !host.dockerReady;
  return isUnmounted || isSilent;
}
