import { GitHub } from '@actions/github/lib/utils';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import Bottleneck from 'bottleneck/light.js';
import { quoteValue } from '../messages/quote-value.ts';

/** GitHub's API with pagination, retries and respect for its rate limits. */
export type GitHubClient = InstanceType<typeof GitHub>;

/** A repository. */
export interface Repository {
  readonly owner: string;
  readonly repo: string;
}

const MAX_RETRIES = 3;
/** No comment is worth a longer wait of a job that holds a lock. */
const MAX_WAIT_SECONDS = 60;
/** Its successor, 2026-03-10, no longer returns the test merge of a pull request ("Breaking changes"). */
const API_VERSION = '2022-11-28';
/** Time limit of an attempt. */
const TIMEOUT_MS = 30_000;

/**
 * Creates a client for the API at `apiUrl` (`GITHUB_API_URL`: github.com's or a GHES's `…/api/v3`). It retries server
 * errors and lost connections at most 3 times, waits for rate limits at most 60 s, and writes each wait to `log`. The
 * proxy comes from the environment: `@actions/github` looks it up for the host of `GITHUB_API_URL`. `second` is the
 * length of a second of waiting, in milliseconds.
 */
export function createClient(options: {
  token: string;
  apiUrl: string;
  log: (line: string) => void;
  second?: number;
}): GitHubClient {
  const { token, apiUrl, log, second = 1000 } = options;
  const onLimit =
    (limit: string) => (seconds: number, request: object, _: unknown, count: number) => {
      const { retries = MAX_RETRIES } =
        (request as { request?: { retries?: number } }).request ?? {};
      const reached = `GitHub's ${limit} is reached (${describeRequest(request)})`;
      if (retries === 0) {
        // The caller waits on its own.
        log(`${reached}.`);
        return false;
      }
      const isRetried = count < retries && seconds <= MAX_WAIT_SECONDS;
      const then = isRetried ? `trying again in ${seconds} s` : `not waiting ${seconds} s for it`;
      log(`${reached}: ${then}.`);
      return isRetried;
    };
  const settings = {
    baseUrl: apiUrl.replace(/\/+$/, ''),
    userAgent: 'postgres-cluster-action',
    log: { debug: ignore, info: ignore, warn: log, error: ignore },
    // The throttling plugin handles rate limits: two plugins that wait would multiply the attempts.
    retry: { retries: MAX_RETRIES, retryAfterBaseValue: second, doNotRetry: DO_NOT_RETRY },
    throttle: {
      // GitHub's limits apply to a token, so each token has its own queue.
      id: token,
      retryAfterBaseValue: second,
      // A job writes a handful of times; the default second or three between writes would only delay it.
      write: new Bottleneck.Group({ maxConcurrent: 1, minTime: second / 5 }),
      notifications: new Bottleneck.Group({ maxConcurrent: 1, minTime: second }),
      onRateLimit: onLimit('rate limit'),
      onSecondaryRateLimit: onLimit('secondary rate limit'),
    },
  };
  // The first plugin is the innermost: it sees every attempt.
  const Client = GitHub.plugin(prepareAttempts, retry, throttling);
  // Operations need no token, and `getOctokit` refuses an empty one.
  return new Client({ ...settings, ...(token !== '' && { auth: token }) });
}

/** Returns the HTTP status of an API error, 0 for any other error. */
export function readStatus(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? error.status : 0;
  return typeof status === 'number' ? status : 0;
}

/** The outcome of a request that the token lacks the permission for. */
export interface Forbidden {
  readonly outcome: 'forbidden';
  /** GitHub's message. */
  readonly reason: string;
}

/**
 * Returns the result of `ask`, or `Forbidden` if the token lacks the permission.
 *
 * @throws every error that `isRefusal` does not accept
 */
export async function catchForbidden<T>(
  ask: () => Promise<T>,
  isRefusal: (error: unknown) => error is Error = isForbidden,
): Promise<T | Forbidden> {
  try {
    return await ask();
  } catch (error) {
    if (isRefusal(error)) return { outcome: 'forbidden', reason: error.message };
    throw error;
  }
}

/** Returns the seconds to wait before the next attempt if a rate limit ends soon enough; null for any other error. */
export function readRetryAfter(error: unknown): number | null {
  const status = readStatus(error);
  if ((status !== 403 && status !== 429) || isForbidden(error)) return null;
  const { response } = error as { response?: { headers?: Record<string, string | undefined> } };
  const headers = response?.headers ?? {};
  const reset = Number(headers['x-ratelimit-reset']) - Date.now() / 1000 + 1;
  // GitHub advises a minute if it returns no time (docs.github.com, "Rate limits for the REST API").
  const fallback = headers['x-ratelimit-remaining'] === '0' ? reset : MAX_WAIT_SECONDS;
  const seconds = Number(headers['retry-after'] ?? fallback);
  return seconds <= MAX_WAIT_SECONDS ? Math.max(1, Math.ceil(seconds)) : null;
}

/** Whether the token lacks the permission (GitHub: "Resource not accessible by integration"); false for rate limits. */
export function isForbidden(error: unknown): error is Error {
  return readStatus(error) === 403 && !/rate limit/i.test((error as Error).message);
}

const DO_NOT_RETRY = [400, 401, 403, 404, 410, 422, 429, 451];
const ignore = (): void => {};

function describeRequest(request: object): string {
  const { method, url } = request as { method?: string; url?: string };
  return `${method} ${url}`;
}

/** Sets API version and time limit of every attempt, and logs its server error even if a retry succeeds. */
function prepareAttempts({ hook, log }: Parameters<typeof retry>[0]): void {
  hook.before('request', (options) => {
    // A page's link may name any host, and the token is sent with it.
    const { origin } = new URL(options.baseUrl);
    if (new URL(options.url, options.baseUrl).origin !== origin) {
      throw new Error(`${options.url} is not at ${origin}, so the token is not sent there.`);
    }
    options.headers['x-github-api-version'] = API_VERSION;
    options.request = { ...options.request, signal: AbortSignal.timeout(TIMEOUT_MS) };
  });
  hook.error('request', (error, request) => {
    if (readStatus(error) >= 500) {
      // The message is the body of the answer, in which the runner must find no workflow command.
      log.warn(`GitHub failed on ${describeRequest(request)}: ${quoteValue(error.message)}`);
    }
    throw error;
  });
}
