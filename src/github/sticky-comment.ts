import { setTimeout as sleep } from 'node:timers/promises';
import { type ActionComment, isSameText, ONCE } from './action-comments.ts';
import { type Forbidden, type GitHubClient, isForbidden, type Repository } from './client.ts';
import { CommentAccess, RetryableError } from './comment-access.ts';
import {
  type CommentComposer,
  type CommentEntry,
  type ComposedComment,
  createSharedComposer,
  createSingleComposer,
  type Refusal,
} from './comment-composer.ts';
import { isSameRun, type Run } from './run-stamp.ts';
import { parseSections, type Section } from './section.ts';

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
  /** Another job of the same run keeps writing the text: only one job of a run should report on a cluster. */
  | { readonly outcome: 'contended' }
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
  /** Full SHA whose check runs record the sections of a shared comment; without it they are not recorded. */
  readonly commit?: string;
}

/** Durations in milliseconds. */
export interface CommentTiming {
  /** How long a run relies on what it read: another run may have written since. */
  readonly freshMs: number;
  /** Mean pause after which another job's write has arrived. */
  readonly settleMs: number;
}

/** The durations of real jobs. */
export const COMMENT_TIMING: CommentTiming = { freshMs: 30_000, settleMs: 2_000 };

/** Limit for starting over after a retryable error. */
const MAX_ATTEMPTS = 6;

/** Limit for repeating a write that is not read back. */
const MAX_WRITES = 6;

/**
 * The one comment of a cluster (or of all clusters) on a pull request or issue, updated in place. It is found by its marker
 * *and* its author. GitHub has no conditional write for comments, and nothing is locked:
 *
 * - An update of a report in progress is one call while the run's last look is recent. Of a shared comment it is read first.
 *   It may get lost.
 * - The last report is read before it is written, so that a run does not overwrite the text of a later one. It is read
 *   again afterwards if another job may write: of a shared comment, of one that this run did not write before, and of one
 *   that changed meanwhile. A text that is missing then is written again after a random pause.
 * - The last reports of all clusters of a shared comment are also in their check runs (`section-record.ts`). A job that
 *   overwrote another's section finds that out when it reads the comment again: it began to write before it looked.
 */
export class StickyComment {
  readonly #ref: CommentRef;
  readonly #composer: CommentComposer;
  readonly #access: CommentAccess;
  readonly #timing: CommentTiming;
  /** The reports in progress that this job sent. Another cluster's job may write one back. */
  readonly #shown = new Set<string>();

  constructor(
    client: GitHubClient,
    ref: CommentRef,
    { timing = COMMENT_TIMING }: { timing?: CommentTiming } = {},
  ) {
    const { repository, number, shared, commit = null } = ref;
    this.#ref = ref;
    this.#composer = shared ? createSharedComposer() : createSingleComposer(ref.identity);
    const place = { repository, number, marker: this.#composer.marker };
    this.#access = new CommentAccess(client, { ...place, commit: shared ? commit : null });
    this.#timing = timing;
  }

  /** Whether other clusters have sections in this comment. */
  get isShared(): boolean {
    return this.#ref.shared;
  }

  /**
   * Sets the comment (or the section) to the last report of this run: `body` (Markdown), or `short` if `body` does not fit.
   * Creates a missing comment, and sends nothing if the text is already there.
   *
   * @throws the API's error for anything but a lack of permission; Error if the comment does not keep the text, or is full
   */
  write(body: string, { short = null }: { short?: string | null } = {}): Promise<CommentOutcome> {
    return this.#settle({ body, short, onlyOwn: false });
  }

  /** Like `write`, but replaces only a text of the same run: a cancelled run must not touch other texts. */
  replaceOwn(
    body: string,
    { short = null }: { short?: string | null } = {},
  ): Promise<CommentOutcome> {
    return this.#settle({ body, short, onlyOwn: true });
  }

  /**
   * Sets the comment (or an existing section) to a report in progress, without retries. Not to be called while another write
   * is on its way.
   *
   * @throws the API's error for anything but a lack of permission; Error if the comment is full
   */
  async update(
    body: string,
    { short = null }: { short?: string | null } = {},
  ): Promise<CommentOutcome> {
    const { identity, run } = this.#ref;
    try {
      const entry = { identity, run, body, short, onlyOwn: false, isFinal: false };
      return await this.#updateOnce(entry);
    } catch (error) {
      this.#access.known = undefined;
      if (isForbidden(error)) return { outcome: 'forbidden', reason: error.message };
      throw error instanceof RetryableError ? error.cause : error;
    }
  }

  async #updateOnce(entry: CommentEntry): Promise<CommentOutcome> {
    const { known } = this.#access;
    const isCurrent = this.#access.isFresh(this.#timing.freshMs) && !this.isShared;
    const found =
      known !== undefined && isCurrent ? [known] : await this.#access.look({ attempt: ONCE });
    const { text, refusal, shortened } = this.#compose(found, entry);
    if (refusal !== null) return refusal;
    const part = this.#composer.readPart(text, this.#ref.identity);
    if (part !== null) this.#shown.add(part.body);
    const [oldest] = found;
    if (oldest !== undefined) {
      const isIdle = isSameText(oldest.body, text) || this.#lacksSection(oldest);
      if (isIdle) return this.#remember('unchanged', oldest, shortened);
      return this.#remember('updated', await this.#access.send(oldest, text), shortened);
    }
    const own = await this.#access.create(text, ONCE);
    const all = await this.#access.look({ own, attempt: ONCE });
    const [first = own] = all;
    if (first.id === own.id) return this.#remember('created', own, shortened);
    // A concurrent job created one as well: the oldest stays.
    const merged = this.#compose(all, entry);
    const sent = await this.#access.send(first, merged.text);
    await this.#access.remove(own);
    return merged.refusal ?? this.#remember('updated', sent, merged.shortened);
  }

