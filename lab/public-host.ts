import type { Aws } from './aws/main.ts';

/**
 * Returns the public address of the instance with this private one, or the address itself: the computer that runs the lab
 * is outside the cluster's network.
 */
export function findPublicHost({ aws }: { readonly aws: Aws }, host: string): string {
  return aws.listInstances().find(({ privateIp }) => privateIp === host)?.publicIp ?? host;
}
