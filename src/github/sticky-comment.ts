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

/** What became of a comment. */
export type CommentOutcome =
  | {
      readonly outcome: 'created' | 'updated' | 'unchanged';
      readonly id: number;
      readonly url: string;
      /** Whether there was no room for the whole body. */
      readonly shortened: boolean;
    }
  | Refusal
  /** The token may not comment here: a fork's pull request, missing permissions, a locked conversation. */
  | Forbidden;

/** Where a comment stands and which one it is. */
export interface CommentRef {
  readonly repository: Repository;
  /** Number of the pull request or issue. */
  readonly number: number;
  /** Tells this comment, or its section, from those of other clusters; letters, digits and `. _ : / -`. */
  readonly identity: string;
  /** The run that speaks; what a later one said stays. */
  readonly run: Run;
  /** One comment with a section a cluster, rather than a comment a cluster. */
  readonly shared: boolean;
}

/** How often to begin anew when something came in between. */
const MAX_ATTEMPTS = 6;

/** How often to write what is not there when it is read back. */
const MAX_WRITES = 3;

/**
 * One comment of ours per place, written again and again, by one job at a time. It is found by its marker
 * *and* its author. What a later run said stays.
 */
export class StickyComment {
  readonly #client: GitHubClient;
  readonly #place: CommentRef;
  readonly #layout: CommentComposer;
  readonly #timing: LeaseTiming;
  #known: ActionComment | undefined;

  constructor(
    client: GitHubClient,
    place: CommentRef,
    { timing = LEASE_TIMING }: { timing?: LeaseTiming } = {},
  ) {
    this.#client = client;
    this.#place = place;
    this.#layout = place.shared ? createSharedComposer() : createSingleComposer(place.identity);
    this.#timing = timing;
  }

  /**
   * Makes the comment (the section) say `body` (Markdown), or `short` where that does not fit; creates it
   * where there is none and leaves GitHub alone where it says so already.
   *
   * @throws the API's error for anything but a lack of permission; Error where other jobs keep it for too
   * long, or it is full
   */
  write(body: string, { short = null }: { short?: string | null } = {}): Promise<CommentOutcome> {
    return this.#say({ body, short, onlyOwn: false });
  }

  /** As `write`, but only in place of what this very run has said: a cancelled run ends its own words alone. */
  replaceOwn(
    body: string,
    { short = null }: { short?: string | null } = {},
  ): Promise<CommentOutcome> {
    return this.#say({ body, short, onlyOwn: true });
  }

  async #say(words: Omit<CommentEntry, 'identity' | 'run'>): Promise<CommentOutcome> {
    const { identity, run } = this.#place;
    const entry = { ...words, identity, run };
    for (let turn = 1; ; turn++) {
      try {
        return await this.#put(entry);
      } catch (error) {
        if (isForbidden(error)) return { outcome: 'forbidden', reason: error.message };
        if (!(error instanceof RetryableError)) throw error;
        if (turn === MAX_ATTEMPTS) throw error.cause;
        this.#known = undefined;
        await sleep(error.seconds * 1000 + this.#timing.pollMs * turn);
      }
    }
  }

