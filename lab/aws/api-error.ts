import { randomUUID } from 'node:crypto';

/** EC2's answer to a refused request: a code and a sentence. */
export class ApiError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
  }
}

/** HTTP statuses of refusals other than 400. */
const STATUSES: { readonly [code: string]: number } = {
  AuthFailure: 403,
  InsufficientInstanceCapacity: 500,
};

/** The message with which the provider's SDK reports a refused request: `operation error EC2: RunInstances, …`. */
export function describeRefusal(operation: string, error: ApiError): string {
  const status = STATUSES[error.code] ?? 400;
  const [service, call] = operation.includes(':') ? operation.split(':') : ['EC2', operation];
  const head = `operation error ${service}: ${call}, https response error StatusCode: ${status}`;
  return `${head}, RequestID: ${randomUUID()}, api error ${error.code}: ${error.message}`;
}

/** A failed step of a resource, with the provider's message; becomes one error diagnostic. */
export class ProviderError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProviderError';
  }
}

/** Runs one API call; a refusal is reported as `<doing>: operation error EC2: <operation>, …`. */
export async function call<Result>(
  doing: string,
  operation: string,
  request: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof ApiError)
      throw new ProviderError(`${doing}: ${describeRefusal(operation, error)}`);
    throw error;
  }
}

// The real provider retries for many minutes if a request is refused because of something that is being deleted.
// The lab deletes within seconds.
const RETRY_MS = 30_000;

/** Like `call`, but retries a refusal with this code: the thing in the way may be about to disappear. */
export async function callWithRetry(
  doing: string,
  operation: string,
  { code, request }: { code: string; request: () => void },
): Promise<void> {
  const deadline = Date.now() + RETRY_MS;
  await call(doing, operation, async () => {
    for (;;) {
      try {
        request();
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== code || Date.now() > deadline)
          throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
}
