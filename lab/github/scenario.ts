import {
  changeCommit,
  closeIssue,
  closeMerged,
  finishMerge,
  makeMerge,
  movePull,
  pushToBranch,
} from './branch.ts';
import { addCheckRun, addCheckSuite } from './check-route.ts';
import { addComment } from './comment-route.ts';
import { buildCheckRun } from './commit-shape.ts';
import type { PullRequestPayload, WorkflowEvent } from './event.ts';
import {
  makeDispatchEvent,
  makePullRequestEvent,
  makePushEvent,
  makeScheduleEvent,
  makeTargetEvent,
  makeWorkflowDispatchEvent,
} from './event.ts';
import type { ChangedFile, Contents } from './git.ts';
import { addIssue, addLabel, dropLabel } from './issue-route.ts';
import { enqueue, mergeQueued, type Queue } from './merge-queue.ts';
import type { World } from './shape.ts';
import { buildComment, buildIssue } from './shape.ts';
import type { IssueRecord, LabelRecord, MergeMethod, PullRecord, Role } from './state.ts';
import { defaultBranch, readBranch, readClock, readHead, takeId } from './state.ts';

/** A pull request to open. */
export interface NewPullRequest {
  readonly branch: string;
  readonly title: string;
  /** A login; `alice` by default. */
  readonly author?: string;
  /** Whether the branch is in the author's fork. */
  readonly fork?: boolean;
  readonly body?: string;
  readonly files?: ChangedFile[];
  /** Its changes to the base's files, all in the first commit; `files` follows from them. */
  readonly contents?: Contents;
  /** How many commits the branch has; 1 by default. */
  readonly commits?: number;
  /** The base branch; the default branch by default. */
  readonly base?: string;
  /** An existing commit for the branch to point at, instead of new commits. */
  readonly head?: string;
}

/** Both events that a merge causes, in GitHub's order. */
export interface MergeEvents {
  readonly pullRequest: ReturnType<typeof makePullRequestEvent>;
  readonly push: ReturnType<typeof makePushEvent>;
}

const someFiles: ChangedFile[] = [
  { filename: '.github/workflows/postgres.yml', status: 'modified' },
];

/** The actions of people in a repository; every method leaves a consistent state and returns the event. */
export class Scenario {
  readonly #world: () => World;
  readonly #save: () => void;

  constructor(parts: { world: () => World; save: () => void }) {
    this.#world = parts.world;
    this.#save = parts.save;
  }

