import type { Permission, State } from './state.ts';

/** One entry of a 422 answer's `errors`. */
export interface FieldError {
  readonly resource: string;
  readonly code: string;
  readonly field: string;
  readonly message?: string;
}

/** An answer other than success: thrown by a route, written by the server. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly errors: FieldError[] | undefined;

  constructor(
    status: number,
    message: string,
    more: { headers?: Record<string, string>; errors?: FieldError[] } = {},
  ) {
    super(message);
    this.status = status;
    this.headers = more.headers ?? {};
    this.errors = more.errors;
  }

  /** Returns the JSON body of GitHub's answer, with `status` as a string. */
  toBody(documentation: string): Record<string, unknown> {
    return {
      message: this.message,
      ...(this.errors === undefined ? {} : { errors: this.errors }),
      documentation_url: documentation,
      status: String(this.status),
    };
  }
}

/** The answer for a resource that does not exist or must not be revealed. */
export function makeNotFound(): Problem {
  return new Problem(404, 'Not Found');
}

/** The answer for a body with a valid form but an invalid value. */
export function makeInvalid(errors: FieldError[]): Problem {
  return new Problem(422, 'Validation Failed', { errors });
}

/** The answer for a body that does not match the documented schema. */
export function makeMalformed(sentence: string): Problem {
  return new Problem(422, `Invalid request.\n\n${sentence}`);
}

/** The answer for a token without permission; the header names the sufficient permissions. */
export function makeForbidden(login: string, accepted: string): Problem {
  const kind = login.endsWith('[bot]') ? 'integration' : 'personal access token';
  return new Problem(403, `Resource not accessible by ${kind}`, {
    headers: { 'x-accepted-github-permissions': accepted },
  });
}

/** The permission that a route requires from a token. */
export interface Demand {
  readonly permission: Permission;
  readonly access: 'read' | 'write';
  /** The header's value where GitHub names more than it accepts. */
  readonly advertised?: string;
}

/**
 * Refuses a token that lacks a permission. Every valid token reads a public repository.
 * @throws Problem 403 with GitHub's message
 */
export function checkPermission(caller: { state: State; token: string }, demand: Demand): void {
  const token = caller.state.tokens[caller.token];
  if (token === undefined) throw new Problem(401, 'Bad credentials');
  if (demand.access === 'read' && !caller.state.private) return;
  const granted = token.permissions[demand.permission];
  if (granted === 'write' || granted === demand.access) return;
  throw makeForbidden(token.login, demand.advertised ?? `${demand.permission}=${demand.access}`);
}
