import type { NodeObservation } from '../observation.ts';
import type { StepOf } from './step.ts';

/** Returns a node whose host is ready: keys, Docker, image, a mounted data volume, and the programs for backups. */
export function prepare(
  node: NodeObservation,
  { tools }: Pick<StepOf<'prepare'>, 'tools'> = {},
): NodeObservation {
  const { backupTools } = node.host;
  return {
    ...node,
    host: {
      ...node.host,
      dockerVersion: node.host.dockerVersion ?? '',
      dockerReady: true,
      imageReady: true,
      authorizedKeysCurrent: true,
      backupTools: tools === undefined ? backupTools : tools === 'install' ? 'ready' : 'absent',
    },
    volume: { ...node.volume, filesystem: node.volume.filesystem ?? 'xfs', ready: true },
  };
}
