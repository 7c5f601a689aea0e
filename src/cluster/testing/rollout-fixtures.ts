import type { NodeObservation } from '../observation.ts';
import { type Rollout, rollout } from '../rollout/rollout.ts';
import type { Step } from '../rollout/step.ts';
import { createDesired } from './fixtures.ts';

// How tests of the rollout write its steps and change what it observes.

/** `prepare node-1 node-2`, `restart node-3 (max_connections 200)`. */
function describeSteps(steps: readonly Step[]): string[] {
  return steps.map((step) => {
    const connections =
      step.kind === 'restart' ? ` (max_connections ${step.settings.max_connections})` : '';
    return `${step.kind} ${step.nodes.join(' ')}${connections}`;
  });
}

/** The steps of a rollout that is not refused, as `describeSteps` writes them. */
export function listRolloutSteps(
  observed: readonly NodeObservation[],
  desired = createDesired(),
): string[] {
  const result = rollout(observed, desired);
  if (result.kind !== 'steps') throw new Error(result.refusals.join('\n'));
  return describeSteps(result.steps);
}

/** The reasons of a rollout that is refused; empty for one with steps. */
export function listRefusals(result: Rollout): readonly string[] {
  return result.kind === 'refused' ? result.refusals : [];
}

/** The nodes, one of them changed. */
export function changeNode(
  observed: readonly NodeObservation[],
  name: string,
  change: (node: NodeObservation) => Partial<NodeObservation>,
): NodeObservation[] {
  return observed.map((node) => (node.name === name ? { ...node, ...change(node) } : node));
}

/** What is observed of a node whose server was stopped cleanly. */
export const stopped = (node: NodeObservation): Partial<NodeObservation> => ({
  postgres: null,
  container: node.container && { ...node.container, state: 'exited' },
  control: {
    state: node.standby ? 'shut down in recovery' : 'shut down',
    timeline: node.postgres?.timeline ?? 1,
    lsn: node.postgres?.lsn ?? '0/0',
  },
});
