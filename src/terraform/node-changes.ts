import { type Node, nodeName, nodeNumber } from '../cluster/node.ts';
import type { PlanSummary, ResourceChange } from './plan.ts';
import { STARTER_RESOURCE } from './starter.ts';

/** Overrides for a plan that leaves a part of the change for later. */
export interface PlanOverrides {
  /** Present instance types, by node number, of nodes that change later; all others get the requested type. */
  readonly instanceTypes: Readonly<Record<string, string>>;
  /** Numbers of nodes that are removed later. */
  readonly keptNodes: readonly string[];
  /** Numbers of nodes whose stopped instance is started. */
  readonly started?: readonly string[];
  /** Numbers of nodes that the plan leaves out. */
  readonly absent?: readonly string[];
  /** Addresses of resources that are replaced although nothing about them changed. */
  readonly replace?: readonly string[];
  /** Addresses of the resources to plan for; by default all. */
  readonly only?: readonly string[];
}

/** Changes to nodes by name (`node-3`), in number order. A node is in at most one of the first four lists. */
export interface NodeChanges {
  /** Nodes without an instance. */
  readonly create: readonly string[];
  /** Nodes that get a new instance in place of theirs. */
  readonly replace: readonly string[];
  /** Nodes whose instance is stopped, changed and started. */
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

/** Actions that create a new object. */
export const CREATING_ACTIONS: readonly string[] = ['create', 'replace'];

/** Terraform's address of a node's instance. */
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

/** Terraform's address of a node's DNS record, which a cluster without a zone does not have. */
export function dnsRecordAddress(node: string): string {
  return `aws_route53_record.node["${nodeNumber(node)}"]`;
}

/** Terraform's address of the resource that starts a node's stopped instance. */
export function starterAddress(node: string): string {
  return `${STARTER_RESOURCE}["${nodeNumber(node)}"]`;
}

/** Groups the changes of `plan` to nodes. */
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
 * Finds nodes whose volume would be destroyed and whose instance no longer exists, e.g. after an interrupted removal.
 * The volume cannot be inspected. It is not the primary's if another node is the primary.
 */
export function findOrphanedVolumes(plan: PlanSummary): string[] {
  const { destroy } = buildNodeChanges(plan);
  return listNodes(plan, 'aws_ebs_volume.data')
    .filter(({ node, resource }) => resource.action === 'delete' && !destroy.includes(node))
    .map(({ node }) => node);
}

/** Refuses them if no node is known to be the primary. */
export function explainOrphanedVolumes(plan: PlanSummary): string[] {
  return findOrphanedVolumes(plan).map(
    (node) =>
      `${node} is to be removed with its data, its instance no longer exists, and no other node is known to be the primary, so its data may be the primary's. Deploy with the previous replica-count first, which recreates the node; then lower it.`,
  );
}

/** Returns the availability zones of planned nodes, by name, as far as the plan has them. */
export function readPlannedZones(plan: PlanSummary): Record<string, string> {
  const zones = listNodes(plan, 'aws_ebs_volume.data').flatMap(({ node, resource }) => {
    const zone = readText(resource, 'availability_zone');
    return zone === null ? [] : [[node, zone]];
  });
  return Object.fromEntries(zones);
}

/** What a plan says of the instance of a node; '' where it says nothing. */
export interface PlannedInstance {
  /** e.g. `t3.medium`. */
  readonly type: string;
  readonly zone: string;
}

/** Returns the planned instances that are created or changed, by the names of their nodes. */
export function readPlannedInstances(plan: PlanSummary): Record<string, PlannedInstance> {
  const zones = readPlannedZones(plan);
  const instances = listNodes(plan, 'aws_instance.node').map(({ node, resource }) => {
    const zone = readText(resource, 'availability_zone') ?? zones[node] ?? '';
    return [node, { type: readText(resource, 'instance_type') ?? '', zone }];
  });
  return Object.fromEntries(instances);
}

/** Returns the text of an attribute after the change; null if it is unknown or not part of the change. */
function readText(resource: ResourceChange, name: string): string | null {
  const after = resource.attributes.find(({ path }) => path === name)?.after;
  return after?.kind === 'known' && typeof after.value === 'string' ? after.value : null;
}

/**
 * Builds the overrides of a stage of the `reviewed` plan: nothing is destroyed, and only the nodes in `resized` change
 * their type. `existing` are the nodes in the state. The last stage is the plan without overrides.
 */
export function buildStageOverrides(
  reviewed: PlanSummary,
  { existing, resized }: { existing: readonly Node[]; resized: readonly string[] },
): PlanOverrides {
  const instances = listNodes(reviewed, 'aws_instance.node');
  const made = instances.filter(({ resource: { action } }) => CREATING_ACTIONS.includes(action));
  const leaving = instances.filter(({ resource: { action } }) => action === 'delete');
  const kept = existing.filter(
    ({ name }) => !resized.includes(name) && !made.some(({ node }) => node === name),
  );
  const typeOf = ({ name, instanceType }: Node) => {
    // The plan is newer than the state: the type may have been changed by hand.
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

/** Returns the resources of one kind, e.g. `aws_instance.node`, with their nodes, in number order. */
export function listNodes(
  plan: PlanSummary,
  kind: string,
): { readonly node: string; readonly resource: ResourceChange }[] {
  return plan.resources
    .filter((resource) => kindOf(resource) === kind && resource.deposed === null)
    .map((resource) => ({ node: nodeName(Number(resource.index)), resource }))
    .sort((a, b) => Number(a.resource.index) - Number(b.resource.index));
}

/** Returns type and name of a resource, e.g. `aws_instance.node`. */
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
