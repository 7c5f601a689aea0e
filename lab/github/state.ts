import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ChangedFile, Contents, TreeEntry } from './git.ts';
import { changeTree, compareTrees, EMPTY_TREE } from './git.ts';

/** The level of a token's permission. */
export type Access = 'read' | 'write';

/** The permissions of a workflow's token that this server distinguishes. */
export type Permission = 'issues' | 'pull_requests' | 'contents' | 'statuses' | 'checks';

/** A token as the server stores it. */
export interface Token {
  readonly login: string;
  readonly permissions: Partial<Record<Permission, Access>>;
}

/** A commit; its id is arbitrary, its tree has Git's id. */
export interface CommitRecord {
  readonly sha: string;
  readonly parents: string[];
  readonly message: string;
  readonly author: string;
  readonly date: string;
  /** The changed files, as the test named them; if the test supplied contents, the differences between the trees. */
  readonly files: ChangedFile[];
  /** The id of its tree: all files of the repository at this commit. */
  readonly tree: string;
  /** How many more requests for this commit's pull requests return an empty list. */
  emptyAnswers: number;
}

/** A label of the repository. */
export interface LabelRecord {
  readonly id: number;
  readonly name: string;
  readonly color: string;
}

/** A label that an account put on an issue or took off it. */
export interface LabelingRecord {
  readonly id: number;
  readonly issue: number;
  readonly event: 'labeled' | 'unlabeled';
  readonly label: string;
  readonly actor: string;
  readonly createdAt: string;
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

/** The data that a pull request adds to its issue. */
export interface PullRecord {
  readonly id: number;
  readonly number: number;
  readonly branch: string;
  /** The owner of the head repository: for a fork a login other than the repository's owner. */
  readonly headOwner: string;
  /** The base branch. */
  base: string;
  /** The base branch's head at the last push or change of base: GitHub keeps it when the branch moves. */
  baseSha: string;
  commits: string[];
  files: ChangedFile[];
  /** The commit behind refs/pull/N/merge; null until a merge succeeded. */
  testMerge: string | null;
  /** The commits of the last merge test; null if there was none. */
  tested: { readonly base: string; readonly head: string } | null;
  /** Whether that test ended in a conflict, which leaves `testMerge` unchanged. */
  conflict: boolean;
  /** How many more requests for this pull request report unknown mergeability; null once it was reported. */
  unknownAnswers: number | null;
  /**
   * What the API shows: before the merge a test merge commit, which can be outdated; afterwards
   * the commit that the base branch moved to.
   */
  mergeCommitSha: string | null;
  mergedAt: string | null;
  mergedBy: string | null;
  /** The commits that this pull request added to the default branch. */
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

/** The emoji that a reaction can have. */
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

/** A reaction to a comment; a login can add each emoji once. */
export interface ReactionRecord {
  readonly id: number;
  readonly comment: number;
  readonly login: string;
  readonly content: (typeof REACTIONS)[number];
  readonly createdAt: string;
}

/** A check suite: every workflow run has one on its commit, all from the app `github-actions`. */
export interface CheckSuiteRecord {
  readonly id: number;
  readonly sha: string;
  readonly app: string;
}

/** One check run. */
export interface CheckRunRecord {
  readonly id: number;
  readonly sha: string;
  /** Its check suite. */
  readonly suite: number;
  /** The app that created it: the login of its token without `[bot]`. */
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

/** The conclusions of a check run. */
export type CheckConclusion =
  | 'success'
  | 'failure'
  | 'neutral'
  | 'cancelled'
  | 'skipped'
  | 'timed_out'
  | 'action_required';

/** An account's role in the repository; `gone` is an account that does not exist. */
export type Role = 'admin' | 'maintain' | 'write' | 'triage' | 'read' | 'none' | 'gone';

/** The server's complete state: plain JSON, so that it can be written to a file as it is. */
export interface State {
  owner: string;
  name: string;
  private: boolean;
  createdAt: string;
  nextId: number;
  nextNumber: number;
  /** How many requests for a new commit's pull requests return an empty list. */
  associationDelay: number;
  /** How many requests for a pull request report unknown mergeability after its head or base moved. */
  mergeabilityDelay: number;
  /** The maximum number of entries in the answer to "get a tree". */
  treeLimit: number;
  tokens: Record<string, Token>;
  /** Roles by lowercase login; the owner needs none. */
  roles: Record<string, Role>;
  /** Git's objects by id: blobs in base64, trees as their entries in Git's order. */
  blobs: Record<string, string>;
  trees: Record<string, readonly TreeEntry[]>;
  commits: Record<string, CommitRecord>;
  /** The default branch, oldest commit first. */
  main: string[];
  /** Other base branches for pull requests, oldest commit first. */
  branches: Record<string, string[]>;
  labels: Record<string, LabelRecord>;
  issues: Record<string, IssueRecord>;
  /** Oldest first. */
  labelings: LabelingRecord[];
  pulls: Record<string, PullRecord>;
  comments: Record<string, CommentRecord>;
  reactions: Record<string, ReactionRecord>;
  /** Whether the repository has issues; people can disable them. */
  hasIssues: boolean;
  statuses: StatusRecord[];
  checkSuites: Record<string, CheckSuiteRecord>;
  checkRuns: Record<string, CheckRunRecord>;
}

/** The name of the default branch. */
export const defaultBranch = 'main';

/** The login of a workflow's token. */
export const actionsBot = 'github-actions[bot]';

/** Makes a new commit id: 40 hexadecimal digits. */
export function makeSha(): string {
  return randomBytes(20).toString('hex');
}

/** Returns the current time in the API's format: ISO 8601, whole seconds, UTC. */
export function readClock(): string {
  return new Date().toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Takes the next id from the state; ids are unique across all kinds of objects. */
export function takeId(state: State): number {
  state.nextId += 1;
  return state.nextId;
}

/** Returns a numeric id for a name (of an account, a repository): always the same for the same name. */
export function deriveId(name: string): number {
  // The one account with the same number on every GitHub installation.
  if (name === actionsBot) return 41_898_282;
  return 10_000_000 + (createHash('sha256').update(name).digest().readUInt32BE() % 180_000_000);
}

/** Returns the number of an app; GitHub Actions has its real one. */
export function findAppId(app: string): number {
  return app === 'github-actions' ? 15_368 : deriveId(`app ${app}`) % 3_000_000;
}

/** The number of tree entries that GitHub lists. Source: docs.github.com, REST API, git trees. */
const githubTreeLimit = 100_000;

/**
 * Makes the state of a new repository with one commit on its default branch: a README.md, and the
 * given files.
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
    // New repositories on GitHub have ids of ten digits; the exact start is arbitrary.
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
    labelings: [],
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
 * Reads a state file; commits from before trees were stored have a tree without files.
 * @param path the file that {@link saveState} wrote
 * @returns the state, or undefined if there is no such file
 * @throws Error if the file is not a state file
 */
export function loadState(path: string): State | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  try {
    const state = JSON.parse(text) as State;
    if (typeof state.owner !== 'string' || typeof state.nextId !== 'number')
      throw new Error('no state');
    // A file from before there were any.
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
      labelings: state.labelings ?? [],
      blobs: state.blobs ?? {},
      trees: state.trees ?? {},
      reactions: state.reactions ?? {},
      hasIssues: state.hasIssues ?? true,
      checkSuites: state.checkSuites ?? {},
      branches: state.branches ?? {},
    };
  } catch (cause) {
    throw new Error(
      `${path} is not a state file of the GitHub emulator: delete it to start anew.`,
      {
        cause,
      },
    );
  }
}

/** Writes the state to a file; a reader sees either the old or the new text. */
export function saveState(path: string, state: State): void {
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  writeFileSync(partial, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
  renameSync(partial, path);
}

/** Returns the commits of a base branch, oldest first. @throws Error for an unknown branch */
export function readBranch(state: State, name: string): string[] {
  const commits = name === defaultBranch ? state.main : state.branches[name];
  if (commits === undefined) throw new Error(`There is no branch ${name}.`);
  return commits;
}

/** Returns the newest commit of a base branch. */
export function readHead(state: State, name: string): string {
  const head = readBranch(state, name).at(-1);
  if (head === undefined) throw new Error(`Branch ${name} has no commit.`);
  return head;
}

/** Returns the newest commit of the default branch. */
export function readMainHead(state: State): string {
  return readHead(state, defaultBranch);
}
