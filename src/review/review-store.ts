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

/** The review that a deploy goes by. */
export interface MatchedReview {
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  readonly digest: string;
  /** Its signature was checked. */
  readonly signed: boolean;
  /** An apply of it had begun, and this is what is left of it. */
  readonly partly: boolean;
}

/** What is about to be applied is not what was reviewed. */
export class ChangedPlanError extends UserError {
  /** A sentence each. */
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
  'This commit was deployed already. What would be applied now came up since, and nobody reviewed it.';
const INTRODUCTION = 'What was reviewed, for the merge to compare with:';
const FENCE = '```';

/**
 * What was reviewed, kept from the pull request to the merge in a check run of the commit: a person cannot
 * write one in the action's name, and nobody can sign one without the key.
 */
export class ReviewStore {
  readonly #checks: ClusterChecks;
  readonly #deployment: DeployCheck;
  readonly #key: string;
  readonly #now: () => Date;
  readonly #redact: (text: string) => string;
  /** What was found for a merge: the plan and the comparison must go by the same review. */
  readonly #found = new Map<string, Promise<ReviewChoice>>();

  constructor(options: {
    checks: ClusterChecks;
    deployment: DeployCheck;
    /** Empty: nothing is signed. */
    key: string;
    /** GitHub's time. */
    now: () => Date;
    redact: (text: string) => string;
  }) {
    this.#checks = options.checks;
    this.#deployment = options.deployment;
    this.#key = options.key;
    this.#now = options.now;
    this.#redact = options.redact;
  }

  /**
   * Describes a plan of `commit`; `image`: the digest that the nodes are to run; `providerLock`: the lock file of the
   * provider that planned.
   */
  buildRecord(
    plan: PlanSummary,
    options: { commit: string; image: string | null; providerLock: string | null },
  ): PlanRecord {
    const { identity } = this.#checks;
    return buildRecord(plan, { ...options, identity, redact: this.#redact });
  }

  /** Keeps a plan for the merge; a refused one is red, so that branch protection stops the merge. */
  async save<Report>(
    plan: PlanRecord,
    options: { face: CheckView<Report>; origin: Omit<ReviewOrigin, 'time'>; refused: boolean },
  ): Promise<void> {
    const { face, refused } = options;
    const origin = { ...options.origin, time: this.#now().toISOString() };
    await this.#checks.create('plan', {
      commit: plan.commit,
      failure: 'What was reviewed could not be kept, so a merge has nothing to go by',
      face,
      content: {
        status: 'completed',
        conclusion: refused ? 'failure' : 'success',
        externalId: `${this.#checks.identity}:${plan.digest}`,
        text: `${INTRODUCTION}\n\n${FENCE}\n${sealReview({ ...plan, origin }, this.#key)}\n${FENCE}`,
      },
    });
  }

  /**
   * The review that a deploy of `merge` will be held to, or null where none counts; to be asked before the plan, which
   * has to use the review's provider. `require` compares with the same one.
   */
  async find(merge: Merge): Promise<ReviewRecord | null> {
    const choice = await this.#choose(merge);
    return 'review' in choice ? choice.review : null;
  }

  /**
   * The review of `merge` that allows the plan which `now` describes. With `onPlanChange: apply` what differs is
   * a warning.
   *
   * @throws ChangedPlanError with every difference, or why there is nothing to compare with
   */
  async requireMatch(
    now: PlanRecord,
    {
      merge,
      overtakenBy,
      onPlanChange,
    }: {
      merge: Merge;
      /** A newer commit of the branch, where this is the rerun of an older one's job. */
      overtakenBy: string | null;
      onPlanChange: 'fail' | 'apply';
    },
  ): Promise<{ reviewed: MatchedReview | null; warnings: readonly string[] }> {
    const compared = await this.#compare(now, merge);
    const { reviewed } = compared;
    // What this commit was to change may have been undone since.
    const differences =
      overtakenBy === null
        ? compared.differences
        : [
            `This is the job of an older commit: the branch is at ${overtakenBy.slice(0, 7)} by now. Run that one's job.`,
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
    const { succeeded, begun: partly } = await this.#deployment.readHistory(merge.commit, digest);
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
    const choice = this.#found.get(name) ?? this.#look(merge, commits);
    this.#found.set(name, choice);
    return choice;
  }

  async #look(merge: Merge, commits: readonly string[]): Promise<ReviewChoice> {
    const found = (await Promise.all(commits.map((commit) => this.#find(commit)))).flat();
    const { identity } = this.#checks;
    return chooseReview(found, { merge, key: this.#key, identity });
  }

  /** All texts that were kept with the commit. */
  async #find(commit: string): Promise<{ commit: string; text: string }[]> {
    const checks = (await this.#checks.list('plan', commit)) ?? [];
    return checks.map(({ text }) => ({
      commit,
      text: new RegExp(`${FENCE}\\n(.*)\\n${FENCE}`).exec(text ?? '')?.[1] ?? '',
    }));
  }
}
