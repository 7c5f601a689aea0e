import { z } from 'zod';
import type { Node } from '../cluster/node.ts';
import type { AppliedDatabase } from '../cluster/settings/change.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { UserError } from '../messages/errors.ts';
import * as values from './node-values.ts';
import { DATABASE_OUTPUT } from './plan-differences.ts';

const node = z
  .object({
    name: values.name,
    instance_id: values.instanceId,
    instance_type: values.instanceType,
    private_address: values.address,
    public_address: values.address.nullable(),
    volume_id: values.volumeId,
    zone: values.zone,
  })
  .transform(
    (one): Node => ({
      name: one.name,
      instanceId: one.instance_id,
      instanceType: one.instance_type,
      privateAddress: one.private_address,
      publicAddress: one.public_address ?? '',
      volumeId: one.volume_id,
      zone: one.zone,
    }),
  );
const schema = z.object({
  cluster_name: z.object({ value: z.string() }),
  region: z.object({ value: z.string() }),
  // Missing where the first apply made something, but not all nodes.
  nodes: z.object({ value: z.array(node) }).default({ value: [] }),
});

/** The cluster that a state holds. */
export interface TerraformState {
  readonly clusterName: string;
  readonly region: string;
  /** In number order; none where no apply got so far. */
  readonly nodes: readonly Node[];
}

/**
 * The cluster in `terraform output -json`; null before the first apply and after a destroy.
 *
 * @throws UserError when the outputs are not those of these templates
 */
export function readState(outputs: unknown): TerraformState | null {
  if (!z.object({ cluster_name: z.unknown() }).safeParse(outputs).success) return null;
  const parsed = schema.safeParse(outputs);
  if (!parsed.success) {
    throw new UserError(
      `The outputs in Terraform's state are not what this action writes, so nothing of them is used: ${z.prettifyError(parsed.error)}. Find out who wrote the state, and bring back the one of the last apply.`,
      { cause: parsed.error },
    );
  }
  const { cluster_name, region, nodes } = parsed.data;
  return { clusterName: cluster_name.value, region: region.value, nodes: nodes.value };
}

/**
 * Refuses to go on with the state of another cluster: a changed name or region is not a move, it would
 * build a second, empty cluster beside or instead of the first.
 *
 * @throws UserError that names the inputs and both ways out
 */
export function refuseForeignState(
  state: TerraformState,
  spec: Pick<ClusterSpec, 'name' | 'region'>,
): void {
  const problems = [
    { input: 'cluster-name', wanted: spec.name, found: state.clusterName },
    { input: 'region', wanted: spec.region, found: state.region },
  ]
    .filter(({ wanted, found }) => wanted !== found)
    .map(
      ({ input, wanted, found }) =>
        `${input}: ${wanted} is asked for, the state holds the cluster ${state.clusterName} in ${state.region}. A change would build a second, empty cluster. Give ${found} again, or give the new cluster a backend key of its own.`,
    );
  if (problems.length > 0) throw new UserError(problems);
}

/**
 * The nodes from `terraform output -json`, in number order.
 *
 * @throws UserError when the state has no nodes, that is before the first apply, or another cluster's
 */
export function readNodes(
  outputs: unknown,
  { directory, spec }: { directory: string; spec: Pick<ClusterSpec, 'name' | 'region'> },
): Node[] {
  const state = readState(outputs);
  if (state === null || state.nodes.length === 0) {
    throw new UserError(
      `${directory}: Terraform's state has no nodes yet. Run apply first (command: apply, or merge the pull request).`,
    );
  }
  refuseForeignState(state, spec);
  return [...state.nodes];
}

const applied = z.object({
  output_changes: z.object({
    [DATABASE_OUTPUT]: z.object({
      before: z.object({
        image: z.string(),
        settings: z.record(z.string(), z.string()),
        synchronous_replicas: z.number(),
        primary: z.string().nullish(),
      }),
    }),
  }),
});

/**
 * What was applied last, from the parsed output of `terraform show -json <plan file>`; null before the first
 * apply and for a state that an older release wrote.
 */
export function readAppliedDatabase(planJson: unknown): AppliedDatabase | null {
  const parsed = applied.safeParse(planJson);
  if (!parsed.success) return null;
  const { image, settings, synchronous_replicas, primary } =
    parsed.data.output_changes[DATABASE_OUTPUT].before;
  return { image, settings, synchronousReplicas: synchronous_replicas, primary: primary ?? null };
}

const plannedMemory = z.object({
  planned_values: z.object({
    outputs: z.object({ instance_memory_mib: z.object({ value: z.number() }) }),
  }),
});

/**
 * RAM of the planned instance type in MiB, from the parsed output of `terraform show -json <plan file>`;
 * null where the plan does not tell.
 */
export function readPlannedMemory(planJson: unknown): number | null {
  const parsed = plannedMemory.safeParse(planJson);
  return parsed.success ? parsed.data.planned_values.outputs.instance_memory_mib.value : null;
}
