import { makeMalformed, makeNotFound } from './problem.ts';
import type { World } from './shape.ts';
import type { IssueRecord, PullRecord } from './state.ts';

/** A request that has passed authentication, as routes see it. */
export interface Call {
  readonly world: World;
  /** The secret token of the request; the state contains it. */
  readonly token: string;
  readonly login: string;
  /** The complete address, as the client wrote it. */
  readonly url: URL;
  /** The values of the pattern's `:name` segments, decoded. */
  readonly params: Record<string, string>;
  readonly body: Record<string, unknown>;
}

/** A route's answer. */
export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  /** A `Link` header. */
  readonly link?: string | undefined;
}

/** One endpoint: `:name` segments of the pattern are parameters, a final `*name` matches the rest. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly pattern: string;
  /** The documentation page that errors link to, below docs.github.com/rest. */
  readonly documentation: string;
  /** Whether a success changes the state, which is then saved. */
  readonly changes?: boolean;
  readonly run: (call: Call) => Answer;
}

/** Finds the route of a request and the values of its parameters. */
export function matchRoute(
  routes: readonly Route[],
  request: { method: string; path: string },
): { route: Route; params: Record<string, string> } | undefined {
  const segments = request.path.split('/');
  for (const route of routes) {
    if (route.method !== request.method) continue;
    const pattern = route.pattern.split('/');
    const params: Record<string, string> = {};
    const rest = pattern.at(-1)?.startsWith('*') ? (pattern.pop() ?? '').slice(1) : undefined;
    if (rest === undefined && pattern.length !== segments.length) continue;
    if (rest !== undefined)
      params[rest] = segments.slice(pattern.length).map(decodeURIComponent).join('/');
    const fits = pattern.every((part, index) => {
      const segment = segments[index] ?? '';
      if (!part.startsWith(':')) return part === segment;
      params[part.slice(1)] = decodeURIComponent(segment);
      return segment !== '';
    });
    if (fits) return { route, params };
  }
  return undefined;
}

/**
 * Reads a text from a JSON body.
 * @throws Problem 422 with GitHub's message if it is missing or not a text
 */
export function readText(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (value === undefined) throw makeMalformed(`"${name}" wasn't supplied.`);
  if (typeof value !== 'string') {
    throw makeMalformed(`For 'properties/${name}', ${JSON.stringify(value)} is not a string.`);
  }
  return value;
}

/**
 * Reads a text that may be absent or null.
 * @throws Problem 422 with GitHub's message if it is something else
 */
export function readOptionalText(body: Record<string, unknown>, name: string): string | undefined {
  return body[name] === undefined || body[name] === null ? undefined : readText(body, name);
}

/**
 * Reads one of the allowed words from a JSON body.
 * @throws Problem 422 with GitHub's message if it is another word
 */
export function readWord<W extends string>(
  body: Record<string, unknown>,
  name: string,
  allowed: readonly W[],
): W {
  const value = readText(body, name);
  const word = allowed.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw makeMalformed(`For 'properties/${name}', ${value} is not one of: ${allowed.join(', ')}.`);
}

/** Finds the issue (or pull request) of a call. @throws Problem 404 */
export function findIssue(call: Call): IssueRecord {
  const issue = call.world.state.issues[call.params.number ?? ''];
  if (issue === undefined) throw makeNotFound();
  return issue;
}

/** Finds the pull request of a call. @throws Problem 404 */
export function findPull(call: Call): PullRecord {
  const pull = call.world.state.pulls[call.params.number ?? ''];
  if (pull === undefined) throw makeNotFound();
  return pull;
}