  /** Whether the cluster has no section yet: its first one is its last report, as each write of a matrix's jobs counts. */
  #lacksSection({ body }: ActionComment): boolean {
    const { identity } = this.#ref;
    return this.isShared && !parseSections(body).some((section) => section.identity === identity);
  }

  async #settle(text: Pick<CommentEntry, 'body' | 'short' | 'onlyOwn'>): Promise<CommentOutcome> {
    const { identity, run } = this.#ref;
    const entry = { ...text, identity, run, isFinal: true };
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#settleOnce(entry);
      } catch (error) {
        if (isForbidden(error)) return { outcome: 'forbidden', reason: error.message };
        if (!(error instanceof RetryableError)) throw error;
        if (attempt === MAX_ATTEMPTS) throw error.cause;
        this.#access.known = undefined;
        await sleep(error.seconds * 1000 + (this.#timing.settleMs / 4) * attempt);
      }
    }
  }

  /** Writes until the comment has the text, and keeps it if other jobs may be writing. */
  async #settleOnce(entry: CommentEntry): Promise<CommentOutcome> {
    const access = this.#access;
    const before = access.known;
    let outcome: 'created' | 'updated' | 'unchanged' = 'unchanged';
    let own: ActionComment | null = null;
    let sent: ActionComment | null = null;
    let writes = 0;
    let isContended = false;
    /** Whether the last writes of others had time to arrive since this job's. */
    let isSettled = false;
    for (;;) {
      const [found, recorded] = await Promise.all([access.look({ own }), access.listRecorded()]);
      const { text, refusal, shortened } = this.#compose(found, entry, recorded);
      const [oldest, ...younger] = found;
      if (oldest === undefined) {
        if (refusal !== null) return refusal;
        own = await access.create(text);
        [outcome, sent] = ['created', own];
        continue;
      }
      if (own !== null && own.id !== oldest.id) {
        // A concurrent job created one as well: the oldest stays.
        await access.remove(own);
        [own, outcome, isContended] = [null, 'updated', true];
      }
      const isDone = isSameText(oldest.body, text) || this.#isKept(oldest, { sent, entry, text });
      const isAlone = before !== undefined && isSameText(oldest.body, before.body);
      const isMissing = writes > 0 && !isDone;
      const isLosable = writes > 0 && this.isShared && !isRecorded(recorded, entry);
      const isChanged = writes === 0 && !this.isShared && before !== undefined && !isAlone;
      // Another cluster recorded its report and has not written it yet: it may write this one as well.
      const isExpected = text !== this.#compose(found, entry).text;
      isContended ||= younger.length > 0 || isMissing || isLosable || isChanged || isExpected;
      if (isContended && !isSettled && (isDone || writes > 0 || isExpected)) {
        await sleep(this.#timing.settleMs * (0.5 + Math.random()));
        isSettled = true;
        // Other creators remove their own; those of jobs that died are still there then.
        if (younger.length > 0) access.known = undefined;
        continue;
      }
      if (isDone) {
        for (const other of younger) await access.remove(other);
        return refusal ?? this.#remember(outcome, oldest, shortened);
      }
      if (writes === MAX_WRITES) {
        // The job's own report stays: only what other clusters recorded is missing, and they write it themselves.
        const own = this.#compose([oldest], entry);
        if (isSameText(oldest.body, own.text)) {
          return own.refusal ?? this.#remember(outcome, oldest, own.shortened);
        }
        // Neither of the two jobs began later: the one that wrote last has the comment.
        if (this.#isOfOtherJob(oldest)) return { outcome: 'contended' };
        throw new Error(`Comment ${oldest.id} does not keep what is written to it.`);
      }
      sent = await access.send(oldest, text);
      if (outcome === 'unchanged') outcome = 'updated';
      writes += 1;
      isSettled = false;
      if (isAlone && !this.isShared && younger.length === 0) {
        return refusal ?? this.#remember(outcome, sent, shortened);
      }
      if (younger.length > 0) access.known = undefined;
    }
  }

  /** Whether the comment has what this job sent, which GitHub may store in another form, and no record has more. */
  #isKept(
    oldest: ActionComment,
    { sent, entry, text }: { sent: ActionComment | null; entry: CommentEntry; text: string },
  ): boolean {
    if (sent === null || !isSameText(oldest.body, sent.body)) return false;
    return this.#compose([oldest], entry).text === text;
  }

  /** Whether the comment's text, or the cluster's section of it, is of this run, but not what this job wrote before. */
  #isOfOtherJob({ body }: ActionComment): boolean {
    const { identity, run } = this.#ref;
    const part = this.#composer.readPart(body, identity);
    if (part === null || part.run === null || !isSameRun(part.run, run)) return false;
    return part.isFinal && !this.#shown.has(part.body);
  }

  #compose(
    found: readonly ActionComment[],
    entry: CommentEntry,
    recorded: readonly Section[] = [],
  ): ComposedComment {
    const texts = found.map(({ body }) => body);
    return this.#composer.compose(texts, entry, recorded);
  }

  #remember(
    outcome: 'created' | 'updated' | 'unchanged',
    comment: ActionComment,
    shortened: boolean,
  ): CommentOutcome {
    this.#access.known = comment;
    return { outcome, id: comment.id, url: comment.url, shortened };
  }
}

function isRecorded(recorded: readonly Section[], { identity, run }: CommentEntry): boolean {
  return recorded.some(
    (section) =>
      section.identity === identity && section.run !== null && isSameRun(section.run, run),
  );
}
