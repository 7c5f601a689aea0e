/** The GitHub event that started the run, reduced to the fields in use. */
export interface TriggerEvent {
  /** `GITHUB_EVENT_NAME`. */
  readonly name: string;
  /** The webhook payload. */
  readonly payload: EventPayload;
  /** `GITHUB_REF`, e.g. `refs/heads/main`. */
  readonly ref: string;
  /** `GITHUB_SHA`. */
  readonly sha: string;
  /** `GITHUB_ACTOR`: the login that triggered the event; a rerun by another person does not change it. */
  readonly actor: string;
}

/** The payload fields that decide what a run does; each may be missing. */
export interface EventPayload {
  readonly action?: string;
  readonly number?: number;
  readonly pull_request?: EventPullRequest;
  /** What an edit changed. */
  readonly changes?: { readonly base?: object };
  readonly repository?: {
    readonly default_branch?: string;
    /** A push sends seconds since 1970, every other event a date. */
    readonly pushed_at?: number | string | null;
  };
  readonly deleted?: boolean;
  /** Push only: full SHA of the branch before the push; zeros for a new branch. */
  readonly before?: string;
  /** The label that was added or removed. */
  readonly label?: { readonly name: string } | null;
  /** The account that caused the event. */
  readonly sender?: { readonly login: string } | null;
  readonly merge_group?: { readonly head_ref?: string; readonly base_ref?: string };
  readonly client_payload?: unknown;
}

/** The pull request in an event's payload. */
export interface EventPullRequest {
  readonly number: number;
  readonly state?: string;
  readonly merged_at?: string | null;
  readonly merged?: boolean | null;
  readonly merge_commit_sha?: string | null;
  /** Its author. */
  readonly user?: { readonly login: string } | null;
  readonly head: {
    readonly sha: string;
    /** Null if the fork was deleted. */
    readonly repo?: { readonly full_name: string } | null;
  };
  readonly base: {
    readonly ref: string;
    readonly sha?: string;
    readonly repo?: { readonly full_name: string };
  };
}
