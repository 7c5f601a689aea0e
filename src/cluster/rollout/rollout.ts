import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import { chooseStep } from './choose-step.ts';
import { ClusterState, findInitialPrimary } from './cluster-state.ts';
import { type Deferral, findDeferral } from './deferral.ts';
import { explainSlotLoss } from './logical-slots.ts';
import { findPrimary, findRefusals } from './refusals.ts';
import type { Step } from './step.ts';

/**
 * What to do, or why nothing is done. `observeAgain`: the steps only uncover what is there, and decide
 * nothing yet. `primary`: the node that is primary after the steps.
 */
export type Rollout =
  | { readonly refusals: readonly string[] }
  | {
      readonly refusals: readonly [];
      readonly primary: string;
      readonly steps: readonly Step[];
      readonly observeAgain: boolean;
      /** What waits for nodes that are away; none where all can be reached. */
      readonly deferral?: Deferral;
    };

/**
 * The steps that lead from what was observed to what is desired; none when it is there already.
 *
 * Each step is chosen from the state alone and the next one from what it is expected to leave, so that
 * nothing is remembered between runs: after an interruption the next observation gives the rest.
 *
 * `observed` holds one entry per node that stands, in any order; a desired node without one is made first.
 */
export function rollout(observed: readonly NodeObservation[], desired: DesiredCluster): Rollout {
  const covered = observed.filter(isUndetermined);
  const { unreachable: away = [] } = desired;
  const missing = desired.nodes.filter(
    ({ name }) => !away.includes(name) && !observed.some((node) => node.name === name),
  );
  const refusals = findRefusals(observed, {
    desired,
    incomplete: covered.length + missing.length > 0,
  });
  if (refusals.length > 0) return { refusals };
  // Everything else waits for them: what runs is left alone while a node is down that can be brought back.
  const stopped = missing.map(({ name }) => name).filter((name) => desired.stopped?.includes(name));
  if (stopped.length > 0) {
    const made = missing.map(({ name }) => name).filter((name) => !stopped.includes(name));
    const { instanceType } = desired;
    const steps: Step[] = [
      ...(made.length > 0 ? [{ kind: 'provision', nodes: made } as const] : []),
      { kind: 'boot', nodes: stopped, instanceType },
    ];
    const primary = findPrimary(observed) ?? findInitialPrimary(desired);
    return { refusals: [], primary, steps, observeAgain: true };
  }
  if (covered.length > 0) {
    const leftOut = away.length > 0 && { deferral: { nodes: away, deferred: [] } };
    const nodes = covered.map(({ name }) => name);
    const isGivenUp = observed.some(isRunningPrimary);
    const steps: Step[] = [{ kind: 'prepare', nodes, ...(isGivenUp && { fenced: true }) }];
    return {
      refusals: [],
      primary: findInitialPrimary(desired),
      steps,
      observeAgain: true,
      ...leftOut,
    };
  }
  // Its volume may hold the cluster: what it is must be seen before anything else is decided.
  if (missing.length > 0 && observed.length > 0 && findPrimary(observed) === null) {
    const steps: Step[] = [{ kind: 'provision', nodes: missing.map(({ name }) => name) }];
    return { refusals: [], primary: findInitialPrimary(desired), steps, observeAgain: true };
  }
  const plan = planSteps(observed, desired);
  const loss = desired.allowsSlotLoss ? null : explainSlotLoss(observed, { ...plan, desired });
  if (loss === null) return plan;
  return {
    refusals: [
      `${loss} To let them go, deploy with a pull request that carries the label of allow-slot-loss-label.`,
    ],
  };
}

/** The steps from a state that nothing speaks against. */
export function planSteps(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): Extract<Rollout, { steps: unknown }> {
  let view = ClusterState.fromObservation(observed, desired);
  const steps: Step[] = [];
  const isDown = !observed.some(isRunningPrimary);
  for (let step = chooseStep(view); step !== null; step = chooseStep(view)) {
    steps.push(step);
    view = view.after(step);
    // Only a primary that answers says which slots it has and what its replicas lack.
    if (isDown && (step.kind === 'start' || step.kind === 'promote')) {
      return { refusals: [], primary: view.primary, steps, observeAgain: true };
    }
    if (steps.length > 50 * (desired.nodes.length + desired.leaving.length)) {
      throw new Error(`the rollout of ${desired.name} does not come to an end`);
    }
  }
  const leftOut = findDeferral(view.existing, desired);
  return {
    refusals: [],
    primary: view.primary,
    steps,
    observeAgain: false,
    ...(leftOut && { deferral: leftOut }),
  };
}

/**
 * A volume with a file system that is not mounted may hold the cluster: an instance that was made anew, a
 * mount that failed at boot. It must be looked into before anybody says that no node holds data. The same goes
 * for a server whose Docker does not answer.
 */
function isUndetermined({ volume, data, host, postgres }: NodeObservation): boolean {
  const isUnmounted = volume.filesystem !== null && !volume.ready && data === 'absent';
  // Without Docker nobody knows what runs, nor what the control file says.
  const isSilent = data === 'complete' && postgres === null && !host.dockerReady;
  return isUnmounted || isSilent;
}
