import { ApiError } from '../api-error.ts';
import { parseAddress, parseCidr } from '../cidr.ts';
import type { Context } from '../resource.ts';
import { ACCOUNT, writeArn } from '../world.ts';
import type { Endpoint } from './endpoint.ts';

/** A tunnel that the endpoint agrees to open. */
export interface Tunnel {
  readonly endpoint: Endpoint;
  /** The private IPv4 address to connect to. */
  readonly address: string;
  readonly port: number;
  /** When the endpoint ends it, in seconds after its start. */
  readonly seconds: number;
}

// EC2 User Guide, "Connect to an Amazon EC2 instance using EC2 Instance Connect Endpoint": limitations.
const PORTS = ['22', '3389'];
const MAX_SECONDS = 3600;
const MAX_TUNNELS = 20;

/** HTTP statuses of refusals other than 400. */
export const STATUSES: { readonly [code: string]: number } = {
  AccessDeniedException: 403,
  InvalidSignatureException: 403,
  MissingAuthenticationTokenException: 403,
  UnrecognizedClientException: 403,
  ResourceNotFoundException: 404,
  TooManyRequestsException: 429,
};

/**
 * Reads the parameters of a signed openTunnel request, as the AWS CLI writes them (`eicesigner.py`). `countOpen` tells
 * how many tunnels an endpoint has. Throws the refusal; of AWS's own texts, those for the port and for a missing
 * permission are known.
 */
export function readRequest(
  parameters: URLSearchParams,
  { world, region }: Pick<Context, 'world' | 'region'>,
  countOpen: (endpoint: string) => number,
): Tunnel {
  const { endpoints, vpcs, forbidden } = world.tables;
  const id = readOne(parameters, 'instanceConnectEndpointId');
  if (forbidden.includes('OpenTunnel')) {
    const resource = writeArn(region, 'instance-connect-endpoint', id);
    throw new ApiError(
      'AccessDeniedException',
      `User: arn:aws:iam::${ACCOUNT}:user/lab is not authorized to perform: ec2-instance-connect:OpenTunnel on resource: ${resource} because no identity-based policy allows the ec2-instance-connect:OpenTunnel action`,
    );
  }
  const port = readOne(parameters, 'remotePort');
  if (!PORTS.includes(port)) {
    throw refuse(
      'The specified RemotePort is not valid. Specify either 22 or 3389 as the RemotePort and retry your request.',
    );
  }
  const duration = parameters.has('maxTunnelDuration')
    ? readOne(parameters, 'maxTunnelDuration')
    : String(MAX_SECONDS);
  const seconds = /^[1-9]\d{0,3}$/.test(duration) ? Number(duration) : Number.NaN;
  if (!(seconds <= MAX_SECONDS)) {
    throw refuse(
      `The specified MaxTunnelDuration is not valid. Specify a value between 1 and ${MAX_SECONDS} seconds and retry your request.`,
    );
  }
  const address = readOne(parameters, 'privateIpAddress');
  const number = parseAddress(address);
  if (number === undefined)
    throw refuse('The specified PrivateIpAddress is not valid. Specify an IPv4 address.');
  const endpoint = Object.hasOwn(endpoints, id) ? endpoints[id] : undefined;
  if (endpoint === undefined || endpoint.region !== region) {
    throw new ApiError(
      'ResourceNotFoundException',
      `The specified EC2 Instance Connect Endpoint ${id} does not exist.`,
    );
  }
  if (endpoint.state !== 'create-complete') {
    throw refuse(
      `The specified EC2 Instance Connect Endpoint ${id} is in the state ${endpoint.state}.`,
    );
  }
  const network = parseCidr(vpcs[endpoint.vpc]?.cidr ?? '');
  if (network === undefined || number < network.first || number >= network.first + network.size) {
    throw refuse(
      `The specified PrivateIpAddress ${address} is not in the VPC of the EC2 Instance Connect Endpoint ${id}.`,
    );
  }
  if (countOpen(id) >= MAX_TUNNELS) {
    throw new ApiError(
      'TooManyRequestsException',
      `The EC2 Instance Connect Endpoint ${id} has reached its maximum of ${MAX_TUNNELS} concurrent connections.`,
    );
  }
  return { endpoint, address, port: Number(port), seconds };
}

function readOne(parameters: URLSearchParams, name: string): string {
  const [value, ...more] = parameters.getAll(name);
  if (value !== undefined && value !== '' && more.length === 0) return value;
  throw refuse(`The parameter ${name} must be given once.`);
}

const refuse = (why: string): ApiError => new ApiError('InvalidParameter', why);
