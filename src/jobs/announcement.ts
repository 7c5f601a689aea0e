import { createHash } from 'node:crypto';
import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { type CommentPlace, StickyComment } from '../github/sticky-comment.ts';

/**
 * What a job tells people: the cluster's comment on a pull request, where there is one, and the job summary.
 * Secrets are hidden in both. A comment that cannot be written is a warning and never ends the job: the
 * database matters more.
 */
export class Announcement {
  readonly #comment: StickyComment | null;
  readonly #redact: (text: string) => string;
  #forbidden = false;

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

  /** Makes the comment say this Markdown. */
  async publish(body: string): Promise<void> {
    if (this.#comment === null || this.#forbidden) return;
    try {
      const result = await this.#comment.write(this.#redact(body));
      if (result.outcome === 'forbidden') {
        // Once is enough.
        this.#forbidden = true;
        core.warning(
          `github-token: may not comment here (${result.reason}); a pull request from a fork gets a read-only token. The job summary has the whole report.`,
        );
        return;
      }
      core.setOutput('comment-id', result.id);
      core.setOutput('comment-url', result.url);
    } catch (error) {
      core.warning(
        `The comment could not be written (${error instanceof Error ? error.message : String(error)}). The job goes on; its summary has the report.`,
      );
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
