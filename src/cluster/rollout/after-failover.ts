import type { DesiredCluster } from '../desired.ts';
import { namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { type Rollout, rollout } from './rollout.ts';

/**
 * Returns the rollout after a promotion. It leaves out nodes that cannot be brought back now, because the others must follow
 * the new primary: those whose volume takes no writes, and those whose volume has no room for the copy that they need.
 * `leftOut` says why, for the latter.
 */
export function rolloutAfterFailover(
  observed: readonly NodeObservation[],
  desired: DesiredCluster,
): { readonly decision: Rollout; readonly leftOut: readonly string[] } {
  const failing = namesOf(observed.filter(({ volume }) => volume.readOnly));
  const decision = rolloutWithout(failing, { observed, desired });
  if (decision.kind !== 'refused' || decision.unfit === undefined) return { decision, leftOut: [] };
  return {
    decision: rolloutWithout([...failing, ...decision.unfit], { observed, desired }),
    leftOut: decision.refusals,
  };
}

function rolloutWithout(
  names: readonly string[],
  { observed, desired }: { observed: readonly NodeObservation[]; desired: DesiredCluster },
): Rollout {
  const { unreachable = [] } = desired;
  return rollout(
    observed.filter(({ name }) => !names.includes(name)),
    names.length === 0 ? desired : { ...desired, unreachable: [...unreachable, ...names] },
  );
}
