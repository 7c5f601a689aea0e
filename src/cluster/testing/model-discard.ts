import type { StepOf } from '../rollout/step.ts';
import type { ModelCluster } from './model.ts';
import { blank } from './model-disturbances.ts';
import { Violation } from './model-node.ts';

/** Deletes what a person gave up; throws Violation for data that is in use. */
export function discard(cluster: ModelCluster, { nodes, data }: StepOf<'discard'>): void {
  const node = cluster.get(nodes[0]);
  if (!cluster.primary) throw new Violation('data deleted without a primary');
  if (!data) return;
  if (node === cluster.primary || cluster.isStreaming(node)) {
    throw new Violation(`the data of ${node.name}, which is in use, deleted`);
  }
  blank(node, 'absent');
}
