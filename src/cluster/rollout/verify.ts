import type { ClusterState } from './cluster-state.ts';
import type { StepOf } from './step.ts';

/**
 * Returns the last step of a rehearsal, null for every other cluster. It is planned each time, because no observation tells what
 * was verified; the step itself finds that it is done.
 */
export function verify({ primary, desired }: ClusterState): StepOf<'verify'> | null {
  const { rehearsal } = desired;
  if (rehearsal === null) return null;
  return { kind: 'verify', nodes: [primary], primary, canary: rehearsal };
}
