import type {
  Commit,
  MergeGroupChecksRequestedEvent,
  PullRequestClosedEvent,
  PullRequestEditedEvent,
  PullRequestLabeledEvent,
  PullRequestOpenedEvent,
  PullRequestReopenedEvent,
  PullRequestSynchronizeEvent,
  PullRequestUnlabeledEvent,
  PushEvent,
  RepositoryDispatchEvent,
  WorkflowDispatchEvent,
} from '@octokit/webhooks-types';
import { buildFullPull } from './pull-shape.ts';
import { findBranchHead } from './ref.ts';
import type { World } from './shape.ts';
import {
  buildLabel,
  buildRepository,
  buildRepositoryPage,
  buildUser,
  makeNodeId,
} from './shape.ts';
import type { CommitRecord, LabelRecord, PullRecord } from './state.ts';
import { defaultBranch, readHead, readMainHead } from './state.ts';

/** An event that starts a workflow, and where the workflow runs. */
export interface WorkflowEvent<Name extends string = string, Payload = unknown> {
  /** GITHUB_EVENT_NAME */
  readonly name: Name;
  /** The content of the file behind GITHUB_EVENT_PATH. */
  readonly payload: Payload;
  /** GITHUB_REPOSITORY */
  readonly repository: string;
  /** GITHUB_REF */
  readonly ref: string;
  /** GITHUB_SHA */
  readonly sha: string;
  /** GITHUB_HEAD_REF: empty unless the event belongs to a pull request. */
  readonly headRef: string;
  /** GITHUB_BASE_REF: likewise. */
  readonly baseRef: string;
  /** GITHUB_ACTOR */
  readonly actor: string;
  /**
   * Whether GitHub withholds secrets and makes the token read-only: the pull request's head is in a fork, or Dependabot
   * triggered the event. Source: docs.github.com, "Troubleshooting Dependabot on GitHub Actions".
   */
  readonly withoutSecrets: boolean;
  /** The reason if GitHub starts no workflow for the event. */
  readonly blocked?: string;
}

/** The payloads of the pull request actions that the lab supports. */
export type PullRequestPayload =
  | PullRequestOpenedEvent
  | PullRequestSynchronizeEvent
  | PullRequestReopenedEvent
  | PullRequestEditedEvent
  | PullRequestLabeledEvent
  | PullRequestUnlabeledEvent
  | PullRequestClosedEvent;

/** The payload of a scheduled run: GitHub sends no webhook for it and publishes no schema. */
export interface SchedulePayload {
  readonly schedule: string;
  readonly workflow: string;
  readonly repository: ReturnType<typeof buildRepository>;
}

const onMain = (world: World, actor: string) => ({
  repository: `${world.state.owner}/${world.state.name}`,
  ref: `refs/heads/${defaultBranch}`,
  sha: readMainHead(world.state),
  headRef: '',
  baseRef: '',
  actor,
  withoutSecrets: actor === 'dependabot[bot]',
});

/**
 * Builds the event of a pull request.
 * @param world the repository after the change
 * @param happening the change, its pull request and its actor
 * Where it runs: docs.github.com, "Events that trigger workflows", pull_request, and "Variables
 * reference", GITHUB_REF: the merge branch, or the base branch after a merge.
 */
