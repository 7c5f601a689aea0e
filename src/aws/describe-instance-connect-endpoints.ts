import { z } from 'zod';
import { AwsError } from './credentials.ts';
import { type Ec2Connection, queryEc2 } from './ec2-query.ts';

/** The permission that the request needs. */
export const ENDPOINTS_PERMISSION = 'ec2:DescribeInstanceConnectEndpoints';

/** An EC2 Instance Connect Endpoint, as EC2 describes it. */
export interface InstanceConnectEndpoint {
  readonly id: string;
  /** `create-in-progress`, `create-complete`, `create-failed`, `update-…`, `delete-…`. */
  readonly state: string;
  /** EC2's words about the state; empty without any. */
  readonly message: string;
  /** Host of the WebSocket, in the lab with a port; empty until the endpoint is created. */
  readonly dnsName: string;
  readonly vpcId: string;
  readonly groups: readonly string[];
  /** Whether the nodes see the runner's address instead of the endpoint's. */
  readonly preservesClientIp: boolean;
}

/** The parser returns one element as itself and an empty list as a text. */
const listOf = <Item extends z.ZodType>(item: Item) =>
  z.preprocess((value) => {
    if (value === '') return [];
    const elements = z.object({ item: z.unknown() }).safeParse(value);
    return elements.success ? [elements.data.item].flat() : value;
  }, z.array(item).max(100));
const item = z
  .object({
    instanceConnectEndpointId: z.string().regex(/^eice-[0-9a-f]{1,17}$/),
    state: z.string().regex(/^[a-z-]{1,40}$/),
    stateMessage: z.string().max(1000).default(''),
    dnsName: z
      .string()
      .regex(/^([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+(:\d{1,5})?$/)
      .max(260)
      .or(z.literal(''))
      .default(''),
    vpcId: z.string().regex(/^vpc-[0-9a-f]{1,17}$/),
    securityGroupIdSet: listOf(z.string().regex(/^sg-[0-9a-f]{1,17}$/)).default([]),
    preserveClientIp: z.enum(['true', 'false']).default('false'),
  })
  .transform(
    (one): InstanceConnectEndpoint => ({
      id: one.instanceConnectEndpointId,
      state: one.state,
      message: one.stateMessage,
      dnsName: one.dnsName,
      vpcId: one.vpcId,
      groups: one.securityGroupIdSet,
      preservesClientIp: one.preserveClientIp === 'true',
    }),
  );
const answer = z.object({
  DescribeInstanceConnectEndpointsResponse: z.object({ instanceConnectEndpointSet: listOf(item) }),
});

/**
 * Asks EC2 for an endpoint (EC2 API Reference, DescribeInstanceConnectEndpoints); null if the region has
 * no endpoint with this id.
 *
 * @throws AwsError as `queryEc2`, and `NoAnswer` if the answer is not one
 */
export async function describeInstanceConnectEndpoint(
  id: string,
  connection: Ec2Connection,
): Promise<InstanceConnectEndpoint | null> {
  const parameters = { 'InstanceConnectEndpointId.1': id };
  let document: unknown;
  try {
    document = await queryEc2('DescribeInstanceConnectEndpoints', parameters, connection);
  } catch (error) {
    if (error instanceof AwsError && /^InvalidInstanceConnectEndpointId\b/.test(error.code))
      return null;
    throw error;
  }
  const parsed = answer.safeParse(document);
  if (!parsed.success) {
    throw new AwsError(
      'NoAnswer',
      `The answer is not as documented: ${z.prettifyError(parsed.error)}`,
    );
  }
  const found = parsed.data.DescribeInstanceConnectEndpointsResponse.instanceConnectEndpointSet;
  return found.find((one) => one.id === id) ?? null;
}
