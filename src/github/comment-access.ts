import {
  type ActionComment,
  listActionComments,
  type RequestOptions,
  readComment,
  removeComment,
} from './action-comments.ts';
import { type GitHubClient, type Repository, readRetryAfter, readStatus } from './client.ts';
import type { Section } from './section.ts';
import { listRecords } from './section-record.ts';

/** Where a comment is, and where its sections are recorded. */
export interface CommentPlace {
  readonly repository: Repository;
  /** Number of the pull request or issue. */
  readonly number: number;
  /** The first line of the comment. */
  readonly marker: string;
  /** Full SHA whose check runs record the sections; null: they are not recorded. */
  readonly commit: string | null;
}

/** Reads and writes the comments with a marker, and remembers the one that stays. */
export class CommentAccess {
  readonly #client: GitHubClient;
  readonly #place: CommentPlace;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** As it was last read or written; undefined: to be looked for. */
  known: ActionComment | undefined;

  constructor(client: GitHubClient, place: CommentPlace) {
    this.#client = client;
    this.#place = place;
  }

  /** Whether the comment was read within the last `ms`. */
  isFresh(ms: number): boolean {
    return performance.now() - this.#lookedAt < ms;
  }

  /**
   * Reads the known comment, or lists all of them, oldest first. `own`: one that was just created, which GitHub's list may
   * lack for a moment; all are listed.
   *
   * @throws RetryableError; the API's errors
   */
  async look({
    own = null,
    attempt,
  }: {
    own?: ActionComment | null;
    attempt?: RequestOptions;
  } = {}): Promise<ActionComment[]> {
    const { repository, number, marker } = this.#place;
    const options = { repository, ...(attempt && { attempt }) };
    const { known } = this;
    const found = await (known === undefined || own !== null
      ? listActionComments(this.#client, { ...options, number, marker })
      : retryable(async () => [await readComment(this.#client, { ...options, id: known.id })]));
    const all = own === null || found.some(({ id }) => id === own.id) ? found : [...found, own];
    this.known = all[0];
    this.#lookedAt = performance.now();
    return all;
  }

  /** Lists the recorded sections; nothing if that fails, as the comment has the same. */
  async listRecorded(): Promise<Section[]> {
    const { commit, ...place } = this.#place;
    if (commit === null) return [];
    return listRecords(this.#client, { ...place, commit }).catch(() => []);
  }

  /** Creates a comment. @throws the API's errors */
  async create(body: string, attempt?: RequestOptions): Promise<ActionComment> {
    const { repository, number } = this.#place;
    const { data } = await this.#client.request(
      'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
      { ...repository, issue_number: number, body, ...attempt },
    );
    return { id: Number(data.id), url: data.html_url, body: data.body ?? body };
  }

  /**
   * Sends a text once, as a retry could overwrite a later run's. Returns the stored comment.
   *
   * @throws RetryableError; the API's errors
   */
  async send({ id, url }: ActionComment, body: string): Promise<ActionComment> {
    const { data } = await retryable(() =>
      this.#client.request('PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}', {
        ...this.#place.repository,
        comment_id: id,
        body,
        request: { retries: 0 },
      }),
    );
    return { id, url, body: data.body ?? body };
  }

  /** Removes a comment, if it still exists. @throws the API's errors */
  remove({ id }: ActionComment): Promise<void> {
    return removeComment(this.#client, { repository: this.#place.repository, id });
  }
}

/** An error after which starting over, `seconds` later, may succeed. */
export class RetryableError extends Error {
  override readonly name = 'RetryableError';
  readonly seconds: number;

  constructor(cause: unknown, seconds = 0) {
    super('The comment could not be written this time.', { cause });
    this.seconds = seconds;
  }
}

async function retryable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const seconds = readRetryAfter(error);
    if (seconds !== null) throw new RetryableError(error, seconds);
    // 404: the comment was deleted since it was found.
    if (readStatus(error) >= 500 || readStatus(error) === 404) throw new RetryableError(error);
    throw error;
  }
}
