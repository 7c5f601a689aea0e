import { z } from 'zod';
import type { Node } from '../cluster/configuration.ts';
import { UserError } from '../errors.ts';

const schema = z.object({
  nodes: z.object({
    value: z.array(
      z.object({
        name: z.string(),
        instance_id: z.string(),
        private_address: z.string(),
        public_address: z.string().nullable(),
        volume_id: z.string(),
        zone: z.string(),
      }),
    ),
  }),
});

/**
 * The nodes from `terraform output -json`, in number order.
 *
 * @throws UserError when the state has no nodes, that is before the first apply
 */
export function readNodes(outputs: unknown, directory: string): Node[] {
  const parsed = schema.safeParse(outputs);
  if (!parsed.success || parsed.data.nodes.value.length === 0) {
    throw new UserError(
      `${directory}: Terraform's state has no nodes yet. Run apply first (command: apply, or merge the pull request).`,
    );
  }
  return parsed.data.nodes.value.map((node) => ({
    name: node.name,
    instanceId: node.instance_id,
    privateAddress: node.private_address,
    publicAddress: node.public_address ?? '',
    volumeId: node.volume_id,
    zone: node.zone,
  }));
}
