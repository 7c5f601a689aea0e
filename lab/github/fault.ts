/** Which requests fail, and how often. */
interface FaultTarget {
  /** HTTP method, or any. */
  readonly method?: string;
  /** Tested against the path without the `/api/v3` prefix and without the query. */
  readonly path: RegExp;
  /** The number of requests that fail; 1 by default. */
  readonly times?: number;
}

/** How the requests fail. */
type FaultEffect =
  /** An arbitrary answer; the body is sent as JSON. */
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  /** The hourly quota is used up: 403, remaining 0, reset after this many seconds. */
  | { readonly kind: 'primary-limit'; readonly resetInSeconds: number }
  /** Too many concurrent requests: 403 or 429, retry-after in seconds. */
  | {
      readonly kind: 'secondary-limit';
      readonly status?: 403 | 429;
      readonly retryAfterSeconds?: number;
    }
  /** The commit in the path is not known yet, as just after its push: 422 with GitHub's message, or 404. */
  | { readonly kind: 'unknown-commit'; readonly status?: 404 | 422 }
  /** 500 with an HTML-free JSON body. */
  | { readonly kind: 'server-error' }
  /** The connection is cut before the request has any effect. */
  | { readonly kind: 'drop' }
  /** The request has its effect, then the connection is cut: the client cannot know the result. */
  | { readonly kind: 'lose-answer' };

/** A failure to inject: which requests, and how they fail. */
export type Fault = FaultTarget & FaultEffect;

/** How the server handles a request that matches a fault. */
export type FaultOutcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Record<string, string>;
      readonly body: unknown;
    }
  | { readonly kind: 'drop' }
  | { readonly kind: 'lose-answer' };

/** The faults that are still pending. */
export class FaultQueue {
  #waiting: { fault: Fault; left: number }[] = [];

  /** Makes the next matching requests fail. */
  add(fault: Fault): void {
    this.#waiting.push({ fault, left: fault.times ?? 1 });
  }

  /** Removes all pending faults. */
  clear(): void {
    this.#waiting = [];
  }

  /** Takes and returns the first fault that matches this request, or undefined. */
  take(request: { method: string; path: string; requestId: string }): FaultOutcome | undefined {
    const entry = this.#waiting.find(
      ({ fault, left }) =>
        left > 0 &&
        (fault.method === undefined || fault.method.toUpperCase() === request.method) &&
        fault.path.test(request.path),
    );
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left === 0) this.#waiting = this.#waiting.filter((other) => other !== entry);
    return buildOutcome(entry.fault, request);
  }
}

// Wording and headers: docs.github.com, "Rate limits for the REST API", and the answers quoted in bug
// reports; octokit's throttling plugin recognises "secondary rate" in the message.
function buildOutcome(
  fault: Fault,
  { path, requestId }: { path: string; requestId: string },
): FaultOutcome {
  if (!('kind' in fault)) {
    return {
      kind: 'answer',
      status: fault.status,
      headers: fault.headers ?? {},
      body: fault.body ?? { message: 'Injected fault', status: String(fault.status) },
    };
  }
  switch (fault.kind) {
    case 'drop':
    case 'lose-answer':
      return { kind: fault.kind };
    case 'unknown-commit': {
      const status = fault.status ?? 422;
      const sha = /\/commits\/([^/]+)/.exec(path)?.[1] ?? '';
      const message = status === 404 ? 'Not Found' : `No commit found for SHA: ${sha}`;
      return { kind: 'answer', status, headers: {}, body: { message, status: String(status) } };
    }
    case 'server-error':
      return { kind: 'answer', status: 500, headers: {}, body: { message: 'Server Error' } };
    case 'primary-limit': {
      const reset = Math.ceil(Date.now() / 1000) + fault.resetInSeconds;
      return {
        kind: 'answer',
        status: 403,
        headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) },
        body: {
          message:
            'API rate limit exceeded for installation. If you reach out to GitHub Support for help, ' +
            `please include the request ID ${requestId}.`,
          documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api',
          status: '403',
        },
      };
    }
    case 'secondary-limit': {
      const status = fault.status ?? 403;
      return {
        kind: 'answer',
        status,
        headers: { 'retry-after': String(fault.retryAfterSeconds ?? 60) },
        body: {
          message:
            'You have exceeded a secondary rate limit. Please wait a few minutes before you try ' +
            `again. If you reach out to GitHub Support for help, please include the request ID ${requestId}.`,
          documentation_url:
            'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
          status: String(status),
        },
      };
    }
  }
}
