import {
  addCommit,
  closeIssue,
  closeMerged,
  giveMergeMessage,
  mergeBranch,
  mergeFiles,
  pushToBranch,
  tryMerge,
} from './branch.ts';
import { addCheckRun, addCheckSuite } from './check-route.ts';
import { addComment } from './comment-route.ts';
import { giveCheckRun } from './commit-shape.ts';
import {
  makeDispatchEvent,
  makeMergeGroupEvent,
  makePullRequestEvent,
  makePushEvent,
  makeScheduleEvent,
  makeWorkflowDispatchEvent,
} from './event.ts';
import { addIssue, addLabel, dropLabel } from './issue-route.ts';
import type { World } from './shape.ts';
import { giveComment, giveIssue } from './shape.ts';
import type { ChangedFile, IssueRecord, LabelRecord, MergeMethod, PullRecord } from './state.ts';
import { readClock, readMainHead, takeId } from './state.ts';

/** A pull request to open. */
export interface NewPullRequest {
  readonly branch: string;
  readonly title: string;
  /** A login; `alice` by default. */
  readonly author?: string;
  /** Whether the branch lies in the author's fork. */
  readonly fork?: boolean;
  readonly body?: string;
  readonly files?: ChangedFile[];
  /** How many commits the branch has; 1 by default. */
  readonly commits?: number;
}

/** Both events that a merge causes, in GitHub's order. */
export interface MergeEvents {
  readonly pullRequest: ReturnType<typeof makePullRequestEvent>;
  readonly push: ReturnType<typeof makePushEvent>;
}

/** What a merge queue does when the checks of its groups have passed: all in one push. */
export interface QueueEvents {
  /** One a pull request, in the order in which they are merged. */
  readonly groups: ReturnType<typeof makeMergeGroupEvent>[];
  readonly pullRequests: ReturnType<typeof makePullRequestEvent>[];
  readonly push: ReturnType<typeof makePushEvent>;
}

const mergeQueueBot = 'github-merge-queue[bot]';

const someFiles: ChangedFile[] = [
  { filename: '.github/workflows/postgres.yml', status: 'modified' },
];

/** What people do in a repository; every method leaves a consistent state and gives the event. */
export class Scenario {
  readonly #world: () => World;
  readonly #save: () => void;

  constructor(parts: { world: () => World; save: () => void }) {
    this.#world = parts.world;
    this.#save = parts.save;
  }

