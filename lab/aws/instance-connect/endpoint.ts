import { ApiError } from '../api-error.ts';
import { takePrivateAddress } from '../ec2.ts';
import type { Context } from '../resource.ts';
import { makeId, type Tags, type Thing } from '../world.ts';
import { nameEndpoint } from './certificate.ts';

/** EC2's states of an endpoint (API Reference, "Ec2InstanceConnectEndpoint"); a deleted one is not in the tables. */
export type EndpointState =
  | 'create-in-progress'
  | 'create-complete'
  | 'create-failed'
  | 'delete-in-progress'
  | 'delete-failed';

/** An EC2 Instance Connect Endpoint. */
export interface Endpoint extends Thing {
  readonly vpc: string;
  readonly subnet: string;
  readonly networkInterface: string;
  /** The address of its network interface: the source of its connections. */
  readonly privateIp: string;
  /** The name that EC2 gives it. In the lab it leads nowhere: DescribeInstanceConnectEndpoints has the real address. */
  readonly dnsName: string;
  /** ISO 8601 */
  readonly created: string;
  readonly groups: string[];
  /** Recorded; the lab's connections come from `privateIp` in any case. */
  readonly preserveClientIp: boolean;
  state: EndpointState;
  /** Why it failed; otherwise empty. */
  stateMessage: string;
}

/** EC2 User Guide, "Quotas for EC2 Instance Connect Endpoint": one per VPC. */
const PER_VPC = 1;

/** Returns the endpoint; throws EC2's refusal if it does not exist. */
export function findEndpoint(
  id: string,
  { world, region }: Pick<Context, 'world' | 'region'>,
): Endpoint {
  const found = world.tables.endpoints[id];
  if (found?.region === region) return found;
  throw new ApiError(
    'InvalidInstanceConnectEndpointId.NotFound',
    `The instance connect endpoint ID '${id}' does not exist`,
  );
}

/**
 * CreateInstanceConnectEndpoint, and the provider's wait for `create-complete` (minutes on EC2). Without `groups` the
 * endpoint has the VPC's default group. `record` is called with the id as soon as the endpoint exists.
 */
export async function createEndpoint(
  wanted: { subnet: string; groups: string[]; preserveClientIp: boolean; tags: Tags },
  context: Context,
  record: (id: string) => void = () => {},
): Promise<Endpoint> {
  const { world, region, compute } = context;
  const { subnets, vpcs, groups: known, endpoints } = world.tables;
  const { vpc = '' } = subnets[wanted.subnet] ?? {};
  if (subnets[wanted.subnet]?.region !== region) {
    throw new ApiError(
      'InvalidSubnetID.NotFound',
      `The subnet ID '${wanted.subnet}' does not exist`,
    );
  }
  const strange = wanted.groups.find((group) => known[group]?.vpc !== vpc);
  if (strange !== undefined) {
    throw new ApiError('InvalidGroup.NotFound', `The security group '${strange}' does not exist`);
  }
  const others = Object.values(endpoints).filter((one) => one.vpc === vpc);
  if (others.length >= PER_VPC) {
    throw new ApiError(
      'ResourceLimitExceeded',
      `The maximum number of EC2 Instance Connect Endpoints in the VPC ${vpc} has been reached.`,
    );
  }
  const id = makeId('eice');
  const endpoint: Endpoint = {
    id,
    region,
    vpc,
    subnet: wanted.subnet,
    networkInterface: makeId('eni'),
    privateIp: takePrivateAddress(wanted.subnet, context),
    dnsName: nameEndpoint(id, region),
    created: new Date(world.clock.now()).toISOString(),
    groups: wanted.groups.length > 0 ? wanted.groups : [vpcs[vpc]?.defaultGroup ?? ''],
    preserveClientIp: wanted.preserveClientIp,
    tags: wanted.tags,
    state: 'create-in-progress',
    stateMessage: '',
  };
  endpoints[id] = endpoint;
  record(id);
  await compute.openEndpoint(endpoint);
  endpoint.state = 'create-complete';
  await compute.syncFirewalls();
  world.save();
  return endpoint;
}

/** DeleteInstanceConnectEndpoint, and the provider's wait for its end. Open connections are closed. */
export async function deleteEndpoint(id: string, context: Context): Promise<void> {
  const { world, compute } = context;
  const endpoint = findEndpoint(id, context);
  endpoint.state = 'delete-in-progress';
  await compute.closeEndpoint(endpoint);
  delete world.tables.endpoints[id];
  await compute.syncFirewalls();
  world.save();
}
