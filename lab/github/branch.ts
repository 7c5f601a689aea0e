import type { ChangedFile, Contents } from './git.ts';
import {
  changeTree,
  compareTrees,
  EMPTY_TREE,
  findMergeBase,
  mergeCommits,
  mergeTrees,
  readCommitTree,
} from './git.ts';
import type { World } from './shape.ts';
import type { CommitRecord, IssueRecord, MergeMethod, PullRecord, State } from './state.ts';
import { makeSha, readBranch, readClock, readHead } from './state.ts';

/** The parts of a commit; without a tree it has its first parent's. */
type NewCommit = Pick<CommitRecord, 'parents' | 'message' | 'author' | 'files'> & {
  readonly tree?: string;
};

/** Adds a commit that is not on a branch yet. */
export function addCommit(world: World, commit: NewCommit): CommitRecord {
  const { state } = world;
  const [parent] = commit.parents;
  const inherited = parent === undefined ? EMPTY_TREE : readCommitTree(state, parent);
  const record = {
    ...commit,
    tree: commit.tree ?? inherited,
    sha: makeSha(),
    date: readClock(),
    emptyAnswers: state.associationDelay,
  };
  state.commits[record.sha] = record;
  return record;
}

/** Adds a commit that changes files of its parent; without contents, `files` names the reported changes. */
export function changeCommit(
  world: World,
  commit: {
    parent: string;
    message: string;
    author: string;
    files: ChangedFile[];
    contents?: Contents | undefined;
  },
): CommitRecord {
  const { parent, contents, ...rest } = commit;
  const { state } = world;
  if (contents === undefined) return addCommit(world, { ...rest, parents: [parent] });
  const before = readCommitTree(state, parent);
  const tree = changeTree(state, before, contents);
  return addCommit(world, {
    ...rest,
    parents: [parent],
    tree,
    files: compareTrees(state, before, tree),
  });
}

/** Adds a commit to the branch of a pull request. */
export function pushToBranch(
  world: World,
  pull: PullRecord,
  commit: {
    message: string;
    author: string;
    files: ChangedFile[];
    contents?: Contents | undefined;
  },
): void {
  const { state } = world;
  const made = changeCommit(world, { ...commit, parent: pull.commits.at(-1) ?? pull.baseSha });
  pull.commits.push(made.sha);
  if (commit.contents === undefined) {
    pull.files = mergeFiles(pull.files, commit.files);
    return;
  }
  // A pull request changes the files that differ between its head and its merge base.
  const from = findMergeBase(state, readHead(state, pull.base), made.sha) ?? pull.baseSha;
  const changed = compareTrees(state, readCommitTree(state, from), made.tree);
  const { contents } = commit;
  const others = pull.files.filter(({ filename }) => !Object.hasOwn(contents, filename));
  pull.files = mergeFiles(others, changed).sort((a, b) => (a.filename < b.filename ? -1 : 1));
}

/** Records that a pull request's head or base changed, and tries the merge. */
export function movePull(world: World, pull: PullRecord): void {
  pull.baseSha = readHead(world.state, pull.base);
  tryMerge(world, pull);
}

/**
 * Makes the commit behind refs/pull/N/merge, on which a pull request's workflows run. A conflict
 * keeps the old one. The API reports the result only after some requests.
 */
function tryMerge(world: World, pull: PullRecord): void {
  const { state } = world;
  const head = pull.commits.at(-1) ?? pull.baseSha;
  const base = readHead(state, pull.base);
  const tree = mergeCommits(state, base, head);
  pull.tested = { base, head };
  pull.conflict = tree === undefined;
  pull.unknownAnswers = state.mergeabilityDelay;
  if (tree === undefined) return;
  pull.testMerge = addCommit(world, {
    parents: [base, head],
    message: `Merge ${head} into ${base}`,
    author: state.owner,
    files: pull.files,
    tree,
  }).sha;
}

/**
 * Performs the side effect of "get a pull request": the merge is tried again if the base branch
 * has moved, and a later request reports the result. Sources: docs.github.com, "Checking
 * mergeability of pull requests": refs/pull/N/merge changes only on request; hub4j/github-api#1136:
 * until then `merge_commit_sha` is an old one; katbyte/tctest#110: after a conflict as well.
 */
export function refreshMerge(world: World, pull: PullRecord): void {
  const { state } = world;
  if (state.issues[pull.number]?.state !== 'open') return;
  if (pull.tested?.base !== readHead(state, pull.base)) tryMerge(world, pull);
  if (pull.unknownAnswers === null) return;
  if (pull.unknownAnswers > 0) {
    pull.unknownAnswers -= 1;
    return;
  }
  pull.unknownAnswers = null;
  if (!pull.conflict) pull.mergeCommitSha = pull.testMerge;
}

/** Returns the union of both lists. */
export function mergeFiles(old: ChangedFile[], more: ChangedFile[]): ChangedFile[] {
  const byName = new Map([...old, ...more].map((file) => [file.filename, file]));
  return [...byName.values()];
}

/** Returns the message of a merge commit. */
export function formatMergeMessage(pull: PullRecord, issue: IssueRecord): string {
  return `Merge pull request #${pull.number} from ${pull.headOwner}/${pull.branch}\n\n${issue.title}`;
}

/**
 * Makes the commits that the merge method adds on top of `base`; they are not on a branch yet.
 * @throws Error with GitHub's message for a conflict
 */
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
  if (method === 'rebase') {
    let parent = base;
    return old.map((commit) => {
      const tree = pickCommit(state, { commit, onto: parent });
      const record = addCommit(world, { ...commit, parents: [parent], tree: expectTree(tree) });
      parent = record.sha;
      return record;
    });
  }
  const head = old.at(-1)?.sha ?? base;
  const tree = expectTree(mergeCommits(state, base, head));
  if (method === 'squash') {
    return [
      addCommit(world, {
        parents: [base],
        message: `${issue.title} (#${pull.number})`,
        author: issue.author,
        files: pull.files,
        tree,
      }),
    ];
  }
  const message = formatMergeMessage(pull, issue);
  const parents = [base, head];
  return [...old, addCommit(world, { parents, message, author: actor, files: pull.files, tree })];
}

function pickCommit(
  state: State,
  { commit, onto }: { commit: CommitRecord; onto: string },
): string | undefined {
  const [parent] = commit.parents;
  return mergeTrees(state, {
    base: parent === undefined ? EMPTY_TREE : readCommitTree(state, parent),
    ours: readCommitTree(state, onto),
    theirs: commit.tree,
  });
}

function expectTree(tree: string | undefined): string {
  if (tree === undefined) throw new Error('Pull Request is not mergeable');
  return tree;
}

/** Moves the base branch of a pull request to the commits of its merge. */
export function finishMerge(
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

/** Records that a pull request was merged, and its commits. */
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
