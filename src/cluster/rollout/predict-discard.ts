import type { NodeObservation } from '../observation.ts';
import type { StepOf } from './step.ts';

/** Returns a node without the directories, and without the data, that the step deletes. */
export function discard(node: NodeObservation, step: StepOf<'discard'>): NodeObservation {
  const storage = {
    ...node.storage,
    kept: node.storage.kept.filter(
      ({ name }) => !step.directories.some((one) => one.name === name),
    ),
  };
  if (!step.data) return { ...node, storage };
  return {
    ...node,
    storage,
    data: 'absent',
    standby: false,
    record: null,
    container: null,
    overrides: {},
    control: null,
    postgres: null,
  };
}
