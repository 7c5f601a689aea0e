import { namesOf } from '../node.ts';
import type { FileSystemObservation, NodeObservation } from '../observation.ts';
import { GIB, type StorageSpec } from '../spec.ts';
import type { ClusterState } from './cluster-state.ts';
import type { GrowReason } from './reason.ts';
import { explainNodes, type PlannedStep } from './step.ts';

/**
 * How much smaller than its device a file system may be. Sizes are whole GiB, so a file system that has yet to grow lacks
 * at least one. Less than half is what it cannot use: up to 128 MiB each for ext4's last block group and for what precedes
 * the root partition of Debian's machine image, and less than 1 MiB for xfs's last allocation group. As in
 * playbooks/module_utils/postgres_cluster/grow.py.
 */
const TOLERANCE_BYTES = GIB / 2;

/**
 * Grows file systems into their volumes, the primary's last. It stops no server, so it waits for no unreachable node: their
 * slots keep WAL, and then a volume fills soonest. Terraform has grown the volumes before.
 */
export function grow(cluster: ClusterState): PlannedStep | null {
  if (cluster.desired.keepsStorage) return null;
  const { dataGib, rootGib } = cluster.desired.storage;
  const small = cluster.nodes.filter((node) => findGrowth(node, { dataGib, rootGib }).length > 0);
  const replicas = small.filter(({ name }) => name !== cluster.primary);
  const nodes = replicas.length > 0 ? replicas : small;
  if (nodes.length === 0) return null;
  const reasons = explainNodes(nodes, (node) => findGrowth(node, { dataGib, rootGib }));
  return { kind: 'grow', nodes: namesOf(nodes), dataGib, rootGib, reasons };
}

/** Returns the file systems of a node that are to grow; those of a volume that is not mounted yet are not among them. */
function findGrowth(
  { storage }: NodeObservation,
  { dataGib, rootGib }: Pick<StorageSpec, 'dataGib' | 'rootGib'>,
): GrowReason[] {
  return [
    ...explainGrowth('data', storage.data, dataGib * GIB),
    ...explainGrowth('root', storage.root, rootGib * GIB),
  ];
}

function explainGrowth(
  volume: GrowReason['volume'],
  found: FileSystemObservation | null,
  after: number,
): GrowReason[] {
  // A device that is larger than requested was grown by somebody else: EBS cannot undo it, and Terraform refuses to.
  if (found === null || found.deviceBytes > after) return [];
  const before = found.filesystemBytes;
  const isComplete = found.deviceBytes === after && after - before <= TOLERANCE_BYTES;
  return isComplete ? [] : [{ kind: 'grow', volume, before, after }];
}
