import { compareNames, nodeName } from '../cluster/node.ts';
import { kindOf, listNodes } from './node-changes.ts';
import type { PlanSummary, ResourceChange } from './plan.ts';
import { VERBS } from './plan-differences.ts';
import { STARTER_RESOURCE } from './starter.ts';

/** The instances of the nodes. */
export const INSTANCE = 'aws_instance.node';
/** The data volumes of the nodes. */
export const VOLUME = 'aws_ebs_volume.data';
const ATTACHMENT = 'aws_volume_attachment.data';

/** The resources of the templates. Others do not belong to the cluster. */
const OWN_RESOURCES: ReadonlySet<string> = new Set([
  INSTANCE,
  VOLUME,
  ATTACHMENT,
  STARTER_RESOURCE,
  'aws_dlm_lifecycle_policy.snapshots',
  'aws_ec2_instance_connect_endpoint.own',
  'aws_eip.nat',
  'aws_iam_instance_profile.nodes',
  'aws_iam_role.nodes',
  'aws_iam_role.snapshots',
  'aws_iam_role_policy.nodes',
  'aws_iam_role_policy.snapshots',
  'aws_internet_gateway.own',
  'aws_key_pair.nodes',
  'aws_nat_gateway.own',
  'aws_route.internet',
  'aws_route.public',
  'aws_route53_record.node',
  'aws_route_table.own',
  'aws_route_table.public',
  'aws_route_table_association.own',
  'aws_route_table_association.public',
  'aws_security_group.endpoint',
  'aws_security_group.nodes',
  'aws_subnet.own',
  'aws_subnet.public',
  'aws_vpc.own',
  'aws_vpc_endpoint.s3',
  'aws_vpc_security_group_egress_rule.all',
  'aws_vpc_security_group_egress_rule.endpoint',
  'aws_vpc_security_group_ingress_rule.clients',
  'aws_vpc_security_group_ingress_rule.endpoint',
  'aws_vpc_security_group_ingress_rule.replication',
  'aws_vpc_security_group_ingress_rule.ssh',
]);

/** Protected objects that a plan destroys or replaces. */
export interface Loss {
  /** The node that they belong to; null: the one object is not a resource of this cluster. */
  readonly node: string | null;
  readonly resources: readonly ResourceChange[];
}

/**
 * Lists protected objects that the plan destroys or replaces, by node: instances and data volumes of nodes, attachments
 * of volumes to instances that stay, and all resources that are not the templates'. Objects that an interrupted apply
 * left unfinished (`partly`) hold no data. Objects that Terraform calls deposed may: replacements of nodes and volumes
 * leave none, and a manipulated state can mark any object.
 */
export function findLosses(plan: PlanSummary, { partly = false } = {}): Loss[] {
  const gone = new Set(
    plan.resources.filter(
      ({ action, reason }) =>
        action === 'delete' ||
        (action === 'replace' && !(partly && reason === 'replace_because_tainted')),
    ),
  );
  const [volumes, instances, attachments] = [VOLUME, INSTANCE, ATTACHMENT].map((kind) =>
    [...gone]
      .filter((resource) => isOwn(resource) && kindOf(resource) === kind)
      .map((resource) => ({ node: nodeName(Number(resource.index)), resource })),
  ) as [Owned, Owned, Owned];
  // Destroying only the attachment would take the volume from a running server.
  const made = listNodes(plan, INSTANCE).filter(({ resource }) => resource.action === 'create');
  const covered = new Set([...volumes, ...instances, ...made].map(({ node }) => node));
  const torn = attachments.filter(({ node }) => !covered.has(node));
  const lost = [...volumes, ...instances, ...torn];
  return [
    ...[...new Set(lost.map(({ node }) => node))].sort(compareNames).map((node) => ({
      node,
      resources: lost.filter((one) => one.node === node).map(({ resource }) => resource),
    })),
    ...[...gone].filter((one) => !isOwn(one)).map((one) => ({ node: null, resources: [one] })),
  ];
}

/** Describes a loss as a sentence without its full stop. */
export function describeLoss({ node, resources }: Loss): string {
  const parts = resources.map(describeResourceLoss).join(', ');
  return node === null ? `${parts}, and it is not a resource of this cluster` : `${node}: ${parts}`;
}

/** Whether the resource is one of the templates'. */
export const isOwn = (resource: ResourceChange): boolean => {
  const kind = kindOf(resource);
  return resource.address.startsWith(kind) && OWN_RESOURCES.has(kind);
};

type Owned = ReturnType<typeof listNodes>;

/** Describes what happens to one resource, without a full stop. */
export const describeResourceLoss = ({ address, action, id, deposed }: ResourceChange): string =>
  `${address}${deposed === null ? '' : ` (${id}, left over)`} would ${VERBS[action]}`;
