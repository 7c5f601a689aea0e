import type { VolumeKind } from '../cluster/volume.ts';
import { listSome } from '../messages/list-some.ts';
import { kindOf } from './node-changes.ts';
import type { PlanSummary } from './plan.ts';
import { listShrinks, SIZE_INPUTS } from './volume-changes.ts';

/** A cluster has at most 16 nodes. */
const MAX_NODES = 16;

/**
 * Explains, with the way out, changes of values that are fixed once they exist: volumes cannot become smaller, the network
 * of the cluster's own VPC cannot change, and nodes without public addresses need the NAT gateway. No label allows them.
 * Empty if the plan has none.
 */
export function explainFixedValues(plan: PlanSummary): string[] {
  return [
    ...explainShrinks(plan, 'data'),
    ...explainShrinks(plan, 'root'),
    ...explainVpc(plan),
    ...explainStranded(plan),
  ];
}

function explainShrinks(plan: PlanSummary, kind: VolumeKind): string[] {
  const shrinks = listShrinks(plan).filter((one) => one.kind === kind);
  const [first] = shrinks;
  if (first === undefined) return [];
  const volumes = shrinks.map(({ node, before }) => `${node} (${before} GiB)`);
  // One of them may have been grown outside Terraform.
  const least = Math.max(...shrinks.map(({ before }) => before));
  return [
    `${SIZE_INPUTS[kind]}: ${first.after} GiB is smaller than the ${kind} volume of ${listSome(volumes, MAX_NODES)}, and EBS cannot shrink a volume. Give at least ${least}. For smaller volumes build a new cluster and move the data.`,
  ];
}

function explainVpc({ resources }: PlanSummary): string[] {
  return resources.flatMap((resource) => {
    if (kindOf(resource) !== 'aws_vpc.own') return [];
    const network = resource.attributes.find(({ path }) => path === 'cidr_block');
    if (network?.before.kind !== 'known' || network.after.kind !== 'known') return [];
    const [before, after] = [network.before.value, network.after.value].map(String);
    return [
      `vpc-cidr: the VPC of the cluster has the network ${before}, which cannot become ${after}: the VPC would be replaced, and with it every instance at the same time. Give ${before} again. For another network build a new cluster and move the data.`,
    ];
  });
}

function explainStranded({ stranded }: PlanSummary): string[] {
  if (stranded.length === 0) return [];
  return [
    `internet-via: ${listSome(stranded, MAX_NODES)} would reach neither packages nor images without the NAT gateway: a node gets a public address only when it is created. Give nat-gateway again. For public addresses build a new cluster and move the data.`,
  ];
}
