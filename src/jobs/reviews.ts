import * as core from '@actions/core';
import { readMessage, UserError } from '../errors.ts';
import type { Check, CheckContent, Checks } from '../github/check.ts';
import { isLater, type Run } from '../github/run-stamp.ts';
import { compareReviews } from '../operations/review-comparison.ts';
import {
  describeReview,
  nameApply,
  openReview,
  type Review,
  sealReview,
} from '../operations/review-record.ts';
import { renderRedacted } from '../report/redact.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { type OpenCheck, rememberCheck } from './afterwards.ts';

/** The review that a deploy goes by. */
export interface Reviewed {
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  readonly digest: string;
  /** Its signature was checked. */
  readonly signed: boolean;
  /** An apply of it had begun, and this is what is left of it. */
  readonly partly: boolean;
}

/** What people see of a check run: a report and how to render it, so that secrets are hidden before. */
export interface CheckFace<Report> {
  readonly report: Report;
  /** One line without Markdown. */
  readonly title: (report: Report) => string;
  /** Markdown. */
  readonly summary: (report: Report) => string;
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
  'Nothing was changed. Open a pull request (any edit of the workflow file): its plan shows all of this, and its merge does it. Or undo what was changed meanwhile and run this job again.';
const SPENT =
  'This commit was deployed already. What would be applied now came up since, and nobody reviewed it.';
const INTRODUCTION = 'What was reviewed, for the merge to compare with:';
const FENCE = '```';

/**
 * What was reviewed, kept from the pull request to the merge in a check run of the commit: a person cannot
 * write one in the action's name, and nobody can sign one without the key. A second one, of the deploy, says
 * that its apply has begun.
 */
export class Reviews {
  readonly #checks: Checks;
  readonly #identity: string;
  readonly #cluster: string;
  readonly #key: string;
  readonly #run: Run;
  readonly #redact: (text: string) => string;
  /** What was found at each commit: the plan and the comparison must go by the same review. */
  readonly #found = new Map<string, Promise<Review | string | null>>();
  #begun: OpenCheck | null = null;

  constructor(options: {
    checks: Checks;
    /** Tells the clusters of one repository apart. */
    identity: string;
    /** Cluster name. */
    cluster: string;
    /** Empty: nothing is signed. */
    key: string;
    run: Run;
    redact: (text: string) => string;
  }) {
    this.#checks = options.checks;
    this.#identity = options.identity;
    this.#cluster = options.cluster;
    this.#key = options.key;
    this.#run = options.run;
    this.#redact = options.redact;
  }

  /**
   * The review of a plan of `commit`; `image`: the digest that the nodes are to run; `providerLock`: the lock file of
   * the provider that planned.
   */
  describe(
    plan: PlanSummary,
    options: { commit: string; image: string | null; providerLock: string | null },
  ): Review {
    return describeReview(plan, {
      ...options,
      identity: this.#identity,
      run: this.#run,
      redact: this.#redact,
    });
  }

