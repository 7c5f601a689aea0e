import { setTimeout as sleep } from 'node:timers/promises';
import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { type CommentOutcome, type CommentRef, StickyComment } from '../github/sticky-comment.ts';
import { readMessage } from '../messages/errors.ts';
import { type Redact, renderRedacted } from '../report/redact.ts';

/** A comment's Markdown without secrets, and its short form for a comment without room. */
export interface ReportText {
  readonly body: string;
  readonly short: string | null;
}

/** Renders a report as a comment's Markdown; `short` for a comment without room. */
export interface ReportRenderers<Report> {
  readonly body: (report: Report) => string;
  readonly short?: (report: Report) => string;
}

/** Between two updates of a report in progress, in ms: what changes within it needs no write of its own. */
const UPDATE_GAP_MS = { own: 2_000, shared: 20_000 };
/** Within this time the jobs of a matrix begin to write their shared comment, in ms. */
const SPREAD_MS = 2_000;

/**
 * Publishes a job's reports: in the cluster's comment on a pull request, if there is one, and in the job summary. Both
 * render the report after secrets are hidden in it. A comment that cannot be written is a warning and never fails the
 * job: the database matters more.
 *
 * Reports in progress are written beside the work, the newest one only, and nothing waits for them. The last report waits
 * for the update that is on its way, so that no update overwrites it, and takes the place of a newer one.
 */
export class Announcement {
  readonly #comment: StickyComment | null;
  readonly #redact: Redact;
  /** Set once GitHub permanently refuses the comment. */
  #isSilenced = false;
  readonly #warned = new Set<string>();
  #undelivered: ReportText | null = null;
  /** The report in progress that is to be written. */
  #pending: ReportText | null = null;
  #updating: Promise<void> | null = null;
  #stopUpdating = new AbortController();
  /** The outcome of an update that ended them: while a tool's output is logged, workflow commands have no effect. */
  #unlogged: CommentOutcome | null = null;

  constructor(options: {
    client: GitHubClient;
    /** Null: there is no pull request to comment on. */
    comment: CommentRef | null;
    redact: Redact;
  }) {
    const { client, comment, redact } = options;
    this.#comment = comment && new StickyComment(client, comment);
    this.#redact = redact;
  }

  /** Writes a report in progress into the comment, beside the work: it returns at once. */
  show<Report>(report: Report, renderers: ReportRenderers<Report>): void {
    if (this.#comment === null || this.#isSilenced) return;
    this.#pending = this.render(report, renderers);
    this.#updating ??= this.#update(this.#comment).finally(() => {
      this.#updating = null;
    });
  }

  /**
   * Writes the last report into the comment, or its short form if there is no room. `recorded`: settles once the cluster's
   * check run has the report, which a shared comment relies on.
   */
  async publish<Report>(
    report: Report,
    renderers: ReportRenderers<Report>,
    recorded?: Promise<unknown>,
  ): Promise<void> {
    const text = this.render(report, renderers);
    await this.#endUpdates();
    if (this.#comment?.isShared) await recorded;
    await this.#deliver(text, (comment) => comment.write(text.body, { short: text.short }));
  }

  /** Like `publish`, but only if this run wrote the comment last: completes its own report. */
  async finish<Report>(report: Report, renderers: ReportRenderers<Report>): Promise<void> {
    const text = this.render(report, renderers);
    await this.#endUpdates();
    await this.#deliver(text, (comment) => comment.replaceOwn(text.body, { short: text.short }));
  }

  /** The latest report if GitHub failed to accept it; null if GitHub has it or permanently refuses it. */
  get undelivered(): ReportText | null {
    return this.#undelivered;
  }

  /** Renders a report as it is published. */
  render<Report>(report: Report, { body, short }: ReportRenderers<Report>): ReportText {
    const redact = this.#redact;
    return {
      body: renderRedacted(report, { render: body, redact }),
      short: short === undefined ? null : renderRedacted(report, { render: short, redact }),
    };
  }

  /** Writes the newest report until no other is waiting. */
  async #update(comment: StickyComment): Promise<void> {
    const { signal } = this.#stopUpdating;
    const pause = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => {});
    // The jobs of a matrix begin together: one creates a shared comment, and the others find it.
    if (comment.isShared) await pause(Math.random() * SPREAD_MS);
    while (this.#pending !== null && !this.#isSilenced) {
      const text = this.#pending;
      this.#pending = null;
      try {
        const result = await comment.update(text.body, { short: text.short });
        if (result.outcome === 'forbidden' || result.outcome === 'superseded') {
          this.#isSilenced = true;
          this.#unlogged = result;
        } else {
          this.#logOutcome(result);
        }
      } catch (error) {
        core.info(
          `The comment could not be updated (${readMessage(error)}). The next report replaces this one.`,
        );
      }
      await pause(comment.isShared ? UPDATE_GAP_MS.shared : UPDATE_GAP_MS.own);
    }
  }

  /** Waits for the update that is on its way; none follows it. */
  async #endUpdates(): Promise<void> {
    this.#pending = null;
    this.#stopUpdating.abort();
    await this.#updating;
    this.#stopUpdating = new AbortController();
    if (this.#unlogged !== null) this.#logOutcome(this.#unlogged);
    this.#unlogged = null;
  }

  async #deliver(
    text: ReportText,
    write: (comment: StickyComment) => Promise<CommentOutcome>,
  ): Promise<void> {
    if (this.#comment === null || this.#isSilenced) return;
    try {
      this.#undelivered = null;
      this.#logOutcome(await write(this.#comment));
    } catch (error) {
      this.#undelivered = text;
      this.#warn(
        `The comment could not be written (${readMessage(error)}). The job continues; its summary has the report.`,
      );
    }
  }

  /** Warns once per job, however many reports fail. */
  #warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    core.warning(message);
  }

  #logOutcome(result: CommentOutcome): void {
    switch (result.outcome) {
      case 'forbidden':
        this.#isSilenced = true;
        core.warning(
          `github-token: may not comment here (${result.reason}); a pull request from a fork, or by Dependabot, gets a read-only token. The job summary has the whole report.`,
        );
        return;
      case 'superseded':
        this.#isSilenced = true;
        core.info(
          `The comment is left as it is: run ${result.by}, which began later, has written it.`,
        );
        return;
      case 'contended':
        this.#isSilenced = true;
        core.warning(
          'The comment is left as it is: another job of this run, or something that edits comments, keeps changing it. Let only one job of a run plan or deploy a cluster. The job summary has the whole report.',
        );
        return;
      case 'foreign':
        core.info(
          result.by === null
            ? 'There is no comment of this run to finish.'
            : `The comment is left as it is: it is of run ${result.by}.`,
        );
        return;
      default:
        if (result.shortened) {
          core.info('The comment has no room for the whole report; the job summary has it.');
        }
        core.setOutput('comment-id', result.id);
        core.setOutput('comment-url', result.url);
    }
  }

  /** Replaces the job summary with a report, rendered as Markdown. */
  async summarize<Report>(report: Report, render: (report: Report) => string): Promise<void> {
    const markdown = renderRedacted(report, { render, redact: this.#redact });
    try {
      await core.summary.emptyBuffer().addRaw(markdown, true).write({ overwrite: true });
    } catch (error) {
      // The outcome of the job must not depend on its summary.
      this.#warn(`The job summary could not be written (${readMessage(error)}).`);
    }
  }
}
