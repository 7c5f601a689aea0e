import { createHash } from 'node:crypto';
import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { type CommentPlace, StickyComment } from '../github/sticky-comment.ts';

/** The cluster's comment on a pull request. Without a place it is silent: the job summary has it all. */
export class Announcement {
  readonly #comment: StickyComment | null;
  #forbidden = false;

  constructor(client: GitHubClient, place: CommentPlace | null) {
    this.#comment = place && new StickyComment(client, place);
  }

  /** Creates or updates the comment; a token that may not is a warning, once. */
  async publish(body: string): Promise<void> {
    if (this.#comment === null || this.#forbidden) return;
    const result = await this.#comment.write(body);
    if (result.outcome === 'forbidden') {
      this.#forbidden = true;
      core.warning(
        `github-token: may not comment here (${result.reason}); a pull request from a fork gets a read-only token. The job summary has the whole report.`,
      );
      return;
    }
    core.setOutput('comment-id', result.id);
    core.setOutput('comment-url', result.url);
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
