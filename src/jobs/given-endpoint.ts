import * as core from '@actions/core';
import type { InstanceConnectEndpoint } from '../aws/describe-instance-connect-endpoints.ts';
import { UserError } from '../messages/errors.ts';
import type { PlanResult } from '../operations/plan.ts';
import { findEndpoint, refuseGivenEndpoint } from '../tunnel/endpoint.ts';
import { connectEc2 } from './ec2-connection.ts';
import type { Job } from './job.ts';

/** What EC2 said, by the directories of the run: the plan and its check use one answer. */
const found = new WeakMap<Job['workspace'], InstanceConnectEndpoint>();

/**
 * Returns the values that Terraform needs to know of the endpoint in `instance-connect-endpoint-id`, as its environment
 * variables. Without that input there are none.
 *
 * @throws UserError if EC2 does not describe the endpoint
 */
export async function readEndpointVariables({
  inputs,
  workspace,
}: Job): Promise<Record<string, string>> {
  const { ssh, region } = inputs.spec;
  if (ssh.via !== 'instance-connect-endpoint' || ssh.endpointId === null) return {};
  const endpoint =
    found.get(workspace) ??
    (await findEndpoint(ssh.endpointId, { connection: connectEc2(region), log: core.info }));
  found.set(workspace, endpoint);
  return { TF_VAR_instance_connect_endpoint_groups: JSON.stringify(endpoint.groups) };
}

/**
 * Refuses a plan with an endpoint that its nodes cannot be reached through.
 *
 * @throws UserError that names the endpoint and the ways out
 */
export function requireFittingEndpoint(
  { workspace }: Pick<Job, 'workspace'>,
  { vpcId }: Pick<PlanResult, 'vpcId'>,
): void {
  const endpoint = found.get(workspace);
  const problem = endpoint === undefined ? null : refuseGivenEndpoint(endpoint, vpcId);
  if (problem !== null) throw new UserError(problem);
}
