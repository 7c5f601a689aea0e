import { z } from 'zod';
import { nodeName } from '../cluster/node.ts';
import type { NodeVolume } from '../cluster/volume.ts';
import { name, volumeId } from './node-values.ts';
import type { PlanDocument } from './plan-document.ts';

const disk = z.object({ id: volumeId });
const machine = z.object({
  root_block_device: z.tuple([z.object({ volume_id: volumeId })], z.unknown()),
});

/** Lists the volumes that the plan found, before its changes, without those that have no id that AWS uses. */
export function listVolumes({ resource_changes }: PlanDocument): NodeVolume[] {
  return resource_changes.flatMap(
    ({ type, name: resource, index, deposed, change }): NodeVolume[] => {
      const node = nodeName(Number(index));
      if (deposed !== undefined || !name.safeParse(node).success) return [];
      switch (`${type}.${resource}`) {
        case 'aws_ebs_volume.data': {
          const { data } = disk.safeParse(change.before);
          return data === undefined ? [] : [{ node, kind: 'data', id: data.id }];
        }
        case 'aws_instance.node': {
          const { data } = machine.safeParse(change.before);
          return data === undefined
            ? []
            : [{ node, kind: 'root', id: data.root_block_device[0].volume_id }];
        }
        default:
          return [];
      }
    },
  );
}
