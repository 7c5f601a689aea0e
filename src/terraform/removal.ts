import { compareNames, nodeName } from '../cluster/node.ts';
import type { NodeVolume } from '../cluster/volume.ts';
import { kindOf } from './node-changes.ts';
import { volumeId } from './node-values.ts';
import type { PlanSummary } from './plan.ts';
import { isStarterRemoval } from './starter.ts';

/** What a removal destroys. */
export interface Destroyed {
  /** Names of the nodes of which anything is destroyed, in number order. */
  readonly nodes: readonly string[];
  /** Terraform's addresses. */
  readonly resources: readonly string[];
  /** The data volumes, each of which leaves a last snapshot, except those of a rehearsal. One whose id AWS does not use is left out. */
  readonly volumes: readonly NodeVolume[];
}

/** Lists what the plan of a removal destroys. */
export function listDestroyed(plan: PlanSummary): Destroyed {
  const destroyed = plan.resources.filter(
    (one) => one.action === 'delete' && !isStarterRemoval(one),
  );
  const ofNodes = destroyed.filter((one) =>
    ['aws_instance.node', 'aws_ebs_volume.data'].includes(kindOf(one)),
  );
  const names = ofNodes.map(({ index }) => nodeName(Number(index)));
  return {
    nodes: [...new Set(names)].sort(compareNames),
    resources: destroyed.map(({ address }) => address),
    volumes: ofNodes.flatMap((one) =>
      kindOf(one) === 'aws_ebs_volume.data' && volumeId.safeParse(one.id).success && one.id !== null
        ? [{ node: nodeName(Number(one.index)), kind: 'data' as const, id: one.id }]
        : [],
    ),
  };
}
