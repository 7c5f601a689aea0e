import { HttpClient } from '@actions/http-client';
import { Octokit } from '@octokit/core';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import Bottleneck from 'bottleneck/light.js';
import { type Dispatcher, fetch as fetchThrough } from 'undici';

/** GitHub's API with retries and respect for its rate limits. */
export type GitHubClient = InstanceType<typeof PatientOctokit>;

/** A repository. */
export interface Repository {
  readonly owner: string;
  readonly repo: string;
}

// The endpoint methods of @actions/github weigh as much as all of this together.
const PatientOctokit = Octokit.plugin(logServerErrors, retry, throttling);

const MAX_RETRIES = 3;
/** Seconds. A comment is not worth a longer wait of a job that holds a lock. */
const MAX_WAIT_SECONDS = 60;
/** Its successor, 2026-03-10, no longer says where the test merge of a pull request is ("Breaking changes"). */
const API_VERSION = '2022-11-28';
/** Milliseconds until a request without an answer counts as failed. */
const TIMEOUT_MS = 30_000;

/**
 * A client for the API at `apiUrl` (`GITHUB_API_URL`: github.com's or a GHES's `…/api/v3`). Server errors
 * and lost connections are tried again at most 3 times, rate limits waited for at most 60 s; each wait is
 * said to `log`. Proxies come from the environment. `second` is how long a second of waiting takes, in
 * milliseconds.
 */
export function createClient(options: {
  token: string;
  apiUrl: string;
  log: (line: string) => void;
  second?: number;
}): GitHubClient {
  const { token, apiUrl, log, second = 1000 } = options;
  const decide =
    (limit: string) => (seconds: number, request: object, _: unknown, count: number) => {
      const { retries = MAX_RETRIES } =
        (request as { request?: { retries?: number } }).request ?? {};
      const reached = `GitHub's ${limit} is reached (${describeRequest(request)})`;
      if (retries === 0) {
        // Whoever wants no retries has its own way to wait.
        log(`${reached}.`);
        return false;
      }
      const patient = count < retries && seconds <= MAX_WAIT_SECONDS;
      const then = patient ? `trying again in ${seconds} s` : `not waiting ${seconds} s for it`;
      log(`${reached}: ${then}.`);
      return patient;
    };
  const client = new PatientOctokit({
    auth: token,
    baseUrl: apiUrl.replace(/\/+$/, ''),
    userAgent: 'postgres-cluster-action',
    request: { fetch: createFetch(apiUrl) },
    log: { debug: ignore, info: ignore, warn: log, error: ignore },
    // Rate limits belong to the throttling below: two plugins waiting would multiply their tries.
    retry: { retries: MAX_RETRIES, retryAfterBaseValue: second, doNotRetry: DO_NOT_RETRY },
    throttle: {
      // GitHub's limits are a token's, so each has its own queue.
      id: token,
      retryAfterBaseValue: second,
      // A job writes a handful of times; the usual second or three between writes would only delay it.
      write: new Bottleneck.Group({ maxConcurrent: 1, minTime: second / 5 }),
      notifications: new Bottleneck.Group({ maxConcurrent: 1, minTime: second }),
      onRateLimit: decide('rate limit'),
      onSecondaryRateLimit: decide('secondary rate limit'),
    },
  });
  client.hook.before('request', ({ headers }) => {
    headers['x-github-api-version'] = API_VERSION;
  });
  return client;
}

/** The HTTP status an API error carries, 0 for any other error. */
export function readStatus(error: unknown): number {
  const status = error instanceof Error && 'status' in error ? error.status : 0;
  return typeof status === 'number' ? status : 0;
}

/** What a token that lacks a permission leads to. */
export interface Forbidden {
  readonly outcome: 'forbidden';
  /** GitHub's words. */
  readonly reason: string;
}

/**
 * Returns what `ask` returns, or says that the token may not.
 *
 * @throws whatever `isRefusal` does not take for one
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

/** Seconds to wait before the next try, where a rate limit worth waiting for was met; null for any other error. */
export function readRetryAfter(error: unknown): number | null {
  const status = readStatus(error);
  if ((status !== 403 && status !== 429) || isForbidden(error)) return null;
  const { response } = error as { response?: { headers?: Record<string, string | undefined> } };
  const headers = response?.headers ?? {};
  const reset = Number(headers['x-ratelimit-reset']) - Date.now() / 1000 + 1;
  // GitHub's advice where it gives no time: a minute (docs.github.com, "Rate limits for the REST API").
  const otherwise = headers['x-ratelimit-remaining'] === '0' ? reset : MAX_WAIT_SECONDS;
  const seconds = Number(headers['retry-after'] ?? otherwise);
  return seconds <= MAX_WAIT_SECONDS ? Math.max(1, Math.ceil(seconds)) : null;
}

/** Whether the token may not do this (GitHub: "Resource not accessible by integration"); rate limits are not that. */
export function isForbidden(error: unknown): error is Error {
  return readStatus(error) === 403 && !/rate limit/i.test((error as Error).message);
}

const DO_NOT_RETRY = [400, 401, 403, 404, 410, 422, 429, 451];
const ignore = (): void => {};

function describeRequest(request: object): string {
  const { method, url } = request as { method?: string; url?: string };
  return `${method} ${url}`;
}

/** Says every failed attempt, also those that a retry makes up for. First in the list: it sits innermost. */
function logServerErrors(octokit: Octokit): void {
  octokit.hook.error('request', (error, request) => {
    if (readStatus(error) >= 500) {
      octokit.log.warn(`GitHub failed on ${describeRequest(request)}: ${error.message}`);
    }
    throw error;
  });
}

/** Node's own fetch knows no proxy variables on every release in use; the one it is built from takes a dispatcher. */
function createFetch(apiUrl: string): typeof globalThis.fetch {
  const dispatcher: Dispatcher | undefined = new HttpClient().getAgentDispatcher(apiUrl);
  return ((url: string, init: RequestInit) => {
    const signal = init.signal ?? AbortSignal.timeout(TIMEOUT_MS);
    return dispatcher === undefined
      ? fetch(url, { ...init, signal })
      : fetchThrough(url, { ...(init as object), signal, dispatcher });
  }) as typeof globalThis.fetch;
}
