import * as core from '@actions/core';
import { EFFECTS, type Effect, nameLabel } from '../cluster/effect.ts';
import type { GitHubClient, Repository } from '../github/client.ts';
import { setLabels } from '../github/labels.ts';
import { readMessage } from '../messages/errors.ts';

/** A pull request by its number. */
export interface PullRequestRef {
  readonly repository: Repository;
  readonly number: number;
}

/**
 * Sets the labels that show in a list of pull requests what each would do. Labels that cannot be set are a warning and
 * never fail the job: the comment has the same facts.
 */
export class EffectLabels {
  readonly #client: GitHubClient;
  readonly #pullRequest: PullRequestRef | null;
  readonly #prefix: string | null;

  constructor(options: {
    client: GitHubClient;
    /** Null: there is no pull request. */
    pullRequest: PullRequestRef | null;
    /** Null: no labels are set. */
    prefix: string | null;
  }) {
    this.#client = options.client;
    this.#pullRequest = options.pullRequest;
    this.#prefix = options.prefix;
  }

  /** Sets the labels of these effects on the pull request, and removes those of all other effects. */
  async show(effects: readonly Effect[]): Promise<void> {
    const [pullRequest, prefix] = [this.#pullRequest, this.#prefix];
    if (pullRequest === null || prefix === null) return;
    const name = (effect: Effect) => nameLabel(prefix, effect);
    try {
      const labels = { own: EFFECTS.map(name), wanted: effects.map(name) };
      const result = await setLabels(this.#client, { ...pullRequest, ...labels });
      if (result.outcome === 'forbidden') {
        core.warning(
          `label-prefix: the token may not set labels here (${result.reason}). Give the job the permission pull-requests: write. A pull request from a fork gets a read-only token whatever the job asks for.`,
        );
      } else if (result.missing.length > 0) {
        const names = result.missing.map((label) => JSON.stringify(label)).join(', ');
        core.warning(
          `label-prefix: the repository has no label ${names}, and the token may not create labels. Create it once (Issues, Labels), or give the job the permission issues: write.`,
        );
      }
    } catch (error) {
      core.warning(
        `The labels could not be set (${readMessage(error)}). The comment has the same facts.`,
      );
    }
  }
}