  /** Makes a base branch for pull requests, at the default branch's head. */
  createBranch(name: string): void {
    this.#play(({ state }) => {
      state.branches[name] = [...state.main];
    });
  }

  /** Opens a pull request. */
  openPullRequest(request: NewPullRequest) {
    return this.#play((world) => {
      const { state } = world;
      const author = request.author ?? 'alice';
      const issue = addIssue(state, { title: request.title, body: request.body ?? null, author });
      const { base: branch = defaultBranch, head } = request;
      const base = readHead(state, branch);
      const { contents } = request;
      const files = request.files ?? (contents === undefined ? someFiles : []);
      const pull: PullRecord = {
        id: takeId(state),
        number: issue.number,
        branch: request.branch,
        headOwner: request.fork === true ? author : state.owner,
        base: branch,
        baseSha: base,
        commits: head === undefined ? [] : [head],
        files,
        testMerge: null,
        tested: null,
        conflict: false,
        unknownAnswers: null,
        mergeCommitSha: null,
        mergedAt: null,
        mergedBy: null,
        introduced: [],
      };
      state.pulls[pull.number] = pull;
      const count = head === undefined ? (request.commits ?? 1) : 0;
      for (let index = 1; index <= count; index += 1) {
        const message = count === 1 ? request.title : `${request.title} (${index} of ${count})`;
        pushToBranch(world, pull, {
          message,
          author,
          files,
          contents: index === 1 ? contents : undefined,
        });
      }
      movePull(world, pull);
      return makePullRequestEvent(world, { pull, actor: author, action: 'opened' });
    });
  }

  /** Pushes one more commit to the branch of an open pull request. */
  pushToPullRequest(
    number: number,
    push: { message?: string; files?: ChangedFile[]; contents?: Contents; by?: string } = {},
  ) {
    return this.#play((world) => {
      const { pull, issue } = findOpen(world, number);
      const before = pull.commits.at(-1) ?? pull.baseSha;
      const files = push.files ?? pull.files;
      pushToBranch(world, pull, {
        message: push.message ?? 'Follow-up',
        author: issue.author,
        files,
        contents: push.contents,
      });
      movePull(world, pull);
      issue.updatedAt = readClock();
      const after = pull.commits.at(-1) ?? before;
      return makePullRequestEvent(world, {
        pull,
        actor: push.by ?? issue.author,
        action: { synchronize: { before, after } },
      });
    });
  }

  /**
   * Merges an open pull request; the push ends at the commit that the merge method creates on main.
   * @throws Error with GitHub's message for a conflict
   */
  merge(number: number, method: MergeMethod, by?: string): MergeEvents {
    return this.#play((world) => {
      const { state } = world;
      const { pull, issue } = findOpen(world, number);
      const actor = by ?? state.owner;
      const before = readHead(state, pull.base);
      const pushed = makeMerge(world, { pull, issue, method, actor, base: before });
      finishMerge(world, { pull, commits: pushed });
      closeMerged({ pull, issue, actor, pushed });
      return {
        pullRequest: makePullRequestEvent(world, { pull, actor, action: 'closed' }),
        push: makePushEvent(world, { before, commits: pushed, actor, branch: pull.base }),
      };
    });
  }

  /** Closes an open pull request without merging it. */
  close(number: number, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = findOpen(world, number);
      closeIssue(issue, readClock());
      return makePullRequestEvent(world, { pull, actor: by ?? issue.author, action: 'closed' });
    });
  }

  /** Reopens a pull request that was closed unmerged. */
  reopen(number: number, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      if (issue.state === 'open' || pull.mergedAt !== null) {
        throw new Error(`Pull request ${number} is not one that was closed unmerged.`);
      }
      issue.state = 'open';
      issue.closedAt = null;
      issue.updatedAt = readClock();
      movePull(world, pull);
      return makePullRequestEvent(world, { pull, actor: by ?? issue.author, action: 'reopened' });
    });
  }

  /** Puts an open pull request into the merge queue, in its own group. */
  mergeGroup(number: number) {
    const [group] = this.queue([number]).groups;
    if (group === undefined) throw new Error(`Pull request ${number} has no group.`);
    return group;
  }

  /** Puts several open pull requests into the merge queue, each with a merge commit on top of the previous one. */
  queue(numbers: readonly number[]): Queue {
    return this.#play((world) => {
      const pulls = numbers.map((number) => findOpen(world, number));
      const queued = enqueue(world, pulls);
      return {
        groups: queued.groups.map(({ event }) => event),
        merge: () => this.#play((later) => mergeQueued(later, queued)),
      };
    });
  }

  /** Changes the base branch of an open pull request. */
  changeBase(number: number, base: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = findOpen(world, number);
      const from = { ref: { from: pull.base }, sha: { from: pull.baseSha } };
      pull.base = base;
      movePull(world, pull);
      issue.updatedAt = readClock();
      const action = { edited: { base: from } };
      return makePullRequestEvent(world, { pull, actor: by ?? issue.author, action });
    });
  }

  /** Changes the title of a pull request. */
  retitle(number: number, title: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      const action = { edited: { title: { from: issue.title } } };
      issue.title = title;
      issue.updatedAt = readClock();
      return makePullRequestEvent(world, { pull, actor: by ?? issue.author, action });
    });
  }

  /** Adds a label to a pull request. */
  label(number: number, name: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      const actor = by ?? world.state.owner;
      addLabel(world.state, issue, { name, by: actor });
      const action = { labeled: findLabel(world, name) };
      return makePullRequestEvent(world, { pull, actor, action });
    });
  }

  /** Removes a label from a pull request. */
  unlabel(number: number, name: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      const actor = by ?? world.state.owner;
      if (!dropLabel(world.state, issue, { name, by: actor }))
        throw new Error(`Pull request ${number} has no label ${name}.`);
      const action = { unlabeled: findLabel(world, name) };
      return makePullRequestEvent(world, { pull, actor, action });
    });
  }

  /**
   * Returns the pull_request_target event for a pull_request event; the run starts now, on
   * the default branch's current head.
   */
  asTarget<Payload extends PullRequestPayload>(event: WorkflowEvent<'pull_request', Payload>) {
    return makeTargetEvent(this.#world(), event);
  }

  /** Sets an account's role in the repository, or deletes the account with `gone`. */
  setRole(login: string, role: Role): void {
    this.#play(({ state }) => {
      state.roles[login.toLowerCase()] = role;
    });
  }

  /** Pushes a commit without a pull request, by default to the default branch. */
  push(
    push: {
      message?: string;
      author?: string;
      files?: ChangedFile[];
      contents?: Contents;
      branch?: string;
    } = {},
  ) {
    return this.#play((world) => {
      const { contents, branch = defaultBranch } = push;
      const before = readHead(world.state, branch);
      const actor = push.author ?? world.state.owner;
      const commit = changeCommit(world, {
        parent: before,
        message: push.message ?? 'Direct push',
        author: actor,
        files: push.files ?? someFiles,
        contents,
      });
      readBranch(world.state, branch).push(commit.sha);
      return makePushEvent(world, { before, commits: [commit], actor, branch });
    });
  }

  /** Sends an API request for a repository_dispatch event. @throws Error where GitHub answers 422 */
  dispatch(eventType: string, clientPayload: Record<string, unknown> = {}, actor?: string) {
    const world = this.#world();
    return makeDispatchEvent(world, {
      eventType,
      clientPayload,
      actor: actor ?? world.state.owner,
    });
  }

  /** Triggers a cron schedule. */
  schedule(cron = '17 5 * * *', workflow = '.github/workflows/postgres.yml') {
    return makeScheduleEvent(this.#world(), { cron, workflow });
  }

  /** Presses "Run workflow", on the default branch unless `ref` names another. @throws Error for an unknown ref */
  workflowDispatch(
    inputs: Record<string, string> = {},
    workflow = '.github/workflows/postgres.yml',
    { ref = defaultBranch, by }: { ref?: string; by?: string } = {},
  ) {
    const world = this.#world();
    const actor = by ?? world.state.owner;
    return makeWorkflowDispatchEvent(world, { inputs, workflow, actor, branch: ref });
  }

  /** Writes a comment as any account. @returns the comment as the API shows it */
  commentAs(login: string, issue: number, body: string) {
    return this.#play((world) => {
      if (world.state.issues[issue] === undefined) throw new Error(`There is no issue ${issue}.`);
      return buildComment(world, addComment(world.state, { issue, author: login, body }));
    });
  }

  /** Opens an issue as any account. @returns the issue as the API shows it */
  openIssueAs(login: string, issue: { title: string; body: string }) {
    return this.#play((world) =>
      buildIssue(world, addIssue(world.state, { ...issue, author: login })),
    );
  }

  /** Disables or enables the repository's issues. */
  setIssues(enabled: boolean): void {
    this.#play((world) => {
      world.state.hasIssues = enabled;
    });
  }

  /** Starts a workflow on a commit: adds its run's check suite and a job's check run. */
  startWorkflow(sha: string, { job }: { job: string }) {
    return this.#play((world) => {
      if (world.state.commits[sha] === undefined) throw new Error(`There is no commit ${sha}.`);
      const app = 'github-actions';
      const suite = addCheckSuite(world.state, { app, sha }).id;
      return buildCheckRun(world, addCheckRun(world.state, { app, sha, name: job, suite }));
    });
  }

  /** Completes a check run as any app, e.g. to forge one. @returns it as the API shows it */
  checkAs(
    app: string,
    check: { sha: string; name: string; summary?: string; text?: string; externalId?: string },
  ) {
    return this.#play((world) => {
      const { sha, name, summary = '', text = null, externalId = null } = check;
      if (world.state.commits[sha] === undefined) throw new Error(`There is no commit ${sha}.`);
      const run = addCheckRun(world.state, { app, sha, name });
      Object.assign(run, { title: name, summary, text, externalId });
      Object.assign(run, { status: 'completed', conclusion: 'success', completedAt: readClock() });
      return buildCheckRun(world, run);
    });
  }

  #play<T>(act: (world: World) => T): T {
    const result = act(this.#world());
    this.#save();
    return result;
  }
}

function find(world: World, number: number): { pull: PullRecord; issue: IssueRecord } {
  const pull = world.state.pulls[number];
  const issue = world.state.issues[number];
  if (pull === undefined || issue === undefined)
    throw new Error(`There is no pull request ${number}.`);
  return { pull, issue };
}

function findOpen(world: World, number: number): { pull: PullRecord; issue: IssueRecord } {
  const found = find(world, number);
  if (found.issue.state === 'open') return found;
  throw new Error(`Pull request ${number} is not open.`);
}

function findLabel(world: World, name: string): LabelRecord {
  const label = world.state.labels[name.toLowerCase()];
  if (label === undefined) throw new Error(`The repository has no label ${name}.`);
  return label;
}
