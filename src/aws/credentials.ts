import { exec } from 'node:child_process';
import type { AwsCredentialIdentity } from '@smithy/types';
import { chooseEnvironment } from '../process/child-environment.ts';

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
/** How long a service may take that gives credentials, e.g. STS for a web identity, in ms. */
const SERVICE_MS = 5000;
/** How long a program may take that prints credentials, in ms. */
const PROCESS_MS = 10_000;

/**
 * Creates a source that looks in the places where Terraform's provider looks as well: the environment, the shared
 * configuration, a web identity, the container's and the instance's metadata (AWS SDKs reference guide, "Standardized
 * credential providers"). The SDK is loaded at the first use.
 *
 * @param options.mask called once with each secret value, before it is used
 * @param options.serviceMs how long a service that gives credentials may take, in ms; by default 5 s
 */
export function createCredentialSource({
  mask,
  serviceMs = SERVICE_MS,
}: {
  mask: (secret: string) => void;
  serviceMs?: number;
}): CredentialSource {
  // Without limits the SDK waits for ever, e.g. for a service that only a proxy reaches.
  const limits = { connectionTimeout: serviceMs, requestTimeout: serviceMs };
  const requestHandler = { ...limits, throwOnRequestTimeout: true };
  const clientConfig = { maxAttempts: 2, requestHandler };
  let provider: CredentialSource | null = null;
  const masked = new Set<string>();
  return async () => {
    const { defaultProvider, externalDataInterceptor } = await import('./sdk.ts');
    externalDataInterceptor.interceptToken('exec', execWithoutSecrets);
    // Remembers the credentials until they expire.
    provider ??= defaultProvider({ timeout: SOURCE_MS, maxRetries: 0, clientConfig });
    const found = await provider().catch((error) => {
      throw new AwsError('NoCredentials', 'No AWS credentials were found.', { cause: error });
    });
    for (const secret of [found.secretAccessKey, found.sessionToken]) {
      if (secret && !masked.has(secret)) mask(secret);
      if (secret) masked.add(secret);
    }
    return found;
  };
}

/** Runs a `credential_process` of the shared configuration as Terraform does: without the secrets of the step. */
function execWithoutSecrets(
  command: string,
  done: (error: Error | null, output: { stdout: string; stderr: string }) => void,
): void {
  const env = chooseEnvironment(process.env, { program: 'terraform' });
  exec(command, { env, timeout: PROCESS_MS }, (error, stdout, stderr) =>
    done(error, { stdout, stderr }),
  );
}
