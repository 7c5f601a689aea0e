/** The four parts of the job, each of which can be called alone. A failover and a replacement are none of them. */
export type Operation = 'generate' | 'plan' | 'apply' | 'configure';

/** What the `command` input may say. */
export const COMMANDS = [
  'auto',
  'generate',
  'plan',
  'apply',
  'configure',
  'failover',
  'replace',
] as const;
/** What a call may ask for. */
export type CalledCommand = Exclude<Command, 'auto'>;
/** One of them. */
export type Command = (typeof COMMANDS)[number];

/** The GitHub event behind the run, as far as it matters. */
export interface TriggerEvent {
  /** `GITHUB_EVENT_NAME`. */
  readonly name: string;
  /** The webhook payload. */
  readonly payload: EventPayload;
  /** `GITHUB_REF`, e.g. `refs/heads/main`. */
  readonly ref: string;
  /** `GITHUB_SHA`. */
  readonly sha: string;
  /** `GITHUB_ACTOR`: who triggered the event, also in a rerun by somebody else. */
  readonly actor: string;
}

/** The fields of the payloads that decide; every one may be missing. */
export interface EventPayload {
  readonly action?: string;
  readonly number?: number;
  readonly pull_request?: {
    readonly number: number;
    readonly state?: string;
    readonly merged_at?: string | null;
    readonly merged?: boolean | null;
    readonly merge_commit_sha?: string | null;
    /** Who opened it. */
    readonly user?: { readonly login: string } | null;
    readonly head: {
      readonly sha: string;
      /** Null when the fork was deleted. */
      readonly repo?: { readonly full_name: string } | null;
    };
    readonly base: {
      readonly ref: string;
      readonly sha?: string;
      readonly repo?: { readonly full_name: string };
    };
  };
  /** What an edit changed. */
  readonly changes?: { readonly base?: object };
  readonly repository?: {
    readonly default_branch?: string;
    /** In the payload of a push the seconds since 1970 of that push, in any other a date. */
    readonly pushed_at?: number | string | null;
  };
  readonly deleted?: boolean;
  /** Of a push: full SHA that the branch had; zeros where there was none. */
  readonly before?: string;
  /** The label that was set or taken off. */
  readonly label?: { readonly name: string } | null;
  /** Who caused the event. */
  readonly sender?: { readonly login: string } | null;
  readonly merge_group?: { readonly head_ref?: string; readonly base_ref?: string };
  readonly client_payload?: unknown;
}

/** A label that was set on a fork's pull request, which may ask for a plan of its commit. */
export interface Consent {
  /** Its name as it is written in the repository. */
  readonly label: string;
  /** Login of who set it. */
  readonly by: string;
}

