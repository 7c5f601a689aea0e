import * as core from '@actions/core';
import { UserError } from '../messages/errors.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import {
  chooseReview,
  listReviewedCommits,
  type Merge,
  type ReviewChoice,
} from './choose-review.ts';
import type { CheckView, ClusterChecks } from './cluster-checks.ts';
import { comparePlans } from './compare.ts';
import type { DeployCheck } from './deploy-check.ts';
import {
  buildRecord,
  type PlanRecord,
  type ReviewOrigin,
  type ReviewRecord,
  sealReview,
} from './record.ts';

/** The review that a deploy applies. */
export interface MatchedReview {
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  readonly digest: string;
  /** Its signature was checked. */
  readonly signed: boolean;
  /** An earlier apply of it had begun; this deploy applies the rest. */
  readonly partly: boolean;
}

/** The plan differs from the reviewed one. */
export class ChangedPlanError extends UserError {
  /** Sentences. */
  readonly differences: readonly string[];
  readonly nextStep: string;

  constructor(differences: readonly string[], nextStep: string) {
    super([...differences, nextStep]);
    this.name = 'ChangedPlanError';
    this.differences = differences;
    this.nextStep = nextStep;
  }
}

const NEXT_STEP =
  'Nothing was changed. Open a pull request (any edit that is planned): its plan shows all of this, and its merge does it. Or undo what was changed meanwhile and run this job again.';
const ALREADY_DEPLOYED =
  'This commit was deployed already. The changes that would be applied now appeared later, and nobody reviewed them.';
const INTRODUCTION = 'The review, for the merge to compare with:';
const FENCE = '```';

/**
 * Stores reviews from the pull request to the merge, in check runs of the commit: a person cannot write a check run in the
 * action's name, and a review cannot be signed without the key.
 */
export class ReviewStore {
  readonly #checks: ClusterChecks;
  readonly #deployCheck: DeployCheck;
  readonly #key: string;
  readonly #now: () => Date;
  readonly #redact: (text: string) => string;
  /** The choice by merge: `find` and `requireMatch` must use the same review. */
  readonly #choices = new Map<string, Promise<ReviewChoice>>();

  constructor(options: {
    checks: ClusterChecks;
    deployCheck: DeployCheck;
    /** Empty: unsigned. */
    key: string;
    /** GitHub's time. */
    now: () => Date;
    redact: (text: string) => string;
  }) {
    this.#checks = options.checks;
    this.#deployCheck = options.deployCheck;
    this.#key = options.key;
    this.#now = options.now;
    this.#redact = options.redact;
  }

  /**
   * Builds the record of a plan of `commit`; `image`: the digest that the nodes will run; `providerLock`: the lock file of
   * the provider that planned.
   */
  buildRecord(
    plan: PlanSummary,
    options: { commit: string; image: string | null; providerLock: string | null },
  ): PlanRecord {
    const { identity } = this.#checks;
    return buildRecord(plan, { ...options, identity, redact: this.#redact });
  }

  /** Stores a plan for the merge. A refused plan fails its check run, so that branch protection stops the merge. */
  async save<Report>(
    plan: PlanRecord,
    options: { view: CheckView<Report>; origin: Omit<ReviewOrigin, 'time'>; refused: boolean },
  ): Promise<void> {
    const { view, refused } = options;
    const origin = { ...options.origin, time: this.#now().toISOString() };
    await this.#checks.create('plan', {
      commit: plan.commit,
      failure: 'The review could not be stored, so a merge has nothing to compare with',
      view,
      content: {
        status: 'completed',
        conclusion: refused ? 'failure' : 'success',
        externalId: `${this.#checks.identity}:${plan.digest}`,
        text: `${INTRODUCTION}\n\n${FENCE}\n${sealReview({ ...plan, origin }, this.#key)}\n${FENCE}`,
      },
    });
  }

  /**
   * Returns the review of `merge`; null if no review is valid for it. Call it before the plan, which has to use the
   * review's provider. `requireMatch` compares with the same review.
   */
  async find(merge: Merge): Promise<ReviewRecord | null> {
    const choice = await this.#choose(merge);
    return 'review' in choice ? choice.review : null;
  }

  /**
   * Requires that the plan `now` is the reviewed one of `merge`, and returns the review. With `onPlanChange: apply`,
   * differences are warnings.
   *
   * @throws ChangedPlanError with every difference, or why there is no review to compare with
   */
  async requireMatch(
    now: PlanRecord,
    {
      merge,
      overtakenBy,
      onPlanChange,
    }: {
      merge: Merge;
      /** The branch's head if this is a rerun for an older commit. */
      overtakenBy: string | null;
      onPlanChange: 'fail' | 'apply';
    },
  ): Promise<{ reviewed: MatchedReview | null; warnings: readonly string[] }> {
    const compared = await this.#compare(now, merge);
    const { reviewed } = compared;
    // A newer commit may have undone this commit's change.
    const differences =
      overtakenBy === null
        ? compared.differences
        : [
            `This is the job of an older commit: the branch is at ${overtakenBy.slice(0, 7)} by now. Run the job of that commit.`,
            ...compared.differences,
          ];
    if (differences.length === 0) return { reviewed, warnings: [] };
    if (onPlanChange === 'fail') throw new ChangedPlanError(differences, NEXT_STEP);
    const warnings = differences.map((difference) => `Applied all the same: ${difference}`);
    for (const warning of warnings) core.warning(warning);
    return { reviewed: null, warnings };
  }

  async #compare(
    now: PlanRecord,
    merge: Merge,
  ): Promise<{ reviewed: MatchedReview | null; differences: readonly string[] }> {
    const choice = await this.#choose(merge);
    const digest = 'review' in choice ? choice.review.digest : now.digest;
    const { succeeded, begun: partly } = await this.#deployCheck.readHistory(merge.commit, digest);
    if (succeeded) return { reviewed: null, differences: [ALREADY_DEPLOYED] };
    if ('problems' in choice) {
      const commits = listReviewedCommits(merge);
      const places = commits.map((commit) => commit.slice(0, 7)).join(' or ');
      const nothing = `Nothing was reviewed at ${places}.`;
      return {
        reviewed: null,
        differences: choice.problems.length > 0 ? choice.problems : [nothing],
      };
    }
    const { review } = choice;
    const signed = this.#key !== '';
    return {
      reviewed: { commit: review.commit, digest, signed, partly },
      differences: comparePlans(now, { reviewed: review, partly }),
    };
  }

  #choose(merge: Merge): Promise<ReviewChoice> {
    const commits = listReviewedCommits(merge);
    const name = commits.join(' ');
    const choice = this.#choices.get(name) ?? this.#loadAll(merge, commits);
    this.#choices.set(name, choice);
    return choice;
  }

  async #loadAll(merge: Merge, commits: readonly string[]): Promise<ReviewChoice> {
    const found = (await Promise.all(commits.map((commit) => this.#loadTexts(commit)))).flat();
    const { identity } = this.#checks;
    return chooseReview(found, { merge, key: this.#key, identity });
  }

  /** Loads all reviews stored with the commit, as text. */
  async #loadTexts(commit: string): Promise<{ commit: string; text: string }[]> {
    const checks = (await this.#checks.list('plan', commit)) ?? [];
    return checks.map(({ text }) => ({
      commit,
      text: new RegExp(`${FENCE}\\n(.*)\\n${FENCE}`).exec(text ?? '')?.[1] ?? '',
    }));
  }
}
