import type { NodeWork } from '../cluster/progress.ts';
import { FailedStepsError } from '../messages/failed-steps-error.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import type { RehearsalPhase } from '../report/rehearsal.ts';

/** The phases from a new node to what it was restored to, in their order. */
type NodePhase = Extract<RehearsalPhase, 'making' | 'restoring' | 'verifying'>;
const NODE_PHASES: readonly RehearsalPhase[] = [
  'making',
  'restoring',
  'verifying',
] satisfies NodePhase[];

/** What does not read the backups, or reads what they brought back. All other steps, and all other work, restore. */
const PHASES: ReadonlyMap<string, NodePhase> = new Map([
  // Packages, Docker, the volume, the image, and a server without data that tries the settings.
  ['prepare', 'making'],
  ['grow', 'making'],
  ['check', 'making'],
  ['primary_image', 'making'],
  ['verify', 'verifying'],
  ['proof', 'verifying'],
  // The kind of the work of `verify`.
  ['verification', 'verifying'],
]);

/** Returns the later one of two phases of a node. */
export const laterPhase = (a: RehearsalPhase, b: RehearsalPhase): RehearsalPhase =>
  rank(b) > rank(a) ? b : a;

/** Returns the phase of a rehearsal whose node does this work. A phase never goes back. */
export function findPhase(work: readonly NodeWork[], reached: RehearsalPhase): RehearsalPhase {
  const names = work.map((one) => (one.kind === 'step' ? one.step : one.kind));
  return names.map(toPhase).reduce<RehearsalPhase>(laterPhase, reached);
}

/**
 * Returns the phase in which a rehearsal failed. `reached`: the phase that was seen. Work is seen only if it takes long, so the
 * step that failed, or that goes on, tells more.
 */
export function findFailedPhase(error: unknown, reached: RehearsalPhase): RehearsalPhase {
  if (!NODE_PHASES.includes(reached)) return reached;
  if (error instanceof ContinuingError) return findPhase(error.work, reached);
  if (!(error instanceof FailedStepsError)) return reached;
  // The first: what followed could not succeed.
  const [first, ...others] = error.steps.map(toPhase);
  return first === undefined ? reached : others.reduce(earlier, first);
}

const toPhase = (step: string): NodePhase => PHASES.get(step) ?? 'restoring';

const rank = (phase: RehearsalPhase): number => NODE_PHASES.indexOf(phase);
const earlier = (a: NodePhase, b: NodePhase): NodePhase => (rank(b) < rank(a) ? b : a);
