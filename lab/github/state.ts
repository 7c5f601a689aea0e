import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ChangedFile, Contents, TreeEntry } from './git.ts';
import { changeTree, compareTrees, EMPTY_TREE } from './git.ts';

/** What one permission of a token allows. */
export type Access = 'read' | 'write';

/** The permissions a workflow can grant to its token and that this server distinguishes. */
export type Permission = 'issues' | 'pull_requests' | 'contents' | 'statuses' | 'checks';

/** A token as the server remembers it. */
export interface Token {
  readonly login: string;
  readonly permissions: Partial<Record<Permission, Access>>;
}

/** A commit; its id is arbitrary, that of its tree is Git's. */
export interface CommitRecord {
  readonly sha: string;
  readonly parents: string[];
  readonly message: string;
  readonly author: string;
  readonly date: string;
  /** What it changes, as tests tell it: where a test gives contents, what differs in the trees. */
  readonly files: ChangedFile[];
  /** The id of its tree: all files of the repository at this commit. */
  readonly tree: string;
  /** How many more look-ups of this commit's pull requests answer with an empty list. */
  emptyAnswers: number;
}

/** A label of the repository. */
export interface LabelRecord {
  readonly id: number;
  readonly name: string;
  readonly color: string;
}

/** An issue; a pull request is an issue too and shares its number. */
export interface IssueRecord {
  readonly id: number;
  readonly number: number;
  readonly author: string;
  readonly createdAt: string;
  title: string;
  body: string | null;
  state: 'open' | 'closed';
  stateReason: 'completed' | 'reopened' | 'not_planned' | 'duplicate' | null;
  updatedAt: string;
  closedAt: string | null;
  labels: string[];
}

/** How GitHub can merge a pull request. */
export type MergeMethod = 'merge' | 'squash' | 'rebase';

/** What a pull request adds to its issue. */
export interface PullRecord {
  readonly id: number;
  readonly number: number;
  readonly branch: string;
  /** The owner of the head repository: another login than the repository's owner for a fork. */
  readonly headOwner: string;
  /** The branch that it is to be merged into. */
  base: string;
  /** The base branch's head at the last push or change of base: GitHub leaves it when the branch moves on. */
  baseSha: string;
  commits: string[];
  files: ChangedFile[];
  /** The commit behind refs/pull/N/merge; null until a merge succeeded. */
  testMerge: string | null;
  /** What the last test of a merge was made from; null if there was none. */
  tested: { readonly base: string; readonly head: string } | null;
  /** Whether that test ended in a conflict, which leaves `testMerge` as it was. */
  conflict: boolean;
  /** How many more look-ups of this pull request answer that its mergeability is unknown; null once it is told. */
  unknownAnswers: number | null;
  /**
   * What the API tells: before the merge a test merge commit, which can be an old one; afterwards
   * the commit that the base branch moved to.
   */
  mergeCommitSha: string | null;
  mergedAt: string | null;
  mergedBy: string | null;
  /** The commits that this pull request brought to the default branch. */
  introduced: string[];
}

/** A comment in the conversation of an issue or pull request. */
export interface CommentRecord {
  readonly id: number;
  readonly issue: number;
  readonly author: string;
  readonly createdAt: string;
  body: string;
  updatedAt: string;
}

/** One commit status; a newer one of the same context replaces it in the combined view. */
export interface StatusRecord {
  readonly id: number;
  readonly sha: string;
  readonly state: 'error' | 'failure' | 'pending' | 'success';
  readonly context: string;
  readonly description: string | null;
  readonly targetUrl: string | null;
  readonly creator: string;
  readonly createdAt: string;
}

/** The emoji that a reaction can be. */
export const REACTIONS = [
  '+1',
  '-1',
  'laugh',
  'confused',
  'heart',
  'hooray',
  'rocket',
  'eyes',
] as const;