  async #put(entry: CommentEntry): Promise<CommentOutcome> {
    const found = this.#known === undefined ? await this.#list() : [this.#known];
    const { text, refusal, shortened } = this.#compose(found, entry);
    const [oldest, ...younger] = found;
    if (younger.length === 0) {
      // Stamps only grow: what refuses now would do so later.
      if (refusal !== null) return refusal;
      if (oldest === undefined) return this.#create(entry, { text, shortened });
      if (isSameText(oldest.body, text)) return this.#give('unchanged', oldest, shortened);
    }
    return this.#edit(found, entry);
  }

  async #create(
    entry: CommentEntry,
    { text, shortened }: { text: string; shortened: boolean },
  ): Promise<CommentOutcome> {
    const { repository, number } = this.#place;
    const { data } = await this.#client.request(
      'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
      { ...repository, issue_number: number, body: text },
    );
    const own = { id: Number(data.id), url: data.html_url, body: text };
    // A job that runs at the same time may have created one as well: the oldest one stays.
    const all = await this.#list();
    if (!all.some(({ id }) => id !== own.id)) return this.#give('created', own, shortened);
    const result = await this.#edit(all, entry);
    return 'id' in result && result.id === own.id ? { ...result, outcome: 'created' } : result;
  }

  /** Writes into the oldest comment, moves into it what the younger ones say, and removes those. */
  async #edit(found: readonly ActionComment[], entry: CommentEntry): Promise<CommentOutcome> {
    try {
      return await this.#holdAll(found, (isSafe) => this.#editHeld(found, { entry, isSafe }));
    } catch (error) {
      // Somebody removed one since it was found.
      if (readStatus(error) === 404) throw new RetryableError(error);
      throw error;
    }
  }

  async #editHeld(
    found: readonly ActionComment[],
    { entry, isSafe }: { entry: CommentEntry; isSafe: () => boolean },
  ): Promise<CommentOutcome> {
    const { repository } = this.#place;
    let sent: string | null = null;
    for (let writes = 0; ; writes++) {
      const [oldest, ...younger] = await Promise.all(
        found.map(({ id }) => readComment(this.#client, { repository, id })),
      );
      if (oldest === undefined) throw new Error('A comment is edited that was not found.');
      const { text, refusal, shortened } = this.#compose([oldest, ...younger], entry);
      const isDone =
        isSameText(oldest.body, text) || (sent !== null && isSameText(oldest.body, sent));
      if ((!isDone || younger.length > 0) && !isSafe()) {
        throw new RetryableError(new Error(`Writing comment ${oldest.id} took too long.`));
      }
      if (isDone) {
        for (const { id } of younger) await removeComment(this.#client, { repository, id });
        return refusal ?? this.#give(writes > 0 ? 'updated' : 'unchanged', oldest, shortened);
      }
      if (writes === MAX_WRITES) {
        throw new Error(`Comment ${oldest.id} does not keep what is written to it.`);
      }
      // GitHub may show an older state for a moment. The next job reads only after it has shown the newest.
      await sleep(this.#timing.pollMs * writes);
      sent = await this.#send(oldest.id, text);
    }
  }

  /** In the order of their ages, so that nobody waits for who waits for them. */
  async #holdAll<T>(
    [first, ...rest]: readonly ActionComment[],
    work: (isSafe: () => boolean) => Promise<T>,
  ): Promise<T> {
    if (first === undefined) return work(() => true);
    const place = { repository: this.#place.repository, commentId: first.id, timing: this.#timing };
    return holdLease(this.#client, place, (lease) =>
      this.#holdAll(rest, (isSafe) => work(() => lease.isSafe() && isSafe())),
    );
  }

  /** Gives what GitHub made of it. Once: a write that is tried again later could arrive when the lease is another job's. */
  async #send(id: number, body: string): Promise<string> {
    try {
      const { data } = await this.#client.request(
        'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}',
        {
          ...this.#place.repository,
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
    return this.#layout.compose(
      found.map(({ body }) => body),
      entry,
    );
  }

  #list(): Promise<ActionComment[]> {
    const { repository, number } = this.#place;
    return listActionComments(this.#client, { repository, number, marker: this.#layout.marker });
  }

  #give(
    outcome: 'created' | 'updated' | 'unchanged',
    comment: ActionComment,
    shortened: boolean,
  ): CommentOutcome {
    this.#known = comment;
    return { outcome, id: comment.id, url: comment.url, shortened };
  }
}

/** Something came in between; the same from the beginning may work, after some seconds. */
class RetryableError extends Error {
  override readonly name = 'Interruption';
  readonly seconds: number;

  constructor(cause: unknown, seconds = 0) {
    super('The comment could not be written this time.', { cause });
    this.seconds = seconds;
  }
}
