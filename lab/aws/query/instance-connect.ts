import { ApiError } from '../api-error.ts';
import { applyFilters, readTagFacets } from '../data/filter.ts';
import { type Endpoint, findEndpoint } from '../instance-connect/endpoint.ts';
import { ACCOUNT, writeArn } from '../world.ts';
import { type Action, type QueryContext, readFilters, readList, type Xml } from './answer.ts';

const FILTERS = ['instance-connect-endpoint-id', 'state', 'subnet-id', 'tag-value', 'vpc-id'];
const PAGE = 50;

function describe(endpoint: Endpoint, { world, tunnels }: QueryContext): { [name: string]: Xml } {
  const { id, region, dnsName, tags } = endpoint;
  return {
    ownerId: ACCOUNT,
    instanceConnectEndpointId: id,
    instanceConnectEndpointArn: writeArn(region, 'instance-connect-endpoint', id),
    state: endpoint.state,
    stateMessage: endpoint.stateMessage,
    dnsName: tunnels ?? dnsName,
    fipsDnsName: tunnels ?? dnsName.replace('.ec2-', '.fips.ec2-'),
    networkInterfaceIdSet: [endpoint.networkInterface],
    vpcId: endpoint.vpc,
    availabilityZone: world.tables.subnets[endpoint.subnet]?.zone,
    createdAt: endpoint.created,
    subnetId: endpoint.subnet,
    preserveClientIp: endpoint.preserveClientIp,
    securityGroupIdSet: endpoint.groups,
    tagSet: Object.entries(tags).map(([key, value]) => ({ key, value })),
  };
}

/** Reads the request's page; throws EC2's refusals. */
function readPage(parameters: URLSearchParams): { start: number; size: number } {
  const size = Number(parameters.get('MaxResults') ?? PAGE);
  if (!(size >= 1 && size <= PAGE)) {
    throw new ApiError(
      'InvalidParameterValue',
      `Value ( ${size} ) for parameter maxResults is invalid. Expecting a value between 1 and ${PAGE}.`,
    );
  }
  const start = Number(parameters.get('NextToken') ?? 0);
  if (Number.isInteger(start) && start >= 0) return { start, size };
  throw new ApiError('InvalidNextToken', 'The specified token is not valid.');
}

/** Describes the region's endpoints (EC2 API Reference, "DescribeInstanceConnectEndpoints"), a page at a time. */
export const describeInstanceConnectEndpoints: Action = async (parameters, context) => {
  const { region, world } = context;
  const ids = readList(parameters, 'InstanceConnectEndpointId');
  const meant =
    ids.length > 0
      ? ids.map((id) => findEndpoint(id, context))
      : Object.values(world.tables.endpoints).filter((one) => one.region === region);
  const found = applyFilters(meant, {
    filters: readFilters(parameters),
    known: FILTERS,
    facets: ({ id, state, subnet, vpc, tags }) => ({
      'instance-connect-endpoint-id': id,
      state,
      'subnet-id': subnet,
      'vpc-id': vpc,
      'tag-value': Object.values(tags),
      ...readTagFacets(tags),
    }),
  });
  const { start, size } = readPage(parameters);
  const end = start + size;
  return {
    instanceConnectEndpointSet: found.slice(start, end).map((one) => describe(one, context)),
    nextToken: end < found.length ? String(end) : undefined,
  };
};
