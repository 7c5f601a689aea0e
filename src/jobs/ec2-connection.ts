import { type CredentialSource, createCredentialSource } from '../aws/credentials.ts';
import type { Ec2Connection } from '../aws/ec2-query.ts';
import { chooseEndpoint } from '../aws/endpoint.ts';
import { maskSecret } from '../runner/log-group.ts';

let credentials: CredentialSource | null = null;

/**
 * Returns EC2's API in a region, with the job's credentials, which are masked when they are first used.
 *
 * @throws Error if the environment names no http or https URL as the address of EC2
 */
export function connectEc2(region: string): Ec2Connection {
  credentials ??= createCredentialSource({ mask: maskSecret });
  return { region, endpoint: chooseEndpoint(process.env, region), credentials };
}