  /** Keeps a review for the merge; a refused one is red, so that branch protection stops the merge. */
  async keep<Report>(
    review: Review,
    { refused, ...face }: CheckFace<Report> & { refused: boolean },
  ): Promise<void> {
    await this.#attempt(
      'What was reviewed could not be kept, so a merge has nothing to go by',
      () =>
        this.#checks.create(review.commit, {
          ...this.#describe('plan', face),
          status: 'completed',
          conclusion: refused ? 'failure' : 'success',
          externalId: `${this.#identity}:${review.digest}`,
          text: `${INTRODUCTION}\n\n${FENCE}\n${sealReview(review, this.#key)}\n${FENCE}`,
        }),
    );
  }

  /**
   * The review that a deploy of `commit` will be held to, or null where there is none to be trusted; to be asked
   * before the plan, which has to use the review's provider. `require` compares with the same one.
   */
  async prepare({ commit, head }: { commit: string; head: string | null }): Promise<Review | null> {
    for (const one of listCommits(commit, head)) {
      const found = await this.#find(one);
      if (found !== null && typeof found !== 'string') return found;
    }
    return null;
  }

  /**
   * The review that allows the plan which `now` describes: of the very commit, as a merge queue makes it, or of
   * the pull request's `head`. With `onPlanChange: apply` what differs is a warning.
   *
   * @throws ChangedPlanError with every difference, or why there is nothing to compare with
   */
  async require(
    now: Review,
    {
      head,
      overtakenBy,
      onPlanChange,
    }: {
      head: string | null;
      /** A newer commit of the branch, where this is the rerun of an older one's job. */
      overtakenBy: string | null;
      onPlanChange: 'fail' | 'apply';
    },
  ): Promise<{ reviewed: Reviewed | null; warnings: readonly string[] }> {
    const compared = await this.#compare(now, head);
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

  /** Says with the commit that the apply of a review has begun: from now on what is left of it may be applied. */
  async begin(
    commit: string,
    { digest, onPlanChange }: { digest: string; onPlanChange: 'fail' | 'apply' },
  ): Promise<void> {
    const externalId = this.#nameApply(commit, digest);
    const failure = 'That the apply begins could not be kept with the commit';
    const outcome = await this.#attempt(failure, () =>
      this.#checks.create(commit, {
        ...this.#describe('deploy', {
          report: null,
          title: () => 'applying …',
          summary: () => 'The apply has begun.',
        }),
        status: 'in_progress',
        externalId,
      }),
    );
    if (outcome === 'failed' && onPlanChange === 'fail') {
      throw new UserError(
        `${failure}, and without it nobody could continue if it was interrupted. Nothing was changed; run the job again.`,
      );
    }
    if (typeof outcome !== 'string' && outcome.outcome !== 'forbidden')
      this.#adopt({ id: outcome.id, externalId });
  }

  /** Takes up the deploy of `commit` that an earlier attempt began and did not bring to its end. */
  async resume(commit: string): Promise<void> {
    const checks = await this.#attempt('An earlier attempt could not be looked for', async () => ({
      outcome: 'found' as const,
      found: await this.#list('deploy', commit),
    }));
    if (typeof checks === 'string') return;
    const [last] = checks.found;
    if (last === undefined || last.conclusion === 'success') return;
    this.#adopt({ id: last.id, externalId: last.externalId ?? '' });
  }

  #adopt({ id, externalId }: { id: number; externalId: string }): void {
    this.#begun = { id, name: this.#nameCheck('deploy'), externalId };
    rememberCheck(this.#begun);
  }

  /** Says how the deploy ended that `begin` announced. */
  async end<Report>(
    conclusion: 'success' | 'failure' | 'cancelled',
    face: CheckFace<Report>,
  ): Promise<void> {
    const begun = this.#begun;
    if (begun === null) return;
    await this.#attempt('How the deploy ended could not be shown with the commit', () =>
      this.#checks.update(begun.id, {
        ...this.#describe('deploy', face),
        status: 'completed',
        conclusion,
        externalId: begun.externalId,
      }),
    );
    this.#begun = null;
    rememberCheck(null);
  }

  async #compare(
    now: Review,
    head: string | null,
  ): Promise<{ reviewed: Reviewed | null; differences: readonly string[] }> {
    const commits = listCommits(now.commit, head);
    const problems: string[] = [];
    for (const commit of commits) {
      const found = await this.#find(commit);
      if (found === null) continue;
      if (typeof found === 'string') {
        problems.push(found);
        continue;
      }
      const signed = this.#key !== '';
      const deploy = await this.#findDeploy(now.commit, found.digest);
      const partly = deploy !== null;
      const reviewed = { commit, digest: found.digest, signed, partly };
      if (deploy?.conclusion === 'success') return { reviewed, differences: [SPENT] };
      return { reviewed, differences: compareReviews(now, found, { partly }) };
    }
    const places = commits.map((commit) => commit.slice(0, 7)).join(' or ');
    const differences = problems.length > 0 ? problems : [`Nothing was reviewed at ${places}.`];
    return { reviewed: null, differences };
  }

  /** The latest review of the commit that can be trusted; why there is none; null where there is nothing at all. */
  #find(commit: string): Promise<Review | string | null> {
    const found = this.#found.get(commit) ?? this.#look(commit);
    this.#found.set(commit, found);
    return found;
  }

  async #look(commit: string): Promise<Review | string | null> {
    const problems: string[] = [];
    let latest: Review | null = null;
    for (const { text } of await this.#list('plan', commit)) {
      const sealed = new RegExp(`${FENCE}\\n(.*)\\n${FENCE}`).exec(text ?? '')?.[1] ?? '';
      const review = openReview(sealed, { key: this.#key, identity: this.#identity, commit });
      if ('problem' in review) problems.push(review.problem);
      // A rerun of an older plan is younger as a check run, and the comment is not its.
      else if (latest === null || isLater(review.run, latest.run)) latest = review;
    }
    if (latest !== null) return latest;
    const [problem] = problems;
    return problem === undefined
      ? null
      : `What was reviewed at ${commit.slice(0, 7)} cannot be trusted: ${problem}.`;
  }

  /** The check run of the review's deploy, of the one that succeeded if any did; null where none has begun. */
  async #findDeploy(commit: string, digest: string): Promise<Check | null> {
    const name = this.#nameApply(commit, digest);
    const all = await this.#list('deploy', commit);
    const checks = all.filter(({ externalId }) => externalId === name);
    return checks.find(({ conclusion }) => conclusion === 'success') ?? checks[0] ?? null;
  }

  /** The cluster's check runs, newest first. */
  async #list(kind: 'plan' | 'deploy', commit: string): Promise<readonly Check[]> {
    const found = await this.#checks.find({ commit, name: this.#nameCheck(kind) });
    if (found.outcome === 'forbidden') {
      core.warning(
        `github-token: may not read check runs (${found.reason}). Give the job the permission checks: write.`,
      );
      return [];
    }
    return found.checks.filter(({ externalId }) => externalId?.startsWith(`${this.#identity}:`));
  }

  #describe<Report>(
    kind: 'plan' | 'deploy',
    { report, title, summary }: CheckFace<Report>,
  ): Pick<CheckContent, 'name' | 'title' | 'summary'> {
    return {
      name: this.#nameCheck(kind),
      title: renderRedacted(report, { render: title, redact: this.#redact }),
      summary: renderRedacted(report, { render: summary, redact: this.#redact }),
    };
  }

  #nameCheck(kind: 'plan' | 'deploy'): string {
    return `PostgreSQL ${kind}: ${this.#cluster}`;
  }

  #nameApply(commit: string, digest: string): string {
    return nameApply({ identity: this.#identity, commit, digest }, this.#key);
  }

  /** Warns of what could not be done with a check run, and gives why: what follows from that is the caller's. */
  async #attempt<Outcome extends { outcome: string }>(
    failure: string,
    work: () => Promise<Outcome | { outcome: 'forbidden'; reason: string }>,
  ): Promise<Outcome | 'forbidden' | 'failed'> {
    try {
      const outcome = await work();
      if (!('reason' in outcome)) return outcome as Exclude<Outcome, { outcome: 'forbidden' }>;
      core.warning(
        `github-token: ${failure} (${outcome.reason}). Give the job the permission checks: write.`,
      );
      return 'forbidden';
    } catch (error) {
      core.warning(`${failure} (${readMessage(error)}).`);
      return 'failed';
    }
  }
}

/** Where the review of a deploy is looked for, in this order. */
function listCommits(commit: string, head: string | null): readonly string[] {
  return [...new Set([commit, ...(head === null ? [] : [head])])];
}
