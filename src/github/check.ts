import type { components } from '@octokit/openapi-types';
import { catchForbidden, type Forbidden, type GitHubClient, type Repository } from './client.ts';
import { retryUnknownCommit, type Sleep, sleepSeconds } from './commit-retry.ts';
import { findLogin } from './login.ts';

/** Bytes that a summary or a text may have (GitHub documents characters, and counts bytes). */
export const CHECK_BUDGET = 65_535;

/** How a check run ended. */
export type CheckConclusion = 'success' | 'failure' | 'neutral' | 'cancelled' | 'action_required';

/** Where a check run stands. */
export type CheckState =
  | { readonly status: 'queued' | 'in_progress' }
  | { readonly status: 'completed'; readonly conclusion: CheckConclusion };

/** What a check run says. */
export type CheckContent = CheckState & {
  /** What people see in the list of checks, and branch protection refers to. */
  readonly name: string;
  readonly title: string;
  /** Markdown, at most `CHECK_BUDGET`. */
  readonly summary: string;
  /** Markdown, at most `CHECK_BUDGET`. */
  readonly text?: string;
  readonly externalId?: string;
  /** GitHub ignores it from a workflow's own token and shows its own page. */
  readonly detailsUrl?: string;
};

/** A check run as found; only ever one of our own app's. */
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

/** What became of a check run. A personal token may not write any, nor may a fork's or one without `checks: write`. */
export type CheckOutcome =
  | { readonly outcome: 'created' | 'updated'; readonly id: number; readonly url: string }
  | Forbidden;

/** What was found, newest first. */
export type CheckFinding =
  | { readonly outcome: 'found'; readonly checks: readonly Check[] }
  | Forbidden;

/** The check runs of a repository that our own app writes, each of which says something of a commit. */
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
   * @throws Error where a part is too long; the API's error for anything but a lack of permission
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
   * Makes a check run of our own app say something else; another app's is refused by GitHub.
   *
   * @throws Error where a part is too long; the API's error for anything but a lack of permission
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
   * The check runs of this name on a commit that our own app wrote, newest first. "Our own app" is the one
   * behind the token: with `GITHUB_TOKEN` that is GitHub Actions, so what other jobs of the repository wrote
   * under this name, and what GitHub itself writes for a job of this name, is in the list as well.
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
        // The name is compared again: nothing here rests on a filter of the server's.
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
