import { createHash } from 'node:crypto';
import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { type CommentOutcome, type CommentPlace, StickyComment } from '../github/sticky-comment.ts';

/** A comment's Markdown without secrets, and what stands for it where there is no room. */
export interface Words {
  readonly body: string;
  readonly short: string | null;
}

/**
 * What a job tells people: the cluster's comment on a pull request, where there is one, and the job summary.
 * Secrets are hidden in both. A comment that cannot be written is a warning and never ends the job: the
 * database matters more.
 */
export class Announcement {
  readonly #comment: StickyComment | null;
  readonly #redact: (text: string) => string;
  /** Once is enough. */
  #silent = false;
  readonly #warned = new Set<string>();
  #unsaid: Words | null = null;

  constructor(options: {
    client: GitHubClient;
    /** Null: no pull request to comment on. */
    place: CommentPlace | null;
    redact: (text: string) => string;
  }) {
    const { client, place, redact } = options;
    this.#comment = place && new StickyComment(client, place);
    this.#redact = redact;
  }

  /** Makes the comment say this Markdown, or `short` where there is no room for it. */
  async publish(body: string, { short = null }: { short?: string | null } = {}): Promise<void> {
    const words = this.#clean(body, short);
    await this.#speak(words, (comment) => comment.write(words.body, { short: words.short }));
  }

  /** As `publish`, but only where the comment still is this run's: an end to what it was saying. */
  async finish(body: string, { short = null }: { short?: string | null } = {}): Promise<void> {
    const words = this.#clean(body, short);
    await this.#speak(words, (comment) => comment.finish(words.body, { short: words.short }));
  }

  /** The latest words, where GitHub failed to take them; null where it has them or refuses them for good. */
  get unsaid(): Words | null {
    return this.#unsaid;
  }

  #clean(body: string, short: string | null): Words {
    return { body: this.#redact(body), short: short === null ? null : this.#redact(short) };
  }

  async #speak(
    words: Words,
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

  /** Makes the job summary say this Markdown. */
  async summarize(markdown: string): Promise<void> {
    await core.summary
      .emptyBuffer()
      .addRaw(this.#redact(markdown), true)
      .write({ overwrite: true });
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
}): string {
  const { name, region, directory } = cluster;
  const hash = createHash('sha256')
    .update(JSON.stringify([name, region, directory]))
    .digest('hex');
  return `${name}/${hash.slice(0, 12)}`;
}
