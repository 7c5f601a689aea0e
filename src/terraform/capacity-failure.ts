import { compareNames, nodeName } from '../cluster/node.ts';

/** What a message of the AWS provider says about the thing that could not be created; '' where it does not say. */
interface Refused {
  /** Names of nodes, or ''. */
  readonly nodes: string;
  readonly type: string;
  readonly zone: string;
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

const describeType = ({ type }: Refused) => type || 'instances of this instance-type';
const describeZone = ({ zone }: Refused) => (zone ? ` in ${zone}` : '');
const begin = ({ nodes }: Refused) => (nodes ? `${nodes}: ` : '');

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
      `${begin(refused)}the account's quota of vCPUs for ${describeType(refused)} is reached in this region. ${UNTOUCHED} ${raise('ec2', 'L-1216C47A')} That page is the one of the standard types (A, C, D, H, I, M, R, T, Z). Or give a smaller instance-type or replica-count.`,
  },
  {
    pattern: /\bInstanceLimitExceeded\b/,
    nextStep: (refused) =>
      `${begin(refused)}the account's quota of ${describeType(refused)} is reached in this region. ${UNTOUCHED} ${raise('ec2', 'L-1216C47A')} Or give another instance-type or a smaller replica-count.`,
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

/**
 * Returns the next step for each kind of capacity or quota that EC2 refused, with the nodes, the instance type and the
 * zone as far as the messages name them; null for other failures. `stderr` is what Terraform wrote without colours.
 */
export function explainCapacity(stderr: string): string | null {
  const blocks = stderr.split(/^(?=Error: )/m);
  const found = REFUSALS.flatMap(({ pattern, nextStep }) => {
    const matching = blocks.filter((block) => pattern.test(block));
    const kinds = Map.groupBy(matching, (block) =>
      JSON.stringify([readType(block), readZone(block)]),
    );
    return [...kinds.values()].map((same) => nextStep(describe(same)));
  });
  return found.length === 0 ? null : found.join('\n');
}

function describe(blocks: readonly string[]): Refused {
  const [first = ''] = blocks;
  const numbers = blocks.flatMap((block) => [
    ...block.matchAll(/\baws_(?:instance\.node|ebs_volume\.data)\["(\d{1,2})"\]/g),
  ]);
  const nodes = new Set(numbers.map(([, number]) => nodeName(Number(number))));
  return {
    nodes: [...nodes].sort(compareNames).join(', '),
    type: readType(first),
    zone: readZone(first),
  };
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
