import type { World } from './shape.ts';
import type { ChangedFile, CommitRecord, IssueRecord, MergeMethod, PullRecord } from './state.ts';
import { makeSha, readBranch, readClock, readHead } from './state.ts';

/** Adds a commit that is on no branch yet. */
export function addCommit(
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

/** Adds a commit to the branch of a pull request. */
export function pushToBranch(
  world: World,
  pull: PullRecord,
  commit: Pick<CommitRecord, 'message' | 'author' | 'files'>,
): void {
  const parents = [pull.commits.at(-1) ?? pull.baseSha];
  pull.commits.push(addCommit(world, { ...commit, parents }).sha);
}

/** Makes the commit behind refs/pull/N/merge, on which a pull request's workflows run. */
export function tryMerge(world: World, pull: PullRecord): void {
  const head = pull.commits.at(-1) ?? pull.baseSha;
  pull.baseSha = readHead(world.state, pull.base);
  pull.mergeCommitSha = addCommit(world, {
    parents: [pull.baseSha, head],
    message: `Merge ${head} into ${pull.baseSha}`,
    author: world.state.owner,
    files: pull.files,
  }).sha;
}

/** Returns both lists as one, each file once. */
export function mergeFiles(old: ChangedFile[], more: ChangedFile[]): ChangedFile[] {
  const byName = new Map([...old, ...more].map((file) => [file.filename, file]));
  return [...byName.values()];
}

/** Returns the message of a merge commit. */
export function giveMergeMessage(pull: PullRecord, issue: IssueRecord): string {
  return `Merge pull request #${pull.number} from ${pull.headOwner}/${pull.branch}\n\n${issue.title}`;
}

/** Makes the commits that the merge method puts on top of `base`, which are on no branch yet. */
export function makeMerge(
  world: World,
  merge: {
    pull: PullRecord;
    issue: IssueRecord;
    method: MergeMethod;
    actor: string;
    base: string;
  },
): CommitRecord[] {
  const { pull, issue, method, actor, base } = merge;
  const { state } = world;
  const old = pull.commits.flatMap((sha) => state.commits[sha] ?? []);
  if (method === 'squash') {
    return [
      addCommit(world, {
        parents: [base],
        message: `${issue.title} (#${pull.number})`,
        author: issue.author,
        files: pull.files,
      }),
    ];
  }
  if (method === 'rebase') {
    let parent = base;
    return old.map((commit) => {
      const record = addCommit(world, { ...commit, parents: [parent] });
      parent = record.sha;
      return record;
    });
  }
  const head = old.at(-1)?.sha ?? base;
  const message = giveMergeMessage(pull, issue);
  const parents = [base, head];
  return [...old, addCommit(world, { parents, message, author: actor, files: pull.files })];
}

/** Moves the branch that a pull request is merged into to the commits of its merge. */
export function landMerge(
  world: World,
  { pull, commits }: { pull: PullRecord; commits: readonly CommitRecord[] },
): void {
  const { state } = world;
  const branch = readBranch(state, pull.base);
  for (const commit of commits) {
    branch.push(commit.sha);
    commit.emptyAnswers = state.associationDelay;
  }
}

/** Notes that a pull request has been merged, and with which commits. */
export function closeMerged(merge: {
  pull: PullRecord;
  issue: IssueRecord;
  actor: string;
  pushed: CommitRecord[];
}): void {
  const { pull, issue, actor, pushed } = merge;
  pull.mergedAt = readClock();
  pull.mergedBy = actor;
  pull.mergeCommitSha = pushed.at(-1)?.sha ?? pull.mergeCommitSha;
  pull.introduced = pushed.map((commit) => commit.sha);
  closeIssue(issue, pull.mergedAt);
}

/** Closes an issue or pull request. */
export function closeIssue(issue: IssueRecord, at: string): void {
  issue.state = 'closed';
  issue.closedAt = at;
  issue.updatedAt = at;
}