/** What this run is for. */
export type Intent =
  /** Plan, and comment where there is a pull request. */
  | {
      readonly kind: 'review';
      readonly event: 'pull_request' | 'merge_group';
      /** Short name of the branch to be merged into; null where the event does not say. */
      readonly base: string | null;
      /** Whose comment has the plan; null: nobody's. */
      readonly pullRequest: number | null;
      /** The pull request that a merge queue is about to merge. */
      readonly queued: number | null;
      /** What GitHub gives no secrets to, in words; null where it gives them. */
      readonly withoutSecrets: string | null;
      /** What has to be checked before anything of the pull request is read; null where nothing has to be. */
      readonly consent: Consent | null;
      readonly sha: string;
      readonly why: string;
    }
  /** Say in the comment how to ask for a plan of a fork's pull request, and plan nothing. */
  | {
      readonly kind: 'await';
      readonly pullRequest: number;
      /** Last commit of the fork's branch. */
      readonly sha: string;
      /** As for a review. */
      readonly base: string;
      readonly why: string;
    }
  /** Apply and configure what was merged; `pullRequest` null: to be found by its commit. */
  | {
      readonly kind: 'deploy';
      readonly pullRequest: number | null;
      /** As for a review. */
      readonly withoutSecrets: string | null;
      /** Short name of the branch that was pushed. */
      readonly branch: string;
      /** When it was pushed, in ISO 8601; null where the event does not say. */
      readonly pushedAt: string | null;
      /** A commit that the branch had before the merge; null where the event does not say. */
      readonly before: string | null;
      readonly sha: string;
      readonly why: string;
    }
  /** Compare what stands with what is asked for, and report it in an issue. */
  | { readonly kind: 'drift'; readonly sha: string; readonly why: string }
  /** Say in the comment that nothing was applied. */
  | {
      readonly kind: 'close';
      readonly pullRequest: number;
      readonly fromFork: boolean;
      readonly why: string;
    }
  /** One operation alone. */
  | {
      readonly kind: 'operation';
      readonly operation: Operation;
      readonly body: unknown;
      readonly why: string;
    }
  /** Make a replica the primary, because the primary is lost. */
  | {
      readonly kind: 'failover';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Give one node another instance. */
  | {
      readonly kind: 'replace';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  | { readonly kind: 'skip'; readonly why: string };

/** A run that has something to do, and whose pull request may be read. */
export type RunnableIntent =
  | Exclude<Intent, { kind: 'skip' } | { kind: 'review' }>
  | (Extract<Intent, { kind: 'review' }> & { readonly consent: null });

/** Whether a run logs in to the nodes to change them. */
export function isConfiguring(intent: Intent): boolean {
  return (
    intent.kind === 'deploy' ||
    intent.kind === 'failover' ||
    intent.kind === 'replace' ||
    (intent.kind === 'operation' && intent.operation === 'configure')
  );
}

/** API requests by their `event_type` (POST /repos/{owner}/{repo}/dispatches). */
const COMMAND_BY_EVENT_TYPE: ReadonlyMap<string, CalledCommand> = new Map([
  ['generate-terraform', 'generate'],
  ['generate-terraform-plan', 'plan'],
  ['generate-terraform-apply', 'apply'],
  ['apply_ansible_configuration', 'configure'],
  ['failover', 'failover'],
  ['replace', 'replace'],
]);

/** Decides, from the command and the event alone, what this run is for. */
export function decideIntent(command: Command, event: TriggerEvent): Intent {
  if (command !== 'auto') {
    return buildCommandIntent(command, {
      body: undefined,
      sha: event.sha,
      why: `command is ${command}`,
    });
  }
  switch (event.name) {
    case 'pull_request':
    case 'pull_request_target':
      return decidePullRequest(event);
    case 'push':
      return decidePush(event);
    case 'merge_group':
      return {
        kind: 'review',
        event: 'merge_group',
        base: event.payload.merge_group?.base_ref?.replace(/^refs\/heads\//, '') ?? null,
        pullRequest: null,
        queued: readQueuedPullRequest(event.payload),
        withoutSecrets: null,
        consent: null,
        sha: event.sha,
        why: 'a merge queue checks the change: plan only',
      };
    case 'schedule':
      return { kind: 'drift', sha: event.sha, why: 'scheduled: look for drift' };
    case 'repository_dispatch':
      return decideDispatch(event);
    default:
      return {
        kind: 'skip',
        why: `event ${event.name} means nothing to command auto; set command to generate, plan, apply, configure, failover or replace to run one operation on it`,
      };
  }
}

function decidePullRequest(event: TriggerEvent): Intent {
  const { payload } = event;
  const pull = payload.pull_request;
  if (!pull) return { kind: 'skip', why: `the ${event.name} event carries no pull request` };
  const label = `pull request #${pull.number}`;
  if (payload.action !== 'closed' && pull.state === 'closed') {
    const state = pull.merged ? 'merged' : 'closed';
    return { kind: 'skip', why: `${label} is ${state}: it was planned while it was open` };
  }
  switch (payload.action) {
    case 'edited':
      if (payload.changes?.base === undefined) break;
      return decideReview(pull, {
        event,
        why: `${label} is to be merged into ${pull.base.ref} now`,
      });
    case 'opened':
    case 'synchronize':
    case 'reopened':
    // A label can allow what the plan was refused for.
    case 'labeled':
    case 'unlabeled':
      return decideReview(pull, {
        event,
        why: `${label} was ${payload.action === 'synchronize' ? 'pushed to' : payload.action}`,
      });
    case 'closed': {
      if (!pull.merged) {
        return {
          kind: 'close',
          pullRequest: pull.number,
          fromFork: isFork(pull),
          why: `${label} was closed without a merge`,
        };
      }
      const branch = payload.repository?.default_branch;
      if (pull.base.ref !== branch) {
        return {
          kind: 'skip',
          why: `${label} was merged into ${pull.base.ref}; only a merge into the default branch (${branch ?? 'unknown'}) is deployed`,
        };
      }
      return {
        kind: 'deploy',
        pullRequest: pull.number,
        withoutSecrets: explainNoSecrets(event),
        branch,
        pushedAt: pull.merged_at ?? null,
        // The branch's commit at the pull request's last push.
        before: pull.base.sha ?? null,
        sha: pull.merge_commit_sha ?? pull.head.sha,
        why: `${label} was merged`,
      };
    }
  }
  return {
    kind: 'skip',
    why: `${label} was ${payload.action ?? 'changed'}, which changes no plan`,
  };
}

/** The review of the event's pull request, which it has; for a fork's, what comes before it. */
function decideReview(
  pull: PullRequest,
  { event, why }: { event: TriggerEvent; why: string },
): Intent {
  const review = {
    kind: 'review',
    event: 'pull_request',
    base: pull.base.ref,
    pullRequest: pull.number,
    queued: null,
    withoutSecrets: explainNoSecrets(event),
    consent: null,
    sha: pull.head.sha,
    why,
  } as const;
  if (event.name !== 'pull_request_target' || !isFork(pull)) return review;

  const { action, label, sender } = event.payload;
  if (action === 'unlabeled') {
    return { kind: 'skip', why: `${why}; a fork's pull request is planned when a label is set` };
  }
  if (action !== 'labeled') {
    const { sha, base } = review;
    return { kind: 'await', pullRequest: pull.number, sha, base, why: `${why}, from a fork` };
  }
  if (!label?.name || !sender?.login) {
    return { kind: 'skip', why: `${why}, and the event does not say with what or by whom` };
  }
  return { ...review, consent: { label: label.name, by: sender.login } };
}

type PullRequest = NonNullable<EventPayload['pull_request']>;

/** Whether the branch is of another repository, or of none that is known any more. */
function isFork({ head, base }: PullRequest): boolean {
  return !head.repo || head.repo.full_name !== base.repo?.full_name;
}

/**
 * GitHub goes by where the branch is and who triggered the event, not by who opened the pull request: a person's push
 * to a branch of Dependabot's gets secrets, and another person's rerun changes nothing. On `pull_request_target` a
 * fork's pull request has secrets, and only what Dependabot triggers on its own pull requests has none
 * (docs.github.com, "Troubleshooting Dependabot on GitHub Actions" and "Events that trigger workflows").
 */
function explainNoSecrets({ name, payload, actor }: TriggerEvent): string | null {
  const pull = payload.pull_request;
  const isTarget = name === 'pull_request_target';
  if (!isTarget && pull && isFork(pull)) return 'a pull request from a fork';
  if (actor !== DEPENDABOT || (isTarget && pull?.user?.login !== DEPENDABOT)) return null;
  return 'a run that Dependabot triggered';
}

const DEPENDABOT = 'dependabot[bot]';

/** A merge queue's branches are named after what they merge: `gh-readonly-queue/main/pr-7-<sha>`. */
function readQueuedPullRequest({ merge_group }: EventPayload): number | null {
  const number = /\/pr-(\d+)-[0-9a-f]+$/.exec(merge_group?.head_ref ?? '')?.[1];
  return number === undefined ? null : Number(number);
}

function decidePush(event: TriggerEvent): Intent {
  const { payload, ref, sha } = event;
  const branch = payload.repository?.default_branch;
  if (payload.deleted) return { kind: 'skip', why: `${ref} was deleted` };
  if (branch === undefined || ref !== `refs/heads/${branch}`) {
    return {
      kind: 'skip',
      why: `${ref} was pushed; only a push to the default branch (${branch ?? 'unknown'}) is deployed`,
    };
  }
  return {
    kind: 'deploy',
    pullRequest: null,
    withoutSecrets: explainNoSecrets(event),
    branch,
    pushedAt: readPushTime(payload.repository?.pushed_at),
    before: /^(?!0+$)[0-9a-f]{40}$/.test(payload.before ?? '') ? (payload.before ?? null) : null,
    sha,
    why: `${branch} was pushed`,
  };
}

/** A push tells times in seconds since 1970, unlike every other event. */
function readPushTime(value: number | string | null | undefined): string | null {
  const date = typeof value === 'number' ? new Date(value * 1000) : new Date(value ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function decideDispatch({ payload, sha }: TriggerEvent): Intent {
  const operation = COMMAND_BY_EVENT_TYPE.get(payload.action ?? '');
  if (!operation) {
    return {
      kind: 'skip',
      why: `event type ${JSON.stringify(payload.action ?? '')} is not one of ${[...COMMAND_BY_EVENT_TYPE.keys()].join(', ')}`,
    };
  }
  const body = payload.client_payload ?? {};
  return buildCommandIntent(operation, { body, sha, why: `repository_dispatch ${payload.action}` });
}

function buildCommandIntent(
  operation: CalledCommand,
  { body, sha, why }: { body: unknown; sha: string; why: string },
): Intent {
  if (operation === 'failover' || operation === 'replace') {
    return { kind: operation, body, sha, why };
  }
  return { kind: 'operation', operation, body, why };
}
