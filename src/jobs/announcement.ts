import { createHash } from 'node:crypto';
import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { type CommentOutcome, type CommentRef, StickyComment } from '../github/sticky-comment.ts';
import { type Redact, renderRedacted } from '../report/redact.ts';

/** A comment's Markdown without secrets, and what stands for it where there is no room. */
export interface ReportText {
  readonly body: string;
  readonly short: string | null;
}

/** How a report becomes a comment's Markdown; `short` is what stands for it where there is no room. */
export interface ReportRenderers<Report> {
  readonly body: (report: Report) => string;
  readonly short?: (report: Report) => string;
}

/**
 * What a job tells people: the cluster's comment on a pull request, where there is one, and the job summary.
 * Both take a report and how to render it, so that secrets are hidden before. A comment that cannot be written is a warning and never ends the job: the
 * database matters more.
 */
export class Announcement {
  readonly #comment: StickyComment | null;
  readonly #redact: Redact;
  /** Once is enough. */
  #silent = false;
  readonly #warned = new Set<string>();
  #unsaid: ReportText | null = null;

  constructor(options: {
    client: GitHubClient;
    /** Null: no pull request to comment on. */
    place: CommentRef | null;
    redact: Redact;
  }) {
    const { client, place, redact } = options;
    this.#comment = place && new StickyComment(client, place);
    this.#redact = redact;
  }

  /** Makes the comment say a report, or its short form where there is no room for all of it. */
  async publish<Report>(report: Report, form: ReportRenderers<Report>): Promise<void> {
    const words = this.#render(report, form);
    await this.#speak(words, (comment) => comment.write(words.body, { short: words.short }));
  }

  /** As `publish`, but only where the comment still is this run's: an end to what it was saying. */
  async finish<Report>(report: Report, form: ReportRenderers<Report>): Promise<void> {
    const words = this.#render(report, form);
    await this.#speak(words, (comment) => comment.replaceOwn(words.body, { short: words.short }));
  }

  /** The latest words, where GitHub failed to take them; null where it has them or refuses them for good. */
  get undelivered(): ReportText | null {
    return this.#unsaid;
  }

  #render<Report>(report: Report, { body, short }: ReportRenderers<Report>): ReportText {
    const redact = this.#redact;
    return {
      body: renderRedacted(report, { render: body, redact }),
      short: short === undefined ? null : renderRedacted(report, { render: short, redact }),
    };
  }

  async #speak(
    words: ReportText,
    say: (comment: StickyComment) => Promise<CommentOutcome>,
  ): Promise<void> {
    if (this.#comment === null || this.#silent) return;
    try {
      this.#unsaid = null;
      this.#tell(await say(this.#comment));
    } catch (error) {
      this.#unsaid = words;
      this.#warn(
        `The comment could not be written (${error instanceof Error ? error.message : String(error)}). The job goes on; its summary has the report.`,
      );
    }
  }

  /** A job has several things to say; that it cannot is said once. */
  #warn(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    core.warning(message);
  }

  #tell(result: CommentOutcome): void {
    switch (result.outcome) {
      case 'forbidden':
        this.#silent = true;
        core.warning(
          `github-token: may not comment here (${result.reason}); a pull request from a fork, or by Dependabot, gets a read-only token. The job summary has the whole report.`,
        );
        return;
      case 'superseded':
        this.#silent = true;
        core.info(
          `The comment is left as it is: run ${result.by}, which began later, has written it.`,
        );
        return;
      case 'foreign':
        core.info(
          result.by === null
            ? 'There is no comment of this run to be finished.'
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

  /** Makes the job summary say a report, rendered as Markdown. */
  async summarize<Report>(report: Report, render: (report: Report) => string): Promise<void> {
    const markdown = renderRedacted(report, { render, redact: this.#redact });
    await core.summary.emptyBuffer().addRaw(markdown, true).write({ overwrite: true });
  }
}

/**
 * Tells the comments of several clusters on one pull request apart. Two clusters may share a name as long
 * as region or folder differ; a hash keeps whatever a folder is called out of the marker.
 */
export function identifyComment(cluster: {
  name: string;
  region: string;
  /** Relative to the workspace. */
  directory: string;
  /** Path of the cluster file; null: there is none. */
  file: string | null;
}): string {
  const { name, region, directory, file } = cluster;
  const hash = createHash('sha256')
    .update(JSON.stringify([name, region, directory, ...(file === null ? [] : [file])]))
    .digest('hex');
  return `${name}/${hash.slice(0, 12)}`;
}
