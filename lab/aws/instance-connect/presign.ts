import { createSigner } from '../../../src/aws/signer.ts';
import type { AccessKey } from '../query/signature.ts';

/** A request for a tunnel, to sign. */
export interface Wish {
  /** Host and port, as in the URL. */
  readonly host: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly key: AccessKey;
  readonly region: string;
  /** Default: the protocol's. */
  readonly path?: string;
  readonly service?: string;
  /** Validity in seconds; default 60, like the AWS CLI. */
  readonly expires?: number;
  readonly date?: Date;
}

/** Signs a URL of the openTunnel protocol with the SDK's signer: a client for tests. */
export async function presign(wish: Wish): Promise<string> {
  const { host, key, region, path = '/openTunnel', service = 'ec2-instance-connect' } = wish;
  const credentials = async () => ({
    accessKeyId: key.id,
    secretAccessKey: key.secret,
    ...(key.token !== undefined && { sessionToken: key.token }),
  });
  const signer = await createSigner({ service, region, credentials });
  const { query = {} } = await signer.presign(
    {
      method: 'GET',
      protocol: 'wss:',
      hostname: host,
      path,
      query: { ...wish.parameters },
      headers: { host },
    },
    { expiresIn: wish.expires ?? 60, signingDate: wish.date ?? new Date() },
  );
  return `wss://${host}${path}?${new URLSearchParams(query as Record<string, string>)}`;
}