export function makePullRequestEvent(
  world: World,
  happening: {
    pull: PullRecord;
    actor: string;
    action:
      | 'opened'
      | 'reopened'
      | 'closed'
      | { synchronize: { before: string; after: string } }
      | { edited: PullRequestEditedEvent['changes'] }
      | { labeled: LabelRecord }
      | { unlabeled: LabelRecord };
  },
): WorkflowEvent<'pull_request', PullRequestPayload> {
  const { pull, actor, action } = happening;
  const common = {
    number: pull.number,
    repository: buildRepository(world),
    sender: buildUser(world, actor),
  };
  const full = buildFullPull(world, pull);
  // A webhook is sent before the merge has been tried.
  const fresh = {
    ...full,
    merge_commit_sha: null,
    mergeable: null,
    rebaseable: null,
    mergeable_state: 'unknown',
  };
  const open = {
    state: 'open',
    closed_at: null,
    merged_at: null,
    merged_by: null,
    active_lock_reason: null,
  } as const;
  let payload: PullRequestPayload;
  if (action === 'closed') {
    const closedAt = full.closed_at ?? full.updated_at;
    payload = {
      ...common,
      action,
      pull_request: { ...full, state: 'closed', closed_at: closedAt },
    };
  } else if (action === 'opened' || action === 'reopened') {
    payload = { ...common, action, pull_request: { ...fresh, ...open } };
  } else if ('labeled' in action) {
    payload = {
      ...common,
      action: 'labeled',
      label: buildLabel(world, action.labeled),
      pull_request: full,
    };
  } else if ('edited' in action) {
    payload = { ...common, action: 'edited', changes: action.edited, pull_request: full };
  } else if ('unlabeled' in action) {
    payload = {
      ...common,
      action: 'unlabeled',
      label: buildLabel(world, action.unlabeled),
      pull_request: full,
    };
  } else {
    payload = {
      ...common,
      action: 'synchronize',
      ...action.synchronize,
      pull_request: { ...fresh, ...open },
    };
  }
  const merged = pull.mergedAt !== null;
  return {
    ...onMain(world, actor),
    name: 'pull_request',
    payload,
    ref: merged ? `refs/heads/${pull.base}` : `refs/pull/${pull.number}/merge`,
    sha: (merged ? pull.mergeCommitSha : pull.testMerge) ?? pull.baseSha,
    headRef: pull.branch,
    baseRef: pull.base,
    withoutSecrets: actor === 'dependabot[bot]' || pull.headOwner !== world.state.owner,
    ...(pull.conflict && !merged
      ? { blocked: `pull request ${pull.number} has a merge conflict` }
      : {}),
  };
}

/**
 * Builds the event that GitHub sends to workflows on pull_request_target for a change of a pull request.
 * They run on the default branch's newest commit, for every base branch, and also if there is a
 * conflict. Forks get secrets. Sources: docs.github.com, "Events that trigger workflows";
 * github.blog/changelog/2025-11-07, in effect since 2025-12-08; "Troubleshooting Dependabot on GitHub Actions":
 * no secrets if Dependabot triggers the event of its own pull request.
 */
export function makeTargetEvent<Payload extends PullRequestPayload>(
  world: World,
  { blocked: _, ...event }: WorkflowEvent<'pull_request', Payload>,
): WorkflowEvent<'pull_request_target', Payload> {
  const { ref, sha, withoutSecrets } = onMain(world, event.actor);
  const author = event.payload.pull_request.user.login;
  return {
    ...event,
    name: 'pull_request_target',
    ref,
    sha,
    withoutSecrets: withoutSecrets && author === event.actor,
  };
}

function buildWebhookCommit(world: World, commit: CommitRecord): Commit {
  const person = buildCommitter(commit.author);
  const pick = (status: string): string[] =>
    commit.files.filter((file) => file.status === status).map((file) => file.filename);
  return {
    id: commit.sha,
    tree_id: commit.tree,
    distinct: true,
    message: commit.message,
    timestamp: commit.date,
    url: `${buildRepositoryPage(world)}/commit/${commit.sha}`,
    author: person,
    committer: person,
    added: pick('added'),
    modified: pick('modified'),
    removed: pick('removed'),
  };
}

function buildCommitter(login: string) {
  return { name: login, email: `${login}@users.noreply.github.com`, username: login };
}

/** Builds the event of a push to a branch (by default the default branch) that ends at its current head. */
export function makePushEvent(
  world: World,
  push: { before: string; commits: CommitRecord[]; actor: string; branch?: string },
): WorkflowEvent<'push', PushEvent> {
  const { branch = defaultBranch } = push;
  const after = readHead(world.state, branch);
  const commits = push.commits.map((commit) => buildWebhookCommit(world, commit));
  const repository = buildRepository(world);
  return {
    ...onMain(world, push.actor),
    name: 'push',
    ref: `refs/heads/${branch}`,
    sha: after,
    payload: {
      ref: `refs/heads/${branch}`,
      before: push.before,
      after,
      created: false,
      deleted: false,
      forced: false,
      base_ref: null,
      compare: `${buildRepositoryPage(world)}/compare/${push.before.slice(0, 12)}...${after.slice(0, 12)}`,
      commits,
      head_commit: commits.at(-1) ?? null,
      // A push has times in seconds, unlike every other event.
      repository: {
        ...repository,
        created_at: Math.floor(Date.parse(repository.created_at) / 1000),
        pushed_at: Math.floor(Date.now() / 1000),
        master_branch: defaultBranch,
      },
      pusher: buildCommitter(push.actor),
      sender: buildUser(world, push.actor),
    },
  };
}