/** A reaction to a comment; a login has each emoji at most once. */
export interface ReactionRecord {
  readonly id: number;
  readonly comment: number;
  readonly login: string;
  readonly content: (typeof REACTIONS)[number];
  readonly createdAt: string;
}

/** A check suite: every workflow run has one on its commit, all of the app `github-actions`. */
export interface CheckSuiteRecord {
  readonly id: number;
  readonly sha: string;
  readonly app: string;
}

/** One check run. */
export interface CheckRunRecord {
  readonly id: number;
  readonly sha: string;
  /** The check suite that it belongs to. */
  readonly suite: number;
  /** The app that made it: the login of its token without `[bot]`. */
  readonly app: string;
  name: string;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: CheckConclusion | null;
  detailsUrl: string | null;
  externalId: string | null;
  startedAt: string | null;
  completedAt: string | null;
  title: string | null;
  summary: string | null;
  text: string | null;
  annotations: number;
}

/** How a check run can end. */
export type CheckConclusion =
  | 'success'
  | 'failure'
  | 'neutral'
  | 'cancelled'
  | 'skipped'
  | 'timed_out'
  | 'action_required';

/** What somebody may do in the repository; `gone` is an account that does not exist. */
export type Role = 'admin' | 'maintain' | 'write' | 'triage' | 'read' | 'none' | 'gone';

/** Everything the server knows: plain JSON, so that it can be written to a file as it is. */
export interface State {
  owner: string;
  name: string;
  private: boolean;
  createdAt: string;
  nextId: number;
  nextNumber: number;
  /** How many look-ups of a new commit's pull requests answer with an empty list. */
  associationDelay: number;
  /** How many look-ups of a pull request whose head or base moved answer that its mergeability is unknown. */
  mergeabilityDelay: number;
  /** How many entries the answer to "get a tree" has at most. */
  treeLimit: number;
  tokens: Record<string, Token>;
  /** Roles by login in lower case; the owner needs none. */
  roles: Record<string, Role>;
  /** Git's objects by id: blobs in base64, trees as their entries in Git's order. */
  blobs: Record<string, string>;
  trees: Record<string, readonly TreeEntry[]>;
  commits: Record<string, CommitRecord>;
  /** The default branch, oldest commit first. */
  main: string[];
  /** Other branches of the repository that pull requests can be merged into, oldest commit first. */
  branches: Record<string, string[]>;
  labels: Record<string, LabelRecord>;
  issues: Record<string, IssueRecord>;
  pulls: Record<string, PullRecord>;
  comments: Record<string, CommentRecord>;
  reactions: Record<string, ReactionRecord>;
  /** Whether the repository has issues; a setting that people can switch off. */
  hasIssues: boolean;
  statuses: StatusRecord[];
  checkSuites: Record<string, CheckSuiteRecord>;
  checkRuns: Record<string, CheckRunRecord>;
}

/** The name of the default branch. */
export const defaultBranch = 'main';

/** The login under which a workflow's token acts. */
export const actionsBot = 'github-actions[bot]';

/** Makes a new commit id: 40 hexadecimal digits. */
export function makeSha(): string {
  return randomBytes(20).toString('hex');
}

