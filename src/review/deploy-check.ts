import * as core from '@actions/core';
import { readMessage, UserError } from '../messages/errors.ts';
import { warn } from '../runner/log-group.ts';
import type { CheckView, ClusterChecks } from './cluster-checks.ts';
import { nameApply } from './record.ts';

/** The outcome of a commit's deploys so far. */
export interface DeployHistory {
  /** A deploy succeeded, whatever it applied. */
  readonly succeeded: boolean;
  /** The apply of the plan in question has begun. */
  readonly begun: boolean;
}

/** How a deploy ended; `neutral`: its time was over while nodes still worked, and another run has to finish it. */
export type DeployConclusion = 'success' | 'failure' | 'cancelled' | 'neutral';

/** A check run that must be completed. */
export interface OpenCheck {
  readonly id: number;
  readonly name: string;
  readonly externalId: string;
}

const BEGUN: CheckView<null> = {
  report: null,
  title: () => 'applying …',
  summary: () => 'The apply has begun.',
};

/**
 * The check run of a commit's deploy. It shows that the deploy has begun, so that a later run can continue it, and how it
 * ended.
 */
export class DeployCheck {
  readonly #checks: ClusterChecks;
  readonly #key: string;
  readonly #onChange: (open: OpenCheck | null) => void;
  #open: OpenCheck | null = null;
  #resuming: Promise<void> = Promise.resolve();

  constructor(options: {
    checks: ClusterChecks;
    /** Signs that an apply has begun; empty: unsigned. */
    key: string;
    /** Gets the check run when it opens, and null when it is completed. */
    onChange?: (open: OpenCheck | null) => void;
  }) {
    this.#checks = options.checks;
    this.#key = options.key;
    this.#onChange = options.onChange ?? (() => {});
  }

  /**
   * Records that the apply of a plan has begun: from now on, the rest of the plan may be applied.
   *
   * @throws UserError if the record fails and `required` is set
   */
  async begin(
    commit: string,
    { digest, required }: { digest: string; required: boolean },
  ): Promise<void> {
    const failure = 'The start of the apply could not be recorded with the commit';
    const externalId = this.#nameApply(commit, digest);
    const content = { status: 'in_progress', externalId } as const;
    const outcome = await this.#checks.create('deploy', { commit, failure, view: BEGUN, content });
    if (typeof outcome !== 'string') return this.#adopt({ id: outcome.id, externalId });
    if (!required) return;
    // A read-only token finds the review, but could never record that it was applied.
    const nextStep =
      outcome === 'forbidden'
        ? 'give the job the permission checks: write and run it again'
        : 'run the job again';
    throw new UserError(
      `${failure}. Without it no run could continue an apply that was interrupted, and the review could be applied twice. Nothing was changed; ${nextStep}.`,
    );
  }

  /**
   * Resumes the deploy that an earlier attempt began and did not complete. Without one, begins a deploy that applies
   * nothing: once it succeeds, the review of this commit cannot be applied again. `end` waits for it; nothing else has to.
   */
  resume(commit: string, digest: string): Promise<void> {
    this.#resuming = this.#resume(commit, digest);
    return this.#resuming;
  }

  async #resume(commit: string, digest: string): Promise<void> {
    try {
      const checks = await this.#checks.list('deploy', commit);
      if (checks === null || checks.some(({ conclusion }) => conclusion === 'success')) return;
      const [last] = checks;
      if (last === undefined) await this.begin(commit, { digest, required: false });
      else this.#adopt({ id: last.id, externalId: last.externalId ?? '' });
    } catch (error) {
      warn(`An earlier attempt could not be looked for (${readMessage(error)}).`);
    }
  }

  /** Reads whether a deploy of `commit` succeeded, and whether the apply of the plan with this digest has begun. */
  async readHistory(commit: string, digest: string): Promise<DeployHistory> {
    const checks = (await this.#checks.list('deploy', commit)) ?? [];
    const name = this.#nameApply(commit, digest);
    return {
      succeeded: checks.some(({ conclusion }) => conclusion === 'success'),
      begun: checks.some(({ externalId }) => externalId === name),
    };
  }

  /** Returns whether the last deploy of `commit` ended while nodes still worked; false if the token may not read that. */
  async isContinuing(commit: string): Promise<boolean> {
    // A job that only looks for drift needs no such permission.
    const [last] = (await this.#checks.list('deploy', commit, core.info)) ?? [];
    return last?.conclusion === 'neutral';
  }

  /** Completes the check run that `begin` or `resume` opened. */
  async end<Report>(conclusion: DeployConclusion, view: CheckView<Report>): Promise<void> {
    await this.#resuming;
    if (this.#open === null) return;
    const { id, externalId } = this.#open;
    await this.#checks.update('deploy', {
      id,
      failure: 'The end of the deploy could not be recorded with the commit',
      view,
      content: { status: 'completed', conclusion, externalId },
    });
    this.#open = null;
    this.#onChange(null);
  }

  #adopt({ id, externalId }: { id: number; externalId: string }): void {
    this.#open = { id, name: this.#checks.name('deploy'), externalId };
    this.#onChange(this.#open);
  }

  #nameApply(commit: string, digest: string): string {
    return nameApply({ identity: this.#checks.identity, commit, digest }, this.#key);
  }
}
