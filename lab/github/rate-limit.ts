import { Problem } from './problem.ts';

// docs.github.com, "Rate limits for the REST API": an exceeded limit is answered with 403 or 429. `x-ratelimit-remaining`
// is 0 and `x-ratelimit-reset` says when to go on (primary limit), or `retry-after` says how long to wait (secondary limit).

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Requests of an account at the same time, REST and GraphQL together. */
const CONCURRENT = 100;
/** Points a minute: a GET costs 1, a write 5; a GraphQL query costs 1. */
const POINTS = { core: 900, graphql: 2_000 };
/** Requests that create or change content. */
const CONTENT = { minute: 80, hour: 500 };
/** Requests an hour: of the workflows of a repository together, and of any other account. */
const HOURLY = { workflow: 1_000, other: 5_000 };
const WORKFLOW = 'github-actions[bot]';

type Resource = 'core' | 'graphql';

/** A request as the limits see it. */
export interface LimitedRequest {
  /** The account: all tokens of an account share its limits. */
  readonly login: string;
  readonly method: string;
  /** Without the API's prefix. */
  readonly path: string;
  readonly requestId: string;
}

interface Account {
  running: number;
  /** Present quota of each resource: it begins with its first request. */
  quotas: Partial<Record<Resource, { used: number; reset: number }>>;
  /** Requests of the last hour. */
  requests: { at: number; resource: Resource; points: number; isContent: boolean }[];
  refusals: number;
}

/** Enforces GitHub's documented rate limits, per account. */
export class RateLimits {
  readonly #accounts = new Map<string, Account>();
  readonly #now: () => number;

  /** @param now the time in ms */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Counts a request, and returns the function that ends it. A refused request does not count.
   * @throws Problem 403 or 429 if the request exceeds a limit
   */
  admit(request: LimitedRequest): () => void {
    const now = this.#now();
    const account = this.#find(request.login);
    const resource = readResource(request);
    account.requests = account.requests.filter(({ at }) => at > now - HOUR);
    const quota = this.#readQuota(request);
    if (quota.used >= quota.limit) throw this.#refusePrimary(account, request);
    const isRead = resource === 'graphql' || /^(?:GET|HEAD|OPTIONS)$/.test(request.method);
    const isContent = resource === 'core' && /^(?:POST|PATCH|PUT)$/.test(request.method);
    const points = isRead ? 1 : 5;
    const waits = [
      account.running >= CONCURRENT ? 1 : 0,
      findWait(
        account.requests
          .filter((one) => one.resource === resource)
          .map(({ at, points: weight }) => ({ at, weight })),
        { now, window: MINUTE, room: POINTS[resource] - points },
      ),
      ...(isContent
        ? [
            { window: MINUTE, room: CONTENT.minute - 1 },
            { window: HOUR, room: CONTENT.hour - 1 },
          ].map((limit) =>
            findWait(
              account.requests.filter((one) => one.isContent).map(({ at }) => ({ at, weight: 1 })),
              { now, ...limit },
            ),
          )
        : []),
    ];
    const wait = Math.max(...waits);
    if (wait > 0) throw refuseSecondary(account, { request, seconds: wait });
    account.requests.push({ at: now, resource, points, isContent });
    account.quotas[resource] = { used: quota.used + 1, reset: quota.reset };
    account.running += 1;
    return () => {
      account.running -= 1;
    };
  }

  /** Returns the headers of an answer. */
  describe(request: LimitedRequest): Record<string, string> {
    const { used, limit, reset } = this.#readQuota(request);
    return {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': String(limit - used),
      'x-ratelimit-used': String(used),
      'x-ratelimit-reset': String(Math.ceil(reset / 1000)),
      'x-ratelimit-resource': readResource(request),
    };
  }

  #find(login: string): Account {
    const known = this.#accounts.get(login);
    const account = known ?? { running: 0, quotas: {}, requests: [], refusals: 0 };
    this.#accounts.set(login, account);
    return account;
  }

  #readQuota(request: LimitedRequest): { used: number; limit: number; reset: number } {
    const limit = request.login === WORKFLOW ? HOURLY.workflow : HOURLY.other;
    const now = this.#now();
    const quota = this.#find(request.login).quotas[readResource(request)];
    return quota === undefined || quota.reset <= now
      ? { used: 0, limit, reset: now + HOUR }
      : { ...quota, limit };
  }

  #refusePrimary(account: Account, request: LimitedRequest): Problem {
    return new Problem(
      nextStatus(account),
      `API rate limit exceeded for installation. If you reach out to GitHub Support for help, please include the request ID ${request.requestId}.`,
      { headers: this.describe(request) },
    );
  }
}

function readResource({ path }: LimitedRequest): Resource {
  return path === '/graphql' ? 'graphql' : 'core';
}

/** Returns the seconds until the requests of the last `window` ms weigh at most `room`; 0: they do now. */
function findWait(
  requests: readonly { at: number; weight: number }[],
  { now, window, room }: { now: number; window: number; room: number },
): number {
  const recent = requests.filter(({ at }) => at > now - window);
  let excess = recent.reduce((sum, { weight }) => sum + weight, 0) - room;
  if (excess <= 0) return 0;
  for (const { at, weight } of recent) {
    excess -= weight;
    if (excess <= 0) return Math.max(1, Math.ceil((at + window - now) / 1000));
  }
  return window / 1000;
}

function refuseSecondary(
  account: Account,
  { request, seconds }: { request: LimitedRequest; seconds: number },
): Problem {
  return new Problem(
    nextStatus(account),
    `You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID ${request.requestId}.`,
    { headers: { 'retry-after': String(seconds) } },
  );
}

/** The documentation names both, so a client has to expect both. */
function nextStatus(account: Account): 403 | 429 {
  account.refusals += 1;
  return account.refusals % 2 === 1 ? 403 : 429;
}
