import { randomBytes } from 'node:crypto';
import { buildCheckRun } from './commit-shape.ts';
import type { Fault } from './fault.ts';
import { FaultQueue } from './fault.ts';
import type { Contents } from './git.ts';
import { addReaction } from './reaction-route.ts';
import { Scenario } from './scenario.ts';
import type { JournalEntry, Latency, Listener } from './server.ts';
import { listen } from './server.ts';
import type { Schemas, Urls, World } from './shape.ts';
import { buildComment, buildIssue, buildReaction } from './shape.ts';
import type { State, Token } from './state.ts';
import { actionsBot, createState, loadState, saveState } from './state.ts';

/** Options of the server. */
export interface GitHubOptions {
  /** Stores the state in this file, across restarts. Without it the state ends with the server. */
  readonly stateFile?: string;
  /** `owner/name`; `acme/database` by default. Ignored if the state file already has one. */
  readonly repository?: string;
  /** The files of the first commit besides README.md. Also ignored then. */
  readonly files?: Contents;
  /** A private repository (the default) hides everything outside a token's permissions. */
  readonly private?: boolean;
  /** A loopback port; a free one by default. */
  readonly port?: number;
  /** 0 by default. */
  readonly latency?: Latency;
}

/** A GitHub of one repository. */
export class GitHub extends Scenario {
  readonly #state: State;
  readonly #faults: FaultQueue;
  readonly #save: () => void;
  readonly #listener: Listener;
  /** All requests so far, oldest first. */
  readonly journal: JournalEntry[];
  /** The addresses as on github.com: the API at the root of its own host. */
  readonly urls: Urls;
  /** The addresses as on an enterprise server: the API below /api/v3. */
  readonly enterpriseUrls: Urls;

  constructor(parts: {
    state: State;
    faults: FaultQueue;
    journal: JournalEntry[];
    save: () => void;
    listener: Listener;
  }) {
    const urls = buildUrls(parts.listener.port);
    super({ world: (): World => ({ state: parts.state, urls }), save: parts.save });
    this.#state = parts.state;
    this.#faults = parts.faults;
    this.#save = parts.save;
    this.#listener = parts.listener;
    this.journal = parts.journal;
    this.urls = urls;
    this.enterpriseUrls = {
      server: urls.server,
      api: `${urls.server}/api/v3`,
      graphql: `${urls.server}/api/graphql`,
    };
  }

  /** `owner/name` */
  get repository(): string {
    return `${this.#state.owner}/${this.#state.name}`;
  }

  /**
   * Makes a token.
   * @param token its account (a workflow's by default) and its permissions; metadata can
   *   always be read
   * @returns the secret
   */
  createToken(token: Partial<Token> = {}): string {
    const login = token.login ?? actionsBot;
    const prefix = login.endsWith('[bot]') ? 'ghs_' : 'github_pat_';
    const secret = prefix + randomBytes(27).toString('base64url').replaceAll(/[-_]/g, '0');
    this.#state.tokens[secret] = { login, permissions: token.permissions ?? {} };
    this.#save();
    return secret;
  }

  /** Makes the next matching requests fail. */
  failNext(fault: Fault): void {
    this.#faults.add(fault);
  }

  /** Removes all pending faults. */
  clearFaults(): void {
    this.#faults.clear();
  }

  /** Makes the first requests for a later commit's pull requests return an empty list, this many times. */
  delayAssociation(answers: number): void {
    this.#state.associationDelay = answers;
    this.#save();
  }

  /**
   * Makes the first requests for a pull request (1 by default) report its mergeability as unknown.
   * The count restarts when its head, its base or the base branch's head changes.
   */
  delayMergeability(answers: number): void {
    this.#state.mergeabilityDelay = answers;
    this.#save();
  }

  /** Truncates the answers of "get a tree" after this many entries, as GitHub does after 100,000. */
  limitTrees(entries: number): void {
    this.#state.treeLimit = entries;
    this.#save();
  }

  /** Returns the comments of an issue or pull request as the API shows them, oldest first. */
  listComments(issue: number): Schemas['issue-comment'][] {
    return Object.values(this.#state.comments)
      .filter((comment) => comment.issue === issue)
      .sort((a, b) => a.id - b.id)
      .map((comment) => buildComment({ state: this.#state, urls: this.urls }, comment));
  }

  /** Returns all issues, pull requests included, as the API shows them, oldest first. */
  listIssues(): Schemas['issue'][] {
    return Object.values(this.#state.issues)
      .sort((a, b) => a.number - b.number)
      .map((issue) => buildIssue({ state: this.#state, urls: this.urls }, issue));
  }

  /** Returns the check runs of a commit as the API shows them, oldest first. */
  listCheckRuns(sha: string): Schemas['check-run'][] {
    return Object.values(this.#state.checkRuns)
      .filter((run) => run.sha === sha)
      .sort((a, b) => a.id - b.id)
      .map((run) => buildCheckRun({ state: this.#state, urls: this.urls }, run));
  }

  /** Returns the reactions to a comment as the API shows them, oldest first. */
  listReactions(comment: number): Schemas['reaction'][] {
    return Object.values(this.#state.reactions)
      .filter((reaction) => reaction.comment === comment)
      .sort((a, b) => a.id - b.id)
      .map((reaction) => buildReaction({ state: this.#state, urls: this.urls }, reaction));
  }

  /** Adds an eyes reaction to a comment, as left by a process that died while holding it. */
  reactAs(login: string, comment: number): void {
    addReaction(this.#state, { comment, login, content: 'eyes' });
    this.#save();
  }

  /** Stops the server and cuts its connections. */
  async stop(): Promise<void> {
    await this.#listener.close();
  }
}

function buildUrls(port: number): Urls {
  const server = `http://127.0.0.1:${port}`;
  return { server, api: server, graphql: `${server}/graphql` };
}

/**
 * Starts a GitHub with one repository on a loopback port.
 * @param options the state file, the repository, the port
 * @returns the running server; `stop()` ends it
 * @throws Error if the port is in use, the repository's name is invalid or the state file is damaged
 */
export async function startGitHub(options: GitHubOptions = {}): Promise<GitHub> {
  const path = options.stateFile;
  const repository = options.repository ?? 'acme/database';
  const [, owner, name] = /^([\w.-]+)\/([\w.-]+)$/.exec(repository) ?? [];
  if (owner === undefined || name === undefined) {
    throw new Error(`repository is ${JSON.stringify(repository)}: give owner/name.`);
  }
  const state =
    (path === undefined ? undefined : loadState(path)) ??
    createState({ owner, name, private: options.private ?? true, files: options.files ?? {} });
  const save = path === undefined ? (): void => {} : (): void => saveState(path, state);
  const faults = new FaultQueue();
  const journal: JournalEntry[] = [];
  let port = options.port ?? 0;
  const latency = options.latency ?? 0;
  const listener = await listen(
    { state, faults, journal, save, latency, urls: () => buildUrls(port) },
    port,
  );
  port = listener.port;
  save();
  return new GitHub({ state, faults, journal, save, listener });
}
