import { createHash, createHmac } from 'node:crypto';
import type { Checksum, RequestPresigner, RequestSigner, SourceData } from '@smithy/types';
import type { CredentialSource } from './credentials.ts';

/**
 * Creates a signer of requests and presigned URLs of a service in a region, e.g. `ec2` (IAM User Guide, "AWS Signature
 * Version 4 for API requests"). The library is loaded at the first use.
 */
export async function createSigner(options: {
  service: string;
  region: string;
  credentials: CredentialSource;
}): Promise<RequestSigner & RequestPresigner> {
  const { SignatureV4 } = await import('./sdk.ts');
  return new SignatureV4({ ...options, sha256: NodeSha256 });
}

/** SHA-256 of Node, or HMAC with a key, in the shape that the SDK expects. */
class NodeSha256 implements Checksum {
  readonly #hash;

  constructor(secret?: SourceData) {
    this.#hash =
      secret === undefined ? createHash('sha256') : createHmac('sha256', toBytes(secret));
  }

  update(chunk: SourceData): void {
    this.#hash.update(toBytes(chunk));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error('A digest is not used twice.');
  }
}

function toBytes(data: SourceData): Uint8Array | string {
  if (typeof data === 'string') return data;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