/** Builds the event of a merge queue that requests checks of a group's commit. */
export function makeMergeGroupEvent(
  world: World,
  group: { pull: PullRecord; commit: CommitRecord; base: string },
): WorkflowEvent<'merge_group', MergeGroupChecksRequestedEvent> {
  const headRef = `refs/heads/gh-readonly-queue/${defaultBranch}/pr-${group.pull.number}-${group.base}`;
  const commit = buildWebhookCommit(world, group.commit);
  const person = {
    name: group.commit.author,
    email: `${group.commit.author}@users.noreply.github.com`,
  };
  return {
    ...onMain(world, group.commit.author),
    name: 'merge_group',
    payload: {
      action: 'checks_requested',
      merge_group: {
        head_sha: group.commit.sha,
        head_ref: headRef,
        base_sha: group.base,
        base_ref: `refs/heads/${defaultBranch}`,
        head_commit: {
          id: commit.id,
          tree_id: commit.tree_id,
          message: commit.message,
          timestamp: commit.timestamp,
          author: person,
          committer: person,
        },
      },
      repository: buildRepository(world),
      sender: buildUser(world, group.commit.author),
    },
    ref: headRef,
    sha: group.commit.sha,
  };
}

/**
 * Builds the event of an API request to "create a repository dispatch event".
 * @throws Error with GitHub's message where GitHub answers 422
 */
export function makeDispatchEvent(
  world: World,
  dispatch: { eventType: string; clientPayload: Record<string, unknown>; actor: string },
): WorkflowEvent<'repository_dispatch', RepositoryDispatchEvent> {
  const count = Object.keys(dispatch.clientPayload).length;
  if (count > 10) {
    throw new Error(
      `Invalid request.\n\nNo more than 10 properties are allowed; ${count} were supplied.`,
    );
  }
  if (dispatch.eventType === '' || dispatch.eventType.length > 100) {
    throw new Error('Invalid request.\n\n"event_type" must have 1 to 100 characters.');
  }
  const installation = 1;
  return {
    ...onMain(world, dispatch.actor),
    name: 'repository_dispatch',
    payload: {
      action: dispatch.eventType,
      branch: defaultBranch,
      client_payload: dispatch.clientPayload,
      repository: buildRepository(world),
      sender: buildUser(world, dispatch.actor),
      installation: { id: installation, node_id: makeNodeId('IN', installation) },
    },
  };
}

/** Builds the event of a cron schedule. */
export function makeScheduleEvent(
  world: World,
  schedule: { cron: string; workflow: string },
): WorkflowEvent<'schedule', SchedulePayload> {
  return {
    // GitHub runs a schedule as the person who wrote the cron line.
    ...onMain(world, world.state.owner),
    name: 'schedule',
    payload: {
      schedule: schedule.cron,
      workflow: schedule.workflow,
      repository: buildRepository(world),
    },
  };
}

/**
 * Builds the event of the "Run workflow" button; GitHub passes every input as text.
 * @throws Error with GitHub's message for a branch that does not exist
 */
export function makeWorkflowDispatchEvent(
  world: World,
  dispatch: { inputs: Record<string, string>; workflow: string; actor: string; branch: string },
): WorkflowEvent<'workflow_dispatch', WorkflowDispatchEvent> {
  const { branch } = dispatch;
  const sha = findBranchHead(world.state, branch);
  if (sha === undefined) throw new Error(`No ref found for: ${branch}`);
  const ref = `refs/heads/${branch}`;
  return {
    ...onMain(world, dispatch.actor),
    name: 'workflow_dispatch',
    ref,
    sha,
    payload: {
      inputs: dispatch.inputs,
      ref,
      repository: buildRepository(world),
      sender: buildUser(world, dispatch.actor),
      workflow: dispatch.workflow,
    },
  };
}
