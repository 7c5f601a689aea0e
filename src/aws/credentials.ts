import type { AwsCredentialIdentity } from '@smithy/types';

/** Returns the job's AWS credentials; throws an `AwsError` if there are none. */
export type CredentialSource = () => Promise<AwsCredentialIdentity>;

/** A request to AWS that failed, or could not be made. */
export class AwsError extends Error {
  /** AWS's code, e.g. `UnauthorizedOperation`; `NoCredentials` or `NoAnswer` if AWS was not reached. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AwsError';
    this.code = code;
  }
}

/** How long each source of credentials may take that is asked over the network, in ms. */
const SOURCE_MS = 2000;

/**
 * Creates a source that looks in the places where Terraform's provider looks as well: the environment, the shared
 * configuration, a web identity, the container's and the instance's metadata (AWS SDKs reference guide, "Standardized
 * credential providers"). The SDK is loaded at the first use.
 *
 * @param options.mask called with each secret value before it is used. `core.setSecret` writes the value to the log for
 *   the runner to hide, so do not ask for credentials inside of `logGroup`, where the runner reads no commands.
 */
export function createCredentialSource({
  mask,
}: {
  mask: (secret: string) => void;
}): CredentialSource {
  let provider: CredentialSource | null = null;
  return async () => {
    const { defaultProvider } = await import('./sdk.ts');
    // Remembers the credentials until they expire.
    provider ??= defaultProvider({ timeout: SOURCE_MS, maxRetries: 0 });
    const found = await provider().catch((error) => {
      throw new AwsError('NoCredentials', 'No AWS credentials were found.', { cause: error });
    });
    for (const secret of [found.secretAccessKey, found.sessionToken]) {
      if (secret) mask(secret);
    }
    return found;
  };
}
