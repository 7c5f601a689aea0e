import { addComment } from './comment-route.ts';
import {
  makeDispatchEvent,
  makeMergeGroupEvent,
  makePullRequestEvent,
  makePushEvent,
  makeScheduleEvent,
  makeWorkflowDispatchEvent,
} from './event.ts';
import { addIssue } from './issue-route.ts';
import type { World } from './shape.ts';
import { giveComment } from './shape.ts';
import type { ChangedFile, CommitRecord, IssueRecord, MergeMethod, PullRecord } from './state.ts';
import { makeSha, readClock, readMainHead, takeId } from './state.ts';

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
  pushToPullRequest(number: number, push: { message?: string; files?: ChangedFile[] } = {}) {
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
        actor: issue.author,
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
      pull.mergedAt = readClock();
      pull.mergedBy = actor;
      pull.mergeCommitSha = readMainHead(state);
      pull.introduced = pushed.map((commit) => commit.sha);
      closeIssue(issue, pull.mergedAt);
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

function closeIssue(issue: IssueRecord, at: string): void {
  issue.state = 'closed';
  issue.closedAt = at;
  issue.updatedAt = at;
}

function addCommit(
  world: World,
  commit: Pick<CommitRecord, 'parents' | 'message' | 'author' | 'files'>,
): CommitRecord {
  const { state } = world;
  const record = {
    ...commit,
    sha: makeSha(),
    date: readClock(),
    emptyAnswers: state.associationDelay,
  };
  state.commits[record.sha] = record;
  return record;
}

function pushToBranch(
  world: World,
  pull: PullRecord,
  commit: Pick<CommitRecord, 'message' | 'author' | 'files'>,
): void {
  const parents = [pull.commits.at(-1) ?? pull.baseSha];
  pull.commits.push(addCommit(world, { ...commit, parents }).sha);
}

// The commit behind refs/pull/N/merge, on which a pull request's workflows run.
function tryMerge(world: World, pull: PullRecord): void {
  const head = pull.commits.at(-1) ?? pull.baseSha;
  pull.baseSha = readMainHead(world.state);
  pull.mergeCommitSha = addCommit(world, {
    parents: [pull.baseSha, head],
    message: `Merge ${head} into ${pull.baseSha}`,
    author: world.state.owner,
    files: pull.files,
  }).sha;
}

function mergeFiles(old: ChangedFile[], more: ChangedFile[]): ChangedFile[] {
  const byName = new Map([...old, ...more].map((file) => [file.filename, file]));
  return [...byName.values()];
}

function giveMergeMessage(pull: PullRecord, issue: IssueRecord): string {
  return `Merge pull request #${pull.number} from ${pull.headOwner}/${pull.branch}\n\n${issue.title}`;
}

/** Moves the default branch as the merge method does and gives the commits that are new on it. */
function mergeBranch(
  world: World,
  merge: { pull: PullRecord; issue: IssueRecord; method: MergeMethod; actor: string },
): CommitRecord[] {
  const { pull, issue, method, actor } = merge;
  const { state } = world;
  const old = pull.commits.flatMap((sha) => state.commits[sha] ?? []);
  const base = readMainHead(state);
  const land = (
    commit: Pick<CommitRecord, 'parents' | 'message' | 'author' | 'files'>,
  ): CommitRecord => {
    const record = addCommit(world, commit);
    state.main.push(record.sha);
    return record;
  };
  if (method === 'squash') {
    return [
      land({
        parents: [base],
        message: `${issue.title} (#${pull.number})`,
        author: issue.author,
        files: pull.files,
      }),
    ];
  }
  if (method === 'rebase') {
    return old.map((commit) => land({ ...commit, parents: [readMainHead(state)] }));
  }
  for (const commit of old) {
    state.main.push(commit.sha);
    commit.emptyAnswers = state.associationDelay;
  }
  const head = old.at(-1)?.sha ?? base;
  const message = giveMergeMessage(pull, issue);
  return [...old, land({ parents: [base, head], message, author: actor, files: pull.files })];
}
