import * as core from '@actions/core';
import { type OpenCheck, saveCheck } from '../jobs/post-state.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import type { CheckView, ClusterChecks } from './cluster-checks.ts';
import { nameApply } from './record.ts';

/** What became of the deploys of a commit so far. */
export interface DeployHistory {
  /** One of them succeeded, whatever it applied. */
  readonly succeeded: boolean;
  /** The apply of the plan that was asked about has begun. */
  readonly begun: boolean;
}

const BEGUN: CheckView<null> = {
  report: null,
  title: () => 'applying …',
  summary: () => 'The apply has begun.',
};

/** The deploy of a commit, told of in a check run: that it has begun, so that it can be continued, and how it ended. */
export class DeployCheck {
  readonly #checks: ClusterChecks;
  readonly #key: string;
  #begun: OpenCheck | null = null;

  /** `key` signs that an apply has begun; empty: nothing is signed. */
  constructor(checks: ClusterChecks, key: string) {
    this.#checks = checks;
    this.#key = key;
  }

  /**
   * Says that the apply of a plan has begun: from now on what is left of it may be applied.
   *
   * @throws UserError where that cannot be said and `required` is set
   */
  async begin(
    commit: string,
    { digest, required }: { digest: string; required: boolean },
  ): Promise<void> {
    const failure = 'That the apply begins could not be kept with the commit';
    const externalId = this.#nameApply(commit, digest);
    const content = { status: 'in_progress', externalId } as const;
    const outcome = await this.#checks.create('deploy', { commit, failure, face: BEGUN, content });
    if (typeof outcome !== 'string') return this.#adopt({ id: outcome.id, externalId });
    if (!required) return;
    // A token that may only read finds the review, and would never spend it.
    const nextStep =
      outcome === 'forbidden'
        ? 'give the job the permission checks: write and run it again'
        : 'run the job again';
    throw new UserError(
      `${failure}. Without it no run could continue an apply that was interrupted, and the review could be applied twice. Nothing was changed; ${nextStep}.`,
    );
  }

  /**
   * Takes up the deploy that an earlier attempt began and did not bring to its end. If there is no such deploy, one begins
   * that has nothing to apply: once it succeeds, the review of this commit is spent like any other.
   */
  async resume(commit: string, digest: string): Promise<void> {
    try {
      const checks = await this.#checks.list('deploy', commit);
      if (checks === null || checks.some(({ conclusion }) => conclusion === 'success')) return;
      const [last] = checks;
      if (last === undefined) await this.begin(commit, { digest, required: false });
      else this.#adopt({ id: last.id, externalId: last.externalId ?? '' });
    } catch (error) {
      core.warning(`An earlier attempt could not be looked for (${readMessage(error)}).`);
    }
  }

  /** What became of the deploys of `commit`, and of the plan with this digest among them. */
  async readHistory(commit: string, digest: string): Promise<DeployHistory> {
    const checks = (await this.#checks.list('deploy', commit)) ?? [];
    const name = this.#nameApply(commit, digest);
    return {
      succeeded: checks.some(({ conclusion }) => conclusion === 'success'),
      begun: checks.some(({ externalId }) => externalId === name),
    };
  }

  /** Says how the deploy ended that `begin` announced. */
  async end<Report>(
    conclusion: 'success' | 'failure' | 'cancelled',
    face: CheckView<Report>,
  ): Promise<void> {
    if (this.#begun === null) return;
    const { id, externalId } = this.#begun;
    await this.#checks.update('deploy', {
      id,
      failure: 'How the deploy ended could not be shown with the commit',
      face,
      content: { status: 'completed', conclusion, externalId },
    });
    this.#begun = null;
    saveCheck(null);
  }

  #adopt({ id, externalId }: { id: number; externalId: string }): void {
    this.#begun = { id, name: this.#checks.name('deploy'), externalId };
    saveCheck(this.#begun);
  }

  #nameApply(commit: string, digest: string): string {
    return nameApply({ identity: this.#checks.identity, commit, digest }, this.#key);
  }
}
