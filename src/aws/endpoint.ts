import type { Environment } from '../process/child-environment.ts';

/**
 * Returns the address of EC2's API in a region of the commercial partition, or the one in the environment, as for
 * Terraform's provider (AWS SDKs reference guide, "Service-specific endpoints").
 *
 * @throws Error if the environment's value is no http or https URL
 */
export function chooseEndpoint(environment: Environment, region: string): URL {
  const isIgnored = environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true';
  const configured = environment.AWS_ENDPOINT_URL_EC2 || environment.AWS_ENDPOINT_URL;
  const text = isIgnored || !configured ? `https://ec2.${region}.amazonaws.com/` : configured;
  const url = URL.parse(text);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new Error('AWS_ENDPOINT_URL_EC2 or AWS_ENDPOINT_URL is not an http or https URL.');
}
