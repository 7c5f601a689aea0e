import {
  describeInstanceConnectEndpoint,
  ENDPOINTS_PERMISSION,
  type InstanceConnectEndpoint,
} from '../aws/describe-instance-connect-endpoints.ts';
import type { Ec2Connection } from '../aws/ec2-query.ts';
import { explainAwsError, showAwsWords } from '../aws/explain-error.ts';
import { cleanText } from '../messages/clean-text.ts';
import { UserError } from '../messages/errors.ts';
import { CLOCK, type Clock } from '../operations/clock.ts';

/** How often EC2 is asked about an endpoint that it creates, in ms. */
const POLL_MS = 5_000;

/**
 * Returns an endpoint that tunnels can be opened through, and waits for one that EC2 still creates.
 *
 * @throws UserError that says why it cannot be used and what to do
 */
export async function requireEndpoint(
  id: string,
  options: {
    connection: Ec2Connection;
    waitSeconds: number;
    log: (line: string) => void;
    clock?: Clock;
  },
): Promise<InstanceConnectEndpoint> {
  const { connection, waitSeconds, log, clock = CLOCK } = options;
  const deadline = clock.now() + waitSeconds * 1000;
  for (let isFirst = true; ; isFirst = false) {
    const endpoint = await findEndpoint(id, { connection, log });
    if (endpoint.state !== 'create-in-progress') {
      const problem = explainState(endpoint);
      if (problem !== null) throw new UserError(problem);
      return endpoint;
    }
    if (clock.now() + POLL_MS > deadline) {
      throw new UserError(
        `EC2 still creates the EC2 Instance Connect Endpoint ${id}, which takes minutes. Run this again once its state is create-complete (aws ec2 describe-instance-connect-endpoints).`,
      );
    }
    if (isFirst) log(`EC2 still creates ${id}; waiting up to ${waitSeconds} s`);
    await clock.sleep(POLL_MS);
  }
}

/**
 * Returns an endpoint in any state.
 *
 * @throws UserError if EC2 does not say, or has none with this id
 */
export async function findEndpoint(
  id: string,
  { connection, log }: { connection: Ec2Connection; log: (line: string) => void },
): Promise<InstanceConnectEndpoint> {
  let endpoint: InstanceConnectEndpoint | null;
  try {
    endpoint = await describeInstanceConnectEndpoint(id, connection);
  } catch (error) {
    log(`EC2 did not describe ${id}: ${showAwsWords(error)}`);
    throw new UserError(
      `The EC2 Instance Connect Endpoint ${id} could not be looked up: ${explainAwsError(error, ENDPOINTS_PERMISSION)} Give the job credentials with the policy of this version (setup/aws), and run it again.`,
      { cause: error },
    );
  }
  if (endpoint !== null) return endpoint;
  throw new UserError(
    `There is no EC2 Instance Connect Endpoint ${id} in ${connection.region}. Deploy to have the cluster's own one made again, or name an existing one in instance-connect-endpoint-id.`,
  );
}

/** Says why tunnels cannot be opened through an endpoint in this state; null if they can (EC2 User Guide, "Connect using EC2 Instance Connect Endpoint"). */
function explainState({ id, state, message, dnsName }: InstanceConnectEndpoint): string | null {
  const words = cleanText(message).replaceAll('\n', ' ').trim();
  const said = words === '' ? '' : ` EC2 says: ${words.slice(0, 300)}.`.replace(/\.\.$/, '.');
  if (state === 'create-failed') {
    return `EC2 could not create the EC2 Instance Connect Endpoint ${id}.${said} Fix the cause and delete it (aws ec2 delete-instance-connect-endpoint --instance-connect-endpoint-id ${id}); then deploy, or name another one in instance-connect-endpoint-id.`;
  }
  if (state.startsWith('delete-')) {
    return `The EC2 Instance Connect Endpoint ${id} is being deleted (${state}).${said} Deploy once it is gone, or name another one in instance-connect-endpoint-id.`;
  }
  if (dnsName === '') {
    return `EC2 names no address of the EC2 Instance Connect Endpoint ${id} (${state}).${said} Run this again later.`;
  }
  return null;
}

/**
 * Returns why an endpoint cannot be given to a cluster in the VPC `vpcId` (null: a VPC that does not exist yet); null if
 * it can.
 */
export function refuseGivenEndpoint(
  { id, vpcId: own, preservesClientIp }: InstanceConnectEndpoint,
  vpcId: string | null,
): string | null {
  if (vpcId !== own) {
    return `instance-connect-endpoint-id: ${id} is in ${own}, and the nodes are in ${vpcId ?? 'a VPC that this cluster makes'}. Name an endpoint of that VPC, or leave the input out: the cluster then makes its own.`;
  }
  if (preservesClientIp) {
    return `instance-connect-endpoint-id: ${id} preserves the client's address, so the nodes would have to admit every runner's. Turn that off (aws ec2 modify-instance-connect-endpoint --instance-connect-endpoint-id ${id} --no-preserve-client-ip), or name another endpoint.`;
  }
  return null;
}
