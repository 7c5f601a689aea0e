import type { StepOf } from '../rollout/step.ts';
import type { ModelCluster } from './model.ts';
import { type ModelNode, type ModelVolume, Violation } from './model-node.ts';

// The volumes of the model and the file systems on them.

/** Mounts the data volume of a node; a blank one is formatted before. */
export function mountVolume(node: ModelNode): void {
  const { data } = node.volumes;
  if (data.filesystem === 0) data.filesystem = data.device;
  node.mounted = true;
}

/** Executes the step; throws Violation when a file system shrinks or outgrows its volume, or the primary's is not the last. */
export function growFileSystems(cluster: ModelCluster, step: StepOf<'grow'>): void {
  requireReplicasGrown(cluster, step);
  for (const { name, mounted, volumes } of step.nodes.map((node) => cluster.get(node))) {
    if (mounted) growInto(name, volumes.data, step.dataGib);
    growInto(name, volumes.root, step.rootGib);
  }
}

function growInto(name: string, volume: ModelVolume, gib: number): void {
  if (volume.device < gib) throw new Violation(`a file system of ${name} outgrows its volume`);
  // A volume that is larger than requested is left alone.
  if (volume.device > gib) return;
  if (volume.filesystem > gib) throw new Violation(`a file system of ${name} shrinks`);
  volume.filesystem = gib;
}

/** The primary's file systems grow last and alone: a replica shows first whether it works. */
function requireReplicasGrown(cluster: ModelCluster, step: StepOf<'grow'>): void {
  const { primary } = cluster;
  if (!primary || !step.nodes.includes(primary.name)) return;
  const { dataGib } = step;
  const members = cluster.desired.nodes.flatMap(({ name }) => cluster.nodes.get(name) ?? []);
  const small = members.filter(
    ({ name, mounted, volumes: { data } }) =>
      !cluster.desired.unreachable?.includes(name) &&
      mounted &&
      data.device === dataGib &&
      data.filesystem < dataGib,
  );
  if (step.nodes.length > 1 || small.some((node) => node !== primary)) {
    throw new Violation(`${primary.name} grown before the replicas`);
  }
}
