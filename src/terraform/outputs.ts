import { z } from 'zod';
import type { Node } from '../cluster/configuration.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { UserError } from '../errors.ts';

const schema = z.object({
  cluster_name: z.object({ value: z.string() }),
  region: z.object({ value: z.string() }),
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
 * @throws UserError when the state has no nodes, that is before the first apply, or another cluster's
 */
export function readNodes(
  outputs: unknown,
  { directory, spec }: { directory: string; spec: Pick<ClusterSpec, 'name' | 'region'> },
): Node[] {
  const parsed = schema.safeParse(outputs);
  if (!parsed.success || parsed.data.nodes.value.length === 0) {
    throw new UserError(
      `${directory}: Terraform's state has no nodes yet. Run apply first (command: apply, or merge the pull request).`,
    );
  }
  const { cluster_name: name, region, nodes } = parsed.data;
  const problems = [
    ...(name.value === spec.name
      ? []
      : [`cluster-name: ${spec.name} is asked for, the state holds ${name.value}.`]),
    ...(region.value === spec.region
      ? []
      : [`region: ${spec.region} is asked for, the state's cluster is in ${region.value}.`]),
  ];
  if (problems.length > 0) {
    throw new UserError(
      problems.map(
        (problem) => `${problem} Give the one the cluster was made with, or another backend key.`,
      ),
    );
  }
  return nodes.value.map((node) => ({
    name: node.name,
    instanceId: node.instance_id,
    privateAddress: node.private_address,
    publicAddress: node.public_address ?? '',
    volumeId: node.volume_id,
    zone: node.zone,
  }));
}