  /** Opens a pull request towards the default branch. */
  openPullRequest(request: NewPullRequest) {
    return this.#play((world) => {
      const { state } = world;
      const author = request.author ?? 'alice';
      const issue = addIssue(state, { title: request.title, body: request.body ?? null, author });
      const base = readMainHead(state);
      const files = request.files ?? someFiles;
      const pull: PullRecord = {
        id: takeId(state),
        number: issue.number,
        branch: request.branch,
        headOwner: request.fork === true ? author : state.owner,
        baseSha: base,
        commits: [],
        files,
        mergeCommitSha: base,
        mergedAt: null,
        mergedBy: null,
        introduced: [],
      };
      state.pulls[pull.number] = pull;
      const count = request.commits ?? 1;
      for (let index = 1; index <= count; index += 1) {
        const message = count === 1 ? request.title : `${request.title} (${index} of ${count})`;
        pushToBranch(world, pull, { message, author, files });
      }
      tryMerge(world, pull);
      return makePullRequestEvent(world, { pull, actor: author, action: 'opened' });
    });
  }

  /** Pushes one more commit to the branch of an open pull request. */
  pushToPullRequest(
    number: number,
    push: { message?: string; files?: ChangedFile[]; by?: string } = {},
  ) {
    return this.#play((world) => {
      const { pull, issue } = findOpen(world, number);
      const before = pull.commits.at(-1) ?? pull.baseSha;
      const files = push.files ?? pull.files;
      pushToBranch(world, pull, {
        message: push.message ?? 'Follow-up',
        author: issue.author,
        files,
      });
      pull.files = mergeFiles(pull.files, files);
      tryMerge(world, pull);
      issue.updatedAt = readClock();
      const after = pull.commits.at(-1) ?? before;
      return makePullRequestEvent(world, {
        pull,
        actor: push.by ?? issue.author,
        action: { synchronize: { before, after } },
      });
    });
  }

  /** Merges an open pull request; the push ends at the commit that the method leaves on main. */
  merge(number: number, method: MergeMethod, by?: string): MergeEvents {
    return this.#play((world) => {
      const { state } = world;
      const { pull, issue } = findOpen(world, number);
      const actor = by ?? state.owner;
      const before = readMainHead(state);
      const pushed = mergeBranch(world, { pull, issue, method, actor });
      closeMerged({ pull, issue, actor, pushed });
      return {
        pullRequest: makePullRequestEvent(world, { pull, actor, action: 'closed' }),
        push: makePushEvent(world, { before, commits: pushed, actor }),
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

  /** Opens a pull request again that was closed unmerged. */
  reopen(number: number, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      if (issue.state === 'open' || pull.mergedAt !== null) {
        throw new Error(`Pull request ${number} is not one that was closed unmerged.`);
      }
      issue.state = 'open';
      issue.closedAt = null;
      issue.updatedAt = readClock();
      tryMerge(world, pull);
      return makePullRequestEvent(world, { pull, actor: by ?? issue.author, action: 'reopened' });
    });
  }

  /** Puts an open pull request into the merge queue, as a group of its own. */
  mergeGroup(number: number) {
    return this.#play((world) => {
      const { pull, issue } = findOpen(world, number);
      const base = readMainHead(world.state);
      const commit = addCommit(world, {
        parents: [base, pull.commits.at(-1) ?? base],
        message: giveMergeMessage(pull, issue),
        author: issue.author,
        files: pull.files,
      });
      return makeMergeGroupEvent(world, { pull, commit, base });
    });
  }

  /** Lets the merge queue merge several open pull requests, each with a merge commit, in one push. */
  mergeThroughQueue(numbers: readonly number[]): QueueEvents {
    return this.#play((world) => {
      const before = readMainHead(world.state);
      const groups: QueueEvents['groups'] = [];
      const merged = numbers.map((number) => {
        const { pull, issue } = findOpen(world, number);
        const base = readMainHead(world.state);
        const pushed = mergeBranch(world, { pull, issue, method: 'merge', actor: issue.author });
        const commit = pushed.at(-1);
        if (commit === undefined) throw new Error(`Pull request ${number} has no commit.`);
        groups.push(makeMergeGroupEvent(world, { pull, commit, base }));
        closeMerged({ pull, issue, actor: mergeQueueBot, pushed });
        return { pull, pushed };
      });
      const actor = mergeQueueBot;
      return {
        groups,
        pullRequests: merged.map(({ pull }) =>
          makePullRequestEvent(world, { pull, actor, action: 'closed' }),
        ),
        push: makePushEvent(world, {
          before,
          commits: merged.flatMap(({ pushed }) => pushed),
          actor,
        }),
      };
    });
  }

  /** Puts a label on a pull request. */
  label(number: number, name: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      addLabel(world.state, issue, name);
      const action = { labeled: findLabel(world, name) };
      return makePullRequestEvent(world, { pull, actor: by ?? world.state.owner, action });
    });
  }

  /** Takes a label off a pull request. */
  unlabel(number: number, name: string, by?: string) {
    return this.#play((world) => {
      const { pull, issue } = find(world, number);
      if (!dropLabel(issue, name)) throw new Error(`Pull request ${number} has no label ${name}.`);
      const action = { unlabeled: findLabel(world, name) };
      return makePullRequestEvent(world, { pull, actor: by ?? world.state.owner, action });
    });
  }

  /** Pushes a commit to the default branch without a pull request. */
  push(push: { message?: string; author?: string; files?: ChangedFile[] } = {}) {
    return this.#play((world) => {
      const before = readMainHead(world.state);
      const actor = push.author ?? world.state.owner;
      const commit = addCommit(world, {
        parents: [before],
        message: push.message ?? 'Direct push',
        author: actor,
        files: push.files ?? someFiles,
      });
      world.state.main.push(commit.sha);
      return makePushEvent(world, { before, commits: [commit], actor });
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

  /** Lets a cron line fire. */
  schedule(cron = '17 5 * * *', workflow = '.github/workflows/postgres.yml') {
    return makeScheduleEvent(this.#world(), { cron, workflow });
  }

  /** Presses "Run workflow". */
  workflowDispatch(
    inputs: Record<string, string> = {},
    workflow = '.github/workflows/postgres.yml',
  ) {
    const world = this.#world();
    return makeWorkflowDispatchEvent(world, { inputs, workflow, actor: world.state.owner });
  }

  /** Writes a comment in anybody's name. @returns the comment as the API shows it */
  commentAs(login: string, issue: number, body: string) {
    return this.#play((world) => {
      if (world.state.issues[issue] === undefined) throw new Error(`There is no issue ${issue}.`);
      return giveComment(world, addComment(world.state, { issue, author: login, body }));
    });
  }

  /** Opens an issue in anybody's name. @returns the issue as the API shows it */
  openIssueAs(login: string, issue: { title: string; body: string }) {
    return this.#play((world) =>
      giveIssue(world, addIssue(world.state, { ...issue, author: login })),
    );
  }

  /** Switches the repository's issues off, or on again. */
  setIssues(enabled: boolean): void {
    this.#play((world) => {
      world.state.hasIssues = enabled;
    });
  }

  /** Starts a workflow on a commit: its run's check suite, with the check run of a job in it. */
  startWorkflow(sha: string, { job }: { job: string }) {
    return this.#play((world) => {
      if (world.state.commits[sha] === undefined) throw new Error(`There is no commit ${sha}.`);
      const app = 'github-actions';
      const suite = addCheckSuite(world.state, { app, sha }).id;
      return giveCheckRun(world, addCheckRun(world.state, { app, sha, name: job, suite }));
    });
  }

  /** Completes a check run in the name of any app, e.g. to forge one. @returns it as the API shows it */
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
      return giveCheckRun(world, run);
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
