import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkRoutes } from './check-route.ts';
import { collaboratorRoutes } from './collaborator-route.ts';
import { commentRoutes } from './comment-route.ts';
import { commitRoutes } from './commit-route.ts';
import { contentRoutes } from './content-route.ts';
import type { FaultQueue } from './fault.ts';
import { identityRoutes } from './identity-route.ts';
import { issueRoutes } from './issue-route.ts';
import { makeMalformed, makeNotFound, Problem } from './problem.ts';
import { pullRoutes } from './pull-route.ts';
import { type LimitedRequest, RateLimits } from './rate-limit.ts';
import { reactionRoutes } from './reaction-route.ts';
import type { Answer, Route } from './route.ts';
import { matchRoute } from './route.ts';
import type { Urls, World } from './shape.ts';
import type { State } from './state.ts';
import { timelineRoutes } from './timeline-route.ts';

/** One request as the server received it, in order of arrival. */
export interface JournalEntry {
  readonly time: string;
  readonly method: string;
  /** Without the API's prefix and without the query. */
  readonly path: string;
  readonly query: Record<string, string>;
  /** The account; undefined without a valid token. */
  readonly login: string | undefined;
  readonly body: unknown;
  /** 0 if the connection was cut instead of an answer. */
  status: number;
}

/** A running server. */
export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

/** In ms: the most that a request takes, and its answer, random for each; or how long each call takes, always the same. */
export type Latency = number | { readonly perCall: number };

/** The server's data. */
export interface ServerParts {
  readonly state: State;
  readonly faults: FaultQueue;
  readonly journal: JournalEntry[];
  /** The addresses in answers; read after the port is known. */
  readonly urls: () => Urls;
  readonly latency: Latency;
  /** Called after every request that changed the state. */
  readonly save: () => void;
}

const routes: readonly Route[] = [
  ...identityRoutes,
  ...commentRoutes,
  ...reactionRoutes,
  ...issueRoutes,
  ...timelineRoutes,
  ...pullRoutes,
  ...commitRoutes,
  ...checkRoutes,
  ...contentRoutes,
  ...collaboratorRoutes,
];

/**
 * The versions of the API that can be requested, the default one first. Of the newer one's changes, the server
 * implements those of its routes: `merge_commit_sha` is gone. Source: docs.github.com, REST API, "Breaking changes".
 */
const versions = ['2022-11-28', '2026-03-10'] as const;

/** Starts the server on a loopback port; 0 picks a free one. */
export async function listen(parts: ServerParts, port: number): Promise<Listener> {
  const limits = new RateLimits();
  const server = createServer((request, response) => {
    void answerRequest({ parts, request, response, limits }).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(JSON.stringify({ message: String(error) }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

interface Exchange {
  readonly parts: ServerParts;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly limits: RateLimits;
}

async function answerRequest({ parts, request, response, limits }: Exchange): Promise<void> {
  const text = await readAll(request);
  await simulateLatency(parts.latency);
  const urls = parts.urls();
  const url = new URL(request.url ?? '/', urls.server);
  // github.com has the API at the root of its own host, an enterprise server below /api.
  const path = url.pathname
    .replace(/^\/api\/v3(?=\/|$)/, '')
    .replace(/^\/api\/graphql$/, '/graphql');
  const method = request.method ?? 'GET';
  const token = readToken(request);
  const entry: JournalEntry = {
    time: new Date().toISOString(),
    method,
    path,
    query: Object.fromEntries(url.searchParams),
    login: token === undefined ? undefined : parts.state.tokens[token]?.login,
    body: parseJson(text),
    status: 0,
  };
  parts.journal.push(entry);

  const [usual, newest] = versions;
  const asked = request.headers['x-github-api-version'] ?? usual;
  const version = versions.find((known) => known === asked);
  const requestId = randomUUID().replaceAll('-', '').slice(0, 24).toUpperCase();
  const limited: LimitedRequest = { login: entry.login ?? '', method, path, requestId };
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'x-github-request-id': requestId,
    'x-github-api-version-selected': version ?? usual,
  };
  const send = (status: number, body: unknown, more: Record<string, string> = {}): void => {
    entry.status = status;
    response.writeHead(status, { ...headers, ...limits.describe(limited), ...more });
    const isGone = (key: string): boolean => version === newest && key === 'merge_commit_sha';
    const text = JSON.stringify(body, (key, value: unknown) => (isGone(key) ? undefined : value));
    response.end(status === 204 ? undefined : text);
  };

  const fault = parts.faults.take({ method, path, requestId });
  if (fault?.kind === 'drop') {
    request.socket.destroy();
    return;
  }
  if (fault?.kind === 'answer') {
    send(fault.status, fault.body, fault.headers);
    return;
  }

  const found = matchRoute(routes, { method, path });
  let release = (): void => {};
  try {
    release = limits.admit(limited);
    if (version === undefined)
      throw new Problem(400, `There is no version ${String(asked)} of the API.`);
    const answer = runRoute({ parts, urls, url, token, found, body: entry.body });
    if (found?.route.changes === true) parts.save();
    await simulateLatency(parts.latency);
    if (fault?.kind === 'lose-answer') {
      request.socket.destroy();
      return;
    }
    send(answer.status ?? 200, answer.body, answer.link === undefined ? {} : { link: answer.link });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const page = found === undefined || error.status === 401 ? '' : `/${found.route.documentation}`;
    send(error.status, error.toBody(`https://docs.github.com/rest${page}`), error.headers);
  } finally {
    release();
  }
}

/** Waits for one way of a call. */
async function simulateLatency(latency: Latency): Promise<void> {
  const ms = typeof latency === 'number' ? Math.random() * latency : latency.perCall / 2;
  if (ms > 0) await sleep(ms);
}

interface RouteCall {
  readonly parts: ServerParts;
  readonly urls: Urls;
  readonly url: URL;
  readonly token: string | undefined;
  readonly found: ReturnType<typeof matchRoute>;
  readonly body: unknown;
}

function runRoute({ parts, urls, url, token, found, body }: RouteCall): Answer {
  const { state } = parts;
  if (token === undefined) throw new Problem(401, 'Requires authentication');
  const known = state.tokens[token];
  if (known === undefined) throw new Problem(401, 'Bad credentials');
  if (found === undefined) throw makeNotFound();
  const { owner, repo } = found.params;
  const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase();
  if (owner !== undefined && !(same(owner, state.owner) && same(repo, state.name)))
    throw makeNotFound();
  if (body === unreadable) throw new Problem(400, 'Problems parsing JSON');
  if (body !== undefined && (typeof body !== 'object' || body === null || Array.isArray(body))) {
    throw makeMalformed(`${JSON.stringify(body)} is not an object.`);
  }
  const world: World = { state, urls };
  return found.route.run({
    world,
    token,
    login: known.login,
    url,
    params: found.params,
    body: (body ?? {}) as Record<string, unknown>,
  });
}

function readToken(request: IncomingMessage): string | undefined {
  return /^(?:token|bearer)\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Marks a body that is not valid JSON. */
const unreadable = Symbol('unreadable');

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return unreadable;
  }
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
