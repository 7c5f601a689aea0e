import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ActionComment,
  isSameText,
  listActionComments,
  readComment,
  removeComment,
} from './action-comments.ts';
import {
  type Forbidden,
  type GitHubClient,
  isForbidden,
  type Repository,
  readRetryAfter,
  readStatus,
} from './client.ts';
import {
  type CommentComposer,
  type CommentEntry,
  createSharedComposer,
  createSingleComposer,
  type Refusal,
} from './comment-composer.ts';
import { holdLease, LEASE_TIMING, type LeaseTiming } from './lease.ts';
import type { Run } from './run-stamp.ts';

/** The outcome of a write. */
export type CommentOutcome =
  | {
      readonly outcome: 'created' | 'updated' | 'unchanged';
      readonly id: number;
      readonly url: string;
      /** Whether the body was shortened. */
      readonly shortened: boolean;
    }
  | Refusal
  /** The token may not comment here: a fork's pull request, missing permissions, a locked conversation. */
  | Forbidden;

/** A comment of a pull request or issue, or a section of it. */
export interface CommentRef {
  readonly repository: Repository;
  /** Number of the pull request or issue. */
  readonly number: number;
  /** Identifies the cluster's comment or section; letters, digits and `. _ : / -`. */
  readonly identity: string;
  /** The run that writes. */
  readonly run: Run;
  /** Whether all clusters share a comment with a section each, instead of a comment each. */
  readonly shared: boolean;
}

/** Limit for starting over after a retryable error. */
const MAX_ATTEMPTS = 6;

/** Limit for repeating a write that is not read back. */
const MAX_WRITES = 3;

/**
 * The one comment of a cluster (or of all clusters) on a pull request or issue, updated in place by one job at a time.
 * It is found by its marker *and* its author. A run never overwrites the text of a later one.
 */
export class StickyComment {
  readonly #client: GitHubClient;
  readonly #ref: CommentRef;
  readonly #composer: CommentComposer;
  readonly #timing: LeaseTiming;
  #known: ActionComment | undefined;

  constructor(
    client: GitHubClient,
    ref: CommentRef,
    { timing = LEASE_TIMING }: { timing?: LeaseTiming } = {},
  ) {
    this.#client = client;
    this.#ref = ref;
    this.#composer = ref.shared ? createSharedComposer() : createSingleComposer(ref.identity);
    this.#timing = timing;
  }

  /**
   * Sets the comment (or the section) to `body` (Markdown), or to `short` if `body` does not fit. Creates a missing
   * comment, and sends nothing if the text is already there.
   *
   * @throws the API's error for anything but a lack of permission; Error if other jobs hold it for too long, or it is
   * full
   */
  write(body: string, { short = null }: { short?: string | null } = {}): Promise<CommentOutcome> {
    return this.#writeEntry({ body, short, onlyOwn: false });
  }

  /** Like `write`, but replaces only a text of the same run: a cancelled run must not touch other texts. */
  replaceOwn(
    body: string,
    { short = null }: { short?: string | null } = {},
  ): Promise<CommentOutcome> {
    return this.#writeEntry({ body, short, onlyOwn: true });
  }

