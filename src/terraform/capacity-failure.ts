import { compareNames, nodeName } from '../cluster/node.ts';
import type { PlannedInstance } from './node-changes.ts';
import { findVcpuQuota } from './vcpu-quotas.ts';

/** What was refused, as the message of the AWS provider says, or else the plan; '' where neither does. */
interface Refused extends PlannedInstance {
  /** Names of nodes, or ''. */
  readonly nodes: string;
  /** Whether a new instance or volume was refused. Else it is an instance that was to be started again. */
  readonly isNew: boolean;
}

/** A refusal of EC2 and the next step. */
interface Refusal {
  readonly pattern: RegExp;
  readonly nextStep: (refused: Refused) => string;
}

const UNTOUCHED = 'Nodes that exist run on.';

/** The page of a quota in the console. */
const quota = (service: 'ec2' | 'vpc', code: string) =>
  `https://console.aws.amazon.com/servicequotas/home/services/${service}/quotas/${code}`;

const raise = (service: 'ec2' | 'vpc', code: string) =>
  `Raise the quota (${quota(service, code)}, in the cluster's region; it can take hours), then run this job again.`;

/** Each family of instance types counts against one quota of vCPUs. */
function raiseVcpus({ type }: Refused): string {
  const known = findVcpuQuota(type);
  return known === null
    ? `Raise the quota "Running On-Demand … instances" of the type's family (https://console.aws.amazon.com/servicequotas/home/services/ec2/quotas, in the cluster's region; it can take hours), then run this job again.`
    : raise('ec2', known.code).replace('the quota', `the quota "${known.name}"`);
}

const describeType = ({ type }: Refused) => type || 'instances of this instance-type';
const describeZone = ({ zone }: Refused) => (zone ? ` in ${zone}` : '');
const begin = ({ nodes }: Refused) => (nodes ? `${nodes}: ` : '');
/** An instance that was to be started again is stopped. */
const untouched = ({ isNew }: Refused) => (isNew ? ` ${UNTOUCHED}` : '');

/** A new node has no data yet, and its zone is chosen again. */
const suggestZone = ({ zone }: Refused) =>
  `add ${zone || 'the zone'} to avoid-zones, so that a new node is created in another zone (a node with data stays where its volume is)`;

/**
 * EC2's error codes ("Error codes for the Amazon EC2 API"). A lack of capacity when an instance is started again has its
 * own message.
 */
const REFUSALS: readonly Refusal[] = [
  {
    pattern: /RunInstances[\s\S]*\bInsufficientInstanceCapacity\b/,
    nextStep: (refused) =>
      `${begin(refused)}EC2 has no capacity for ${describeType(refused)}${describeZone(refused)} now. ${UNTOUCHED} Run this job again later, give another instance-type, or ${suggestZone(refused)}.`,
  },
  {
    pattern: /RunInstances[\s\S]*\bUnsupported\b[\s\S]*\bAvailability Zone\b/,
    nextStep: (refused) =>
      `${begin(refused)}${describeType(refused)} does not exist${describeZone(refused)}. ${UNTOUCHED} Give another instance-type, or ${suggestZone(refused)}.`,
  },
  {
    pattern: /\bVcpuLimitExceeded\b/,
    nextStep: (refused) =>
      `${begin(refused)}${describeType(refused)}${describeZone(refused)} was refused, because the account's quota of vCPUs is reached in this region.${untouched(refused)} ${raiseVcpus(refused)} Or give a smaller instance-type or replica-count; another zone does not help.`,
  },
  {
    pattern: /\bInstanceLimitExceeded\b/,
    nextStep: (refused) =>
      `${begin(refused)}${describeType(refused)}${describeZone(refused)} was refused, because the account's quota of instances is reached in this region.${untouched(refused)} ${raiseVcpus(refused)} Or give another instance-type or a smaller replica-count; another zone does not help.`,
  },
  {
    pattern: /\bInsufficientVolumeCapacity\b/,
    nextStep: (refused) =>
      `${begin(refused)}EBS has no capacity for a gp3 volume${describeZone(refused)} now${refused.type ? ` (for ${refused.type})` : ''}. ${UNTOUCHED} Run this job again later, or ${suggestZone(refused)}.`,
  },
  {
    pattern: /\bPendingVerification\b/,
    nextStep: (refused) =>
      `${begin(refused)}AWS is still verifying the account for this region, which usually takes minutes and at most four hours. Run this job again when its e-mail has come.`,
  },
  {
    pattern: /\bAddressLimitExceeded\b/,
    nextStep: () =>
      `The account has all the Elastic IPs that its quota allows in this region, and the NAT gateway needs one. ${raise('ec2', 'L-0263D0A3')} Or release one that is not used, or set internet-via to public-addresses.`,
  },
  {
    pattern: /\bVpcLimitExceeded\b/,
    nextStep: () =>
      `The account has all the VPCs that its quota allows in this region (5 at first). ${raise('vpc', 'L-F678F1CE')} Or place the nodes in existing subnets with subnet-ids.`,
  },
  {
    pattern: /\bInternetGatewayLimitExceeded\b/,
    nextStep: () =>
      `The account has all the internet gateways that its quota allows in this region (5 at first). ${raise('vpc', 'L-A4707A72')} Or place the nodes in existing subnets with subnet-ids.`,
  },
  {
    pattern: /\bNatGatewayLimitExceeded\b/,
    nextStep: () =>
      `The account has all the NAT gateways that its quota allows in this zone (5 at first). ${raise('vpc', 'L-FE5A380F')} Or set internet-via to public-addresses.`,
  },
  {
    pattern:
      /creating EC2 Instance Connect Endpoint[\s\S]*(LimitExceeded|QuotaExceeded|maximum\s+number|already\s+(has|exists))/i,
    nextStep: () =>
      'AWS allows one EC2 Instance Connect Endpoint in each VPC and five in a region. If the VPC has one, name it in instance-connect-endpoint-id ("aws ec2 describe-instance-connect-endpoints" lists them). Then run this job again.',
  },
];

