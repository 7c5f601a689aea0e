import type { CredentialSource } from './credentials.ts';
import { createSigner } from './signer.ts';

/** Returns the URL that opens a tunnel to port 22 of a private address. It is a secret. */
export type TunnelSigner = (address: string) => Promise<string>;

/** How long a URL may be used, in seconds, as in the AWS CLI. */
const EXPIRES_SECONDS = 60;
/** The longest time that AWS keeps a tunnel open, in seconds. */
const MAX_SECONDS = 3600;

/**
 * Creates a signer for one EC2 Instance Connect Endpoint: a presigned URL of a WebSocket, as the AWS CLI makes it
 * (`awscli/customizations/ec2instanceconnect/eicesigner.py`).
 *
 * The signer throws an `AwsError` if there are no credentials.
 */
export function createTunnelSigner(options: {
  endpoint: { readonly id: string; readonly dnsName: string };
  region: string;
  credentials: CredentialSource;
}): TunnelSigner {
  const { endpoint, region, credentials } = options;
  const host = endpoint.dnsName;
  const [hostname = '', port] = host.split(':');
  return async (address) => {
    const signer = await createSigner({ service: 'ec2-instance-connect', region, credentials });
    const { query = {}, path } = await signer.presign(
      {
        method: 'GET',
        protocol: 'wss:',
        hostname,
        ...(port !== undefined && { port: Number(port) }),
        path: '/openTunnel',
        query: {
          instanceConnectEndpointId: endpoint.id,
          maxTunnelDuration: String(MAX_SECONDS),
          privateIpAddress: address,
          remotePort: '22',
        },
        headers: { host },
      },
      { expiresIn: EXPIRES_SECONDS },
    );
    const parameters = Object.entries(query).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
    );
    return `wss://${host}${path}?${parameters.join('&')}`;
  };
}