  async #writeEntry(text: Omit<CommentEntry, 'identity' | 'run'>): Promise<CommentOutcome> {
    const { identity, run } = this.#ref;
    const entry = { ...text, identity, run };
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#writeOnce(entry);
      } catch (error) {
        if (isForbidden(error)) return { outcome: 'forbidden', reason: error.message };
        if (!(error instanceof RetryableError)) throw error;
        if (attempt === MAX_ATTEMPTS) throw error.cause;
        this.#known = undefined;
        await sleep(error.seconds * 1000 + this.#timing.pollMs * attempt);
      }
    }
  }

  async #writeOnce(entry: CommentEntry): Promise<CommentOutcome> {
    const found = this.#known === undefined ? await this.#list() : [this.#known];
    const { text, refusal, shortened } = this.#compose(found, entry);
    const [oldest, ...younger] = found;
    if (younger.length === 0) {
      // Stamps only grow, so a refusal is final.
      if (refusal !== null) return refusal;
      if (oldest === undefined) return this.#create(entry, { text, shortened });
      if (isSameText(oldest.body, text)) return this.#remember('unchanged', oldest, shortened);
    }
    return this.#edit(found, entry);
  }

  async #create(
    entry: CommentEntry,
    { text, shortened }: { text: string; shortened: boolean },
  ): Promise<CommentOutcome> {
    const { repository, number } = this.#ref;
    const { data } = await this.#client.request(
      'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
      { ...repository, issue_number: number, body: text },
    );
    const own = { id: Number(data.id), url: data.html_url, body: text };
    // A concurrent job may have created one as well: the oldest stays.
    const all = await this.#list();
    if (!all.some(({ id }) => id !== own.id)) return this.#remember('created', own, shortened);
    const result = await this.#edit(all, entry);
    return 'id' in result && result.id === own.id ? { ...result, outcome: 'created' } : result;
  }

  /** Writes the oldest comment, merges the younger ones into it, and removes them. */
  async #edit(found: readonly ActionComment[], entry: CommentEntry): Promise<CommentOutcome> {
    try {
      return await this.#holdAll(found, (isSafe) => this.#editHeld(found, { entry, isSafe }));
    } catch (error) {
      // A comment was deleted since it was found.
      if (readStatus(error) === 404) throw new RetryableError(error);
      throw error;
    }
  }

  async #editHeld(
    found: readonly ActionComment[],
    { entry, isSafe }: { entry: CommentEntry; isSafe: () => boolean },
  ): Promise<CommentOutcome> {
    const { repository } = this.#ref;
    let sent: string | null = null;
    for (let writes = 0; ; writes++) {
      const [oldest, ...younger] = await Promise.all(
        found.map(({ id }) => readComment(this.#client, { repository, id })),
      );
      if (oldest === undefined) throw new Error('Called without a comment to edit.');
      const { text, refusal, shortened } = this.#compose([oldest, ...younger], entry);
      const isDone =
        isSameText(oldest.body, text) || (sent !== null && isSameText(oldest.body, sent));
      if ((!isDone || younger.length > 0) && !isSafe()) {
        throw new RetryableError(new Error(`Writing comment ${oldest.id} took too long.`));
      }
      if (isDone) {
        for (const { id } of younger) await removeComment(this.#client, { repository, id });
        return refusal ?? this.#remember(writes > 0 ? 'updated' : 'unchanged', oldest, shortened);
      }
      if (writes === MAX_WRITES) {
        throw new Error(`Comment ${oldest.id} does not keep what is written to it.`);
      }
      // GitHub may return an older text for a moment. The lease is kept until it returns the newest.
      await sleep(this.#timing.pollMs * writes);
      sent = await this.#send(oldest.id, text);
    }
  }

  /** Takes the leases in the order of the comments' ages, which excludes deadlocks. */
  async #holdAll<T>(
    [first, ...rest]: readonly ActionComment[],
    work: (isSafe: () => boolean) => Promise<T>,
  ): Promise<T> {
    if (first === undefined) return work(() => true);
    const comment = { repository: this.#ref.repository, commentId: first.id, timing: this.#timing };
    return holdLease(this.#client, comment, (lease) =>
      this.#holdAll(rest, (isSafe) => work(() => lease.isSafe() && isSafe())),
    );
  }

  /** Sends a text once, as a retry could arrive under another job's lease. Returns the stored text. */
  async #send(id: number, body: string): Promise<string> {
    try {
      const { data } = await this.#client.request(
        'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}',
        {
          ...this.#ref.repository,
          comment_id: id,
          body,
          request: { retries: 0 },
        },
      );
      return data.body ?? body;
    } catch (error) {
      const seconds = readRetryAfter(error);
      if (seconds !== null) throw new RetryableError(error, seconds);
      if (readStatus(error) >= 500) throw new RetryableError(error);
      throw error;
    }
  }

  #compose(found: readonly ActionComment[], entry: CommentEntry) {
    return this.#composer.compose(
      found.map(({ body }) => body),
      entry,
    );
  }

  #list(): Promise<ActionComment[]> {
    const { repository, number } = this.#ref;
    return listActionComments(this.#client, { repository, number, marker: this.#composer.marker });
  }

  #remember(
    outcome: 'created' | 'updated' | 'unchanged',
    comment: ActionComment,
    shortened: boolean,
  ): CommentOutcome {
    this.#known = comment;
    return { outcome, id: comment.id, url: comment.url, shortened };
  }
}

/** An error after which starting over, `seconds` later, may succeed. */
class RetryableError extends Error {
  override readonly name = 'RetryableError';
  readonly seconds: number;

  constructor(cause: unknown, seconds = 0) {
    super('The comment could not be written this time.', { cause });
    this.seconds = seconds;
  }
}
