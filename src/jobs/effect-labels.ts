import * as core from '@actions/core';
import { EFFECTS, type Effect, nameLabel } from '../cluster/effect.ts';
import type { GitHubClient, Repository } from '../github/client.ts';
import { setLabels } from '../github/labels.ts';
import { readMessage } from '../messages/errors.ts';

/**
 * The labels by which a list of pull requests shows what each would do. Labels that cannot be set are a warning and
 * never end the job: the comment says it all.
 */
export class EffectLabels {
  readonly #client: GitHubClient;
  readonly #place: { repository: Repository; number: number } | null;
  readonly #prefix: string | null;

  constructor(options: {
    client: GitHubClient;
    /** Null: there is no pull request. */
    place: { readonly repository: Repository; readonly number: number } | null;
    /** Null: labels are not wanted. */
    prefix: string | null;
  }) {
    this.#client = options.client;
    this.#place = options.place;
    this.#prefix = options.prefix;
  }

  /** Makes the pull request carry the labels of these effects, and none of the others'. */
  async show(effects: readonly Effect[]): Promise<void> {
    const [place, prefix] = [this.#place, this.#prefix];
    if (place === null || prefix === null) return;
    const name = (effect: Effect) => nameLabel(prefix, effect);
    try {
      const labels = { own: EFFECTS.map(name), wanted: effects.map(name) };
      const result = await setLabels(this.#client, { ...place, ...labels });
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
      core.warning(`The labels could not be set (${readMessage(error)}). The comment says it all.`);
    }
  }
}