/** Returns the present time as the API writes it: ISO 8601, whole seconds, UTC. */
export function readClock(): string {
  return new Date().toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Takes the next id from the state; ids are unique across all kinds of objects. */
export function takeId(state: State): number {
  state.nextId += 1;
  return state.nextId;
}

/** Returns a numeric id for a name (of an account, a repository): always the same one. */
export function giveStableId(name: string): number {
  // The one account whose number is the same on every GitHub installation that people look at.
  if (name === actionsBot) return 41_898_282;
  return 10_000_000 + (createHash('sha256').update(name).digest().readUInt32BE() % 180_000_000);
}

/** Returns the number of an app; that of GitHub Actions is known. */
export function giveAppId(app: string): number {
  return app === 'github-actions' ? 15_368 : giveStableId(`app ${app}`) % 3_000_000;
}

/** How many entries GitHub lists of a tree. Source: docs.github.com, REST API, git trees. */
const githubTreeLimit = 100_000;

/**
 * Makes the state of a new repository with one commit on its default branch: a README.md, and the
 * files that are given.
 */
export function createState(repository: {
  owner: string;
  name: string;
  private: boolean;
  files?: Contents;
}): State {
  const { files = {}, ...named } = repository;
  const createdAt = readClock();
  const root: CommitRecord = {
    sha: makeSha(),
    parents: [],
    message: 'Initial commit',
    author: repository.owner,
    date: createdAt,
    files: [],
    tree: EMPTY_TREE,
    emptyAnswers: 0,
  };
  const state: State = {
    ...named,
    createdAt,
    // Ids of a young repository on GitHub have ten digits; the exact start is arbitrary.
    nextId: 2_600_000_000,
    nextNumber: 1,
    associationDelay: 0,
    mergeabilityDelay: 1,
    treeLimit: githubTreeLimit,
    tokens: {},
    roles: {},
    blobs: {},
    trees: {},
    commits: {},
    main: [root.sha],
    branches: {},
    labels: {},
    issues: {},
    pulls: {},
    comments: {},
    reactions: {},
    hasIssues: true,
    statuses: [],
    checkSuites: {},
    checkRuns: {},
  };
  const tree = changeTree(state, EMPTY_TREE, { 'README.md': `# ${named.name}\n`, ...files });
  state.commits[root.sha] = { ...root, tree, files: compareTrees(state, EMPTY_TREE, tree) };
  return state;
}

/**
 * Reads a state file; commits of before there were trees have none with files.
 * @param path the file that {@link saveState} wrote
 * @returns the state, or undefined if there is no such file
 * @throws Error if the file holds no state
 */
export function loadState(path: string): State | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  try {
    const state = JSON.parse(text) as State;
    if (typeof state.owner !== 'string' || typeof state.nextId !== 'number')
      throw new Error('no state');
    // A file of before there were any.
    for (const pull of Object.values(state.pulls)) {
      pull.base ??= defaultBranch;
      pull.testMerge ??= pull.mergeCommitSha;
      pull.tested ??= null;
      pull.conflict ??= false;
      pull.unknownAnswers ??= null;
    }
    for (const [sha, commit] of Object.entries(state.commits))
      state.commits[sha] = { ...commit, tree: commit.tree ?? EMPTY_TREE };
    return {
      ...state,
      mergeabilityDelay: state.mergeabilityDelay ?? 1,
      treeLimit: state.treeLimit ?? githubTreeLimit,
      roles: state.roles ?? {},
      blobs: state.blobs ?? {},
      trees: state.trees ?? {},
      reactions: state.reactions ?? {},
      hasIssues: state.hasIssues ?? true,
      checkSuites: state.checkSuites ?? {},
      branches: state.branches ?? {},
    };
  } catch (cause) {
    throw new Error(
      `${path} holds no state of the GitHub stand-in: delete the file to start anew.`,
      {
        cause,
      },
    );
  }
}

/** Writes the state to a file; a reader sees the old text or the new one, never half of it. */
export function saveState(path: string, state: State): void {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  writeFileSync(partial, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
  renameSync(partial, path);
}

/** Returns the commits of a branch that pull requests are merged into, oldest first. @throws Error for an unknown branch */
export function readBranch(state: State, name: string): string[] {
  const commits = name === defaultBranch ? state.main : state.branches[name];
  if (commits === undefined) throw new Error(`There is no branch ${name}.`);
  return commits;
}

/** Returns the newest commit of a branch that pull requests are merged into. */
export function readHead(state: State, name: string): string {
  const head = readBranch(state, name).at(-1);
  if (head === undefined) throw new Error(`Branch ${name} has no commit.`);
  return head;
}

/** Returns the newest commit of the default branch. */
export function readMainHead(state: State): string {
  return readHead(state, defaultBranch);
}