/** Instance type and zone by the name of a node. */
export type PlannedInstances = Readonly<Record<string, PlannedInstance>>;

/**
 * Returns the next step for each kind of capacity or quota that EC2 refused, with the nodes, the instance type and the
 * zone as far as the messages or the plan name them; null for other failures. `stderr` is what Terraform wrote without
 * colours.
 */
export function explainCapacity(stderr: string, planned: PlannedInstances = {}): string | null {
  const blocks = stderr.split(/^(?=Error: )/m);
  const found = REFUSALS.flatMap(({ pattern, nextStep }) => {
    const matching = blocks.filter((block) => pattern.test(block));
    const kinds = Map.groupBy(
      matching.map((block) => describe(block, planned)),
      ({ type, zone, isNew }) => JSON.stringify([type, zone, isNew]),
    );
    return [...kinds.values()].map((same) => nextStep(merge(same)));
  });
  return found.length === 0 ? null : found.join('\n');
}

/** The refusal of one resource, which is of one node or of none. */
function describe(block: string, planned: PlannedInstances): Refused {
  const number = /\baws_(?:instance\.node|ebs_volume\.data)\["(\d{1,2})"\]/.exec(block)?.[1];
  const node = number === undefined ? '' : nodeName(Number(number));
  return {
    nodes: node,
    type: readType(block) || (planned[node]?.type ?? ''),
    zone: readZone(block) || (planned[node]?.zone ?? ''),
    isNew: !/\bStartInstances\b/.test(block),
  };
}

/** Makes refusals that differ in their nodes only to one. */
function merge(same: readonly Refused[]): Refused {
  const [first] = same;
  if (first === undefined) throw new Error('no refusal');
  const nodes = new Set(same.map((refused) => refused.nodes).filter((name) => name !== ''));
  return { ...first, nodes: [...nodes].sort(compareNames).join(', ') };
}

function readType(block: string): string {
  return (
    /sufficient ([a-z][a-z0-9-]*\.[a-z0-9-]+) capacity/.exec(block)?.[1] ??
    /instance type \(([a-z][a-z0-9-]*\.[a-z0-9-]+)\)/.exec(block)?.[1] ??
    ''
  );
}

/** The zone of the request; after it, EC2 lists those that have capacity. */
function readZone(block: string): string {
  return (
    /Availability\s+Zone(?: you requested)? \(([a-z]{2}(?:-[a-z]+)+-\d[a-z])\)/.exec(block)?.[1] ??
    ''
  );
}
