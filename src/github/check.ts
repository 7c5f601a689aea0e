import type { components } from '@octokit/openapi-types';
import { catchForbidden, type Forbidden, type GitHubClient, type Repository } from './client.ts';
import { retryUnknownCommit, type Sleep, sleepSeconds } from './commit-retry.ts';
import { findLogin } from './login.ts';

/** Size limit of a summary or a text in bytes (GitHub documents characters and counts bytes). */
export const CHECK_BUDGET = 65_535;

/** The conclusion of a check run. */
export type CheckConclusion = 'success' | 'failure' | 'neutral' | 'cancelled' | 'action_required';

/** The state of a check run. */
export type CheckState =
  | { readonly status: 'queued' | 'in_progress' }
  | { readonly status: 'completed'; readonly conclusion: CheckConclusion };

/** The content of a check run. */
export type CheckContent = CheckState & {
  /** The name in the list of checks and in branch protection. */
  readonly name: string;
  readonly title: string;
  /** Markdown, at most `CHECK_BUDGET`. */
  readonly summary: string;
  /** Markdown, at most `CHECK_BUDGET`. */
  readonly text?: string;
  readonly externalId?: string;
  /** Ignored for a workflow's own token: GitHub then links to its own page. */
  readonly detailsUrl?: string;
};

/** An existing check run of the token's own app. */
export interface Check {
  readonly id: number;
  readonly url: string;
  readonly externalId: string | null;
  readonly status: string;
  readonly conclusion: string | null;
  readonly title: string | null;
  readonly summary: string | null;
  readonly text: string | null;
}

/** The outcome of a write. Personal tokens, those of forks and those without `checks: write` are forbidden. */
export type CheckOutcome =
  | { readonly outcome: 'created' | 'updated'; readonly id: number; readonly url: string }
  | Forbidden;

/** The result of a search, newest first. */
export type CheckFinding =
  | { readonly outcome: 'found'; readonly checks: readonly Check[] }
  | Forbidden;

/** The check runs of a repository that belong to the token's app. */
export class Checks {
  readonly #client: GitHubClient;
  readonly #repository: Repository;
  readonly #wait: Sleep;

  constructor(client: GitHubClient, { owner, repo, wait }: Repository & { readonly wait?: Sleep }) {
    this.#client = client;
    this.#repository = { owner, repo };
    this.#wait = wait ?? sleepSeconds;
  }

  /**
   * Creates a check run on a commit.
   *
   * @throws Error if a part is too long; the API's error for anything but a lack of permission
   */
  async create(commit: string, content: CheckContent): Promise<CheckOutcome> {
    const parameters = buildParameters(content);
    return catchForbidden(async () => {
      const { data } = await retryUnknownCommit(
        () =>
          this.#client.request('POST /repos/{owner}/{repo}/check-runs', {
            ...this.#repository,
            head_sha: commit,
            ...parameters,
          }),
        this.#wait,
      );
      return { outcome: 'created', id: Number(data.id), url: data.html_url ?? '' };
    });
  }

  /**
   * Replaces the content of a check run; GitHub refuses those of other apps.
   *
   * @throws Error if a part is too long; the API's error for anything but a lack of permission
   */
  async update(id: number, content: CheckContent): Promise<CheckOutcome> {
    const parameters = buildParameters(content);
    return catchForbidden(async () => {
      const { data } = await this.#client.request(
        'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}',
        { ...this.#repository, check_run_id: id, ...parameters },
      );
      return { outcome: 'updated', id, url: data.html_url ?? '' };
    });
  }

  /**
   * Finds the check runs of this name on a commit that the token's app wrote, newest first. The app behind
   * `GITHUB_TOKEN` is GitHub Actions, so check runs of this name by other jobs of the repository, and GitHub's own
   * check run of a job of this name, are among them.
   *
   * @throws the API's error for anything but a lack of permission
   */
  async find({ commit, name }: { commit: string; name: string }): Promise<CheckFinding> {
    return catchForbidden(async () => {
      const [login, runs] = await Promise.all([
        findLogin(this.#client),
        this.#list({ commit, name }),
      ]);
      const checks = runs
        // The name is compared again, so that the result does not depend on the server's filter.
        .filter((run) => run.name === name && isOwn(run.app, login))
        .map(buildCheck)
        .sort((a, b) => b.id - a.id);
      return { outcome: 'found', checks };
    });
  }

  #list({ commit, name }: { commit: string; name: string }): Promise<CheckRun[]> {
    return retryUnknownCommit(
      () =>
        this.#client.paginate('GET /repos/{owner}/{repo}/commits/{ref}/check-runs', {
          ...this.#repository,
          ref: commit,
          check_name: name,
          filter: 'all',
          per_page: 100,
        }),
      this.#wait,
    );
  }
}

type CheckRun = components['schemas']['check-run'];

function isOwn(app: CheckRun['app'], login: string): boolean {
  return app?.slug !== undefined && `${app.slug}[bot]`.toLowerCase() === login;
}

function buildCheck(run: CheckRun): Check {
  return {
    id: Number(run.id),
    url: run.html_url ?? '',
    externalId: run.external_id,
    status: run.status,
    conclusion: run.conclusion,
    title: run.output.title,
    summary: run.output.summary,
    text: run.output.text,
  };
}

function buildParameters(content: CheckContent) {
  const { name, title, summary, text, externalId, detailsUrl } = content;
  checkLength(summary, { name, field: 'summary' });
  checkLength(text ?? '', { name, field: 'text' });
  return {
    name,
    status: content.status,
    ...(content.status === 'completed' ? { conclusion: content.conclusion } : {}),
    ...(externalId === undefined ? {} : { external_id: externalId }),
    ...(detailsUrl === undefined ? {} : { details_url: detailsUrl }),
    output: { title, summary, ...(text === undefined ? {} : { text }) },
  };
}

function checkLength(value: string, { name, field }: { name: string; field: string }): void {
  const length = Buffer.byteLength(value);
  if (length <= CHECK_BUDGET) return;
  throw new Error(
    `Check run ${JSON.stringify(name)}: its ${field} has ${length} bytes and GitHub allows ${CHECK_BUDGET}. Shorten it.`,
  );
}
