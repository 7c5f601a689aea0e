import { z } from 'zod';
import type { Node } from '../cluster/node.ts';
import type { AppliedDatabase } from '../cluster/settings/change.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { UserError } from '../messages/errors.ts';
import * as values from './node-values.ts';
import { DATABASE_OUTPUT } from './plan-differences.ts';

/** A node without its name, which is in a separate output. */
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
    (one): Omit<Node, 'dnsName'> => ({
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
  // Missing if the first apply failed before it created all nodes.
  nodes: z.object({ value: z.array(node) }).default({ value: [] }),
  // Terraform keeps no output whose value is null.
  instance_connect_endpoint_id: z
    .object({ value: values.endpointId.nullable() })
    .default({ value: null }),
  dns_names: z
    .object({ value: z.record(values.name, values.dnsName).nullable() })
    .default({ value: null }),
});

/** The cluster in Terraform's state. */
export interface TerraformState {
  readonly clusterName: string;
  readonly region: string;
  /** In number order; empty if no apply has created all nodes. */
  readonly nodes: readonly Node[];
  /** The EC2 Instance Connect Endpoint through which the nodes are reached; null for direct connections. */
  readonly endpointId: string | null;
}

/**
 * Reads the cluster from the parsed `terraform output -json`; null before the first apply and after a destroy.
 *
 * @throws UserError if the outputs are not those of these templates
 */
export function readState(outputs: unknown): TerraformState | null {
  if (!z.object({ cluster_name: z.unknown() }).safeParse(outputs).success) return null;
  const parsed = schema.safeParse(outputs);
  if (!parsed.success) {
    throw new UserError(
      `The outputs in Terraform's state are not what this action writes, so they are ignored: ${z.prettifyError(parsed.error)}. Find out who wrote the state, and restore the one of the last apply.`,
      { cause: parsed.error },
    );
  }
  const { cluster_name, region, nodes, dns_names, instance_connect_endpoint_id } = parsed.data;
  return {
    clusterName: cluster_name.value,
    region: region.value,
    nodes: nodes.value.map((one) => ({ ...one, dnsName: dns_names.value?.[one.name] ?? '' })),
    endpointId: instance_connect_endpoint_id.value,
  };
}

/**
 * Refuses the state of another cluster: a changed name or region does not move a cluster, but builds a second, empty one
 * beside or instead of the first.
 *
 * @throws UserError that names the inputs and both solutions
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
 * Reads the nodes from the parsed `terraform output -json`, in number order.
 *
 * @throws UserError if the state has no nodes (before the first apply), or belongs to another cluster
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

const before = z.object({
  output_changes: z.record(z.string(), z.object({ before: z.json().optional() })).default({}),
});

/**
 * Reads the cluster in the state from the parsed output of `terraform show -json <plan file>`; null before the first apply
 * and after a destroy. `prior_state` does not serve: a refresh writes the planned outputs into it.
 *
 * @throws UserError as `readState`
 */
export function readStateBefore(planJson: unknown): TerraformState | null {
  const changes = Object.entries(before.parse(planJson).output_changes);
  const known = changes.filter(([, { before: value }]) => value !== null && value !== undefined);
  return readState(Object.fromEntries(known.map(([name, { before: value }]) => [name, { value }])));
}

const planned = z.object({
  planned_values: z
    .object({
      outputs: z.record(z.string(), z.looseObject({ value: z.json().optional() })).default({}),
    })
    .default({ outputs: {} }),
});

/**
 * Reads the outputs that an apply of the plan leaves, in the form of `terraform output -json`, from the parsed output of
 * `terraform show -json <plan file>`. Those of a plan without changes are the present ones. An output without a value is missing, as in a
 * state.
 */
export function readPlannedOutputs(planJson: unknown): Readonly<Record<string, unknown>> {
  const { outputs } = planned.parse(planJson).planned_values;
  return Object.fromEntries(
    Object.entries(outputs).filter(([, { value = null }]) => value !== null),
  );
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
 * Reads the configuration of the last apply from the parsed output of `terraform show -json <plan file>`; null before
 * the first apply and for a state of an older release.
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
 * Reads the memory of the planned instance type, in MiB, from the parsed output of `terraform show -json <plan file>`;
 * null if the plan does not have it.
 */
export function readPlannedMemory(planJson: unknown): number | null {
  const parsed = plannedMemory.safeParse(planJson);
  return parsed.success ? parsed.data.planned_values.outputs.instance_memory_mib.value : null;
}
