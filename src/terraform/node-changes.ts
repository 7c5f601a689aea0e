import { type Node, nodeName, nodeNumber } from '../cluster/node.ts';
import type { PlanSummary, ResourceChange } from './plan.ts';

/** A plan that leaves a part of the change for later: what stands for now. */
export interface PlanOverrides {
  /** Instance types by node number, of nodes whose turn has not come; all others get the one asked for. */
  readonly instanceTypes: Readonly<Record<string, string>>;
  /** Numbers of nodes that stand although they are to leave. */
  readonly keptNodes: readonly string[];
  /** Numbers of nodes whose stopped instance is to start; none without. */
  readonly started?: readonly string[];
  /** Addresses of resources to be replaced although nothing about them changed. */
  readonly replace?: readonly string[];
  /** Addresses of the only resources to plan for; all without. */
  readonly only?: readonly string[];
}

/** What a plan does to the nodes, by name (`node-3`), in number order. A node stands in one of the first four at most. */
export interface NodeChanges {
  /** Their instance does not exist (any more). */
  readonly create: readonly string[];
  /** Their instance goes and another one comes. */
  readonly replace: readonly string[];
  /** Their instance is stopped, changed and started. */
  readonly resize: readonly NodeResize[];
  readonly destroy: readonly string[];
  /** Nodes that get a blank data volume. */
  readonly fresh: readonly string[];
}

/** A node whose instance type changes. */
export interface NodeResize {
  readonly node: string;
  readonly from: string;
  readonly to: string;
}

/** What starts a stopped instance, for the length of one stage. */
export const STARTER_RESOURCE = 'aws_ec2_instance_state.started';

/** Actions after which there is an instance that was not there before. */
export const CREATING_ACTIONS: readonly string[] = ['create', 'replace'];

/** Terraform's address of a node's instance, e.g. to have it replaced. */
export function instanceAddress(node: string): string {
  return `aws_instance.node["${nodeNumber(node)}"]`;
}

/** Terraform's address of the attachment of a node's data volume. */
export function attachmentAddress(node: string): string {
  return `aws_volume_attachment.data["${nodeNumber(node)}"]`;
}

/** Terraform's address of a node's data volume. */
export function volumeAddress(node: string): string {
  return `aws_ebs_volume.data["${nodeNumber(node)}"]`;
}

/** Terraform's address of what starts a node's stopped instance. */
export function starterAddress(node: string): string {
  return `${STARTER_RESOURCE}["${nodeNumber(node)}"]`;
}

/** What `plan` does to the nodes. */
export function buildNodeChanges(plan: PlanSummary): NodeChanges {
  const instances = listNodes(plan, 'aws_instance.node');
  const volumes = listNodes(plan, 'aws_ebs_volume.data');
  const pick = (resources: typeof instances, ...actions: readonly string[]) =>
    resources.filter(({ resource }) => actions.includes(resource.action)).map(({ node }) => node);
  return {
    create: pick(instances, 'create'),
    replace: pick(instances, 'replace'),
    resize: instances.flatMap(({ node, resource }) => readResize(node, resource)),
    destroy: pick(instances, 'delete'),
    fresh: pick(volumes, 'create', 'replace'),
  };
}

/**
 * Nodes that leave with their data and whose instance is gone already, e.g. because their removal was interrupted. What
 * lies on such a volume cannot be looked at: it is not the primary's where another node is the primary.
 */
export function findOrphanedVolumes(plan: PlanSummary): string[] {
  const { destroy } = buildNodeChanges(plan);
  return listNodes(plan, 'aws_ebs_volume.data')
    .filter(({ node, resource }) => resource.action === 'delete' && !destroy.includes(node))
    .map(({ node }) => node);
}

/** What to do about them where no node is seen to be the primary. */
export function explainOrphanedVolumes(plan: PlanSummary): string[] {
  return findOrphanedVolumes(plan).map(
    (node) =>
      `${node} is to be removed with its data, its instance is gone already, and no other node is seen to be the primary, so nobody can see whether its data is the primary's. Deploy with the replica-count of before first, which brings the node back; then lower it.`,
  );
}

/** The availability zones of nodes that are yet to come, by name, where the plan tells them. */
export function readPlannedZones(plan: PlanSummary): Record<string, string> {
  const zones = listNodes(plan, 'aws_ebs_volume.data').flatMap(({ node, resource }) => {
    const zone = resource.attributes.find(({ path }) => path === 'availability_zone')?.after;
    return zone?.kind === 'known' && typeof zone.value === 'string' ? [[node, zone.value]] : [];
  });
  return Object.fromEntries(zones);
}

/**
 * The part of the `reviewed` plan in which nothing is destroyed and of all running instances only those of
 * `resized` have their new type; without any, the stage before the first resize. `standing` are the nodes
 * that the state holds. The last stage is the plan without a stage.
 */
export function buildStageOverrides(
  reviewed: PlanSummary,
  { standing, resized }: { standing: readonly Node[]; resized: readonly string[] },
): PlanOverrides {
  const instances = listNodes(reviewed, 'aws_instance.node');
  const made = instances.filter(({ resource: { action } }) => CREATING_ACTIONS.includes(action));
  const leaving = instances.filter(({ resource: { action } }) => action === 'delete');
  const kept = standing.filter(
    ({ name }) => !resized.includes(name) && !made.some(({ node }) => node === name),
  );
  const typeOf = ({ name, instanceType }: Node) => {
    // The plan has looked since the state was written: somebody may have changed the type by hand.
    const type = instances
      .find(({ node }) => node === name)
      ?.resource.attributes.find(({ path }) => path === 'instance_type')?.before;
    return type?.kind === 'known' ? String(type.value) : instanceType;
  };
  return {
    instanceTypes: Object.fromEntries(kept.map((one) => [nodeNumber(one.name), typeOf(one)])),
    keptNodes: leaving.map(({ node }) => nodeNumber(node)),
  };
}

/** The resources of one kind, e.g. `aws_instance.node`, with the node each belongs to, in number order. */
export function listNodes(
  plan: PlanSummary,
  kind: string,
): { readonly node: string; readonly resource: ResourceChange }[] {
  return plan.resources
    .filter((resource) => kindOf(resource) === kind && resource.deposed === null)
    .map((resource) => ({ node: nodeName(Number(resource.index)), resource }))
    .sort((a, b) => Number(a.resource.index) - Number(b.resource.index));
}

/** Type and name of a resource, e.g. `aws_instance.node`. */
export const kindOf = ({ type, name }: ResourceChange): string => `${type}.${name}`;

function readResize(node: string, { action, address, attributes }: ResourceChange): NodeResize[] {
  const change = attributes.find(({ path }) => path === 'instance_type');
  if (action !== 'update' || change === undefined) return [];
  const [from, to] = [change.before, change.after].map((side) =>
    side.kind === 'known' && typeof side.value === 'string' ? side.value : undefined,
  );
  if (from === undefined || to === undefined) {
    throw new Error(`The plan does not tell the instance types of ${address}.`);
  }
  return [{ node, from, to }];
}
