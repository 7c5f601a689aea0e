import { isLater } from '../github/run-stamp.ts';
import { openReview, type RejectedReview, type ReviewRecord } from './record.ts';

/** The merge that a deploy goes by, as GitHub tells of it. */
export interface Merge {
  /** Full SHA of the commit that the branch was moved to. */
  readonly commit: string;
  /** Short name of the branch. */
  readonly branch: string;
  /** When the branch was moved, in ISO 8601; null where the event does not say. */
  readonly pushedAt: string | null;
  /** The pull request that was merged; null where none was found. */
  readonly pullRequest: MergedPullRequest | null;
}

/** What matters of a pull request that was merged. */
export interface MergedPullRequest {
  readonly number: number;
  readonly headSha: string;
  readonly mergedAt: string | null;
  readonly mergeCommitSha: string | null;
}

/** A kept review as it was found. */
export interface SealedReview {
  /** Full SHA of the commit that it was kept with. */
  readonly commit: string;
  /** What `sealReview` wrote, or anything else. */
  readonly text: string;
}

/** The review that counts, or why none does. */
export type ReviewChoice =
  | { readonly review: ReviewRecord }
  | { readonly problems: readonly string[] };

/** Whether the merge of a pull request made `commit`; one that only contains it was merged as another. */
export function isMergedAs(
  pull: Pick<MergedPullRequest, 'mergeCommitSha'> | null,
  commit: string,
): boolean {
  return pull !== null && pull.mergeCommitSha === commit;
}

/** The commits that a merge's reviews can be kept with. */
export function listReviewedCommits({ commit, pullRequest }: Merge): readonly string[] {
  return [...new Set([commit, ...(pullRequest === null ? [] : [pullRequest.headSha])])];
}

/**
 * The review that a merge goes by, of all that were found: the merge queue's, else the one of the pull request,
 * each from its latest run. `key` is empty where nothing is signed.
 *
 * Where none counts, `problems` says of each kind why, a sentence each; it is empty where nothing was found. A signed
 * review that cannot be checked stops the merge, whatever else was found: nobody says then that a key is not needed.
 */
export function chooseReview(
  found: readonly SealedReview[],
  { merge, key, identity }: { merge: Merge; key: string; identity: string },
): ReviewChoice {
  const judged = found.map(({ commit, text }) => {
    const opened = openReview(text, { key, identity, commit });
    return { commit, opened: isRejected(opened) ? opened : checkReview(opened, merge) };
  });
  const isUnchecked = judged.some(({ opened }) => isRejected(opened) && opened.unchecked);
  const reviews = judged.flatMap(({ opened }) => (isRejected(opened) ? [] : [opened]));
  const [first, ...others] =
    reviews.filter(isQueued).length > 0 ? reviews.filter(isQueued) : reviews;
  if (first !== undefined && !isUnchecked) {
    // A rerun of an older plan is younger as a check run, and the comment is not its.
    const latest = (a: ReviewRecord, b: ReviewRecord) =>
      isLater(b.origin.run, a.origin.run) ? b : a;
    return { review: others.reduce(latest, first) };
  }
  const problems = judged.flatMap(({ commit, opened }) =>
    isRejected(opened) && (!isUnchecked || opened.unchecked)
      ? [`What was reviewed at ${shorten(commit)} does not count: ${opened.problem}.`]
      : [],
  );
  return { problems: [...new Set(problems)] };
}

const isRejected = (opened: ReviewRecord | RejectedReview): opened is RejectedReview =>
  'problem' in opened;
const isQueued = ({ origin }: ReviewRecord): boolean => origin.event === 'merge_group';
const shorten = (commit: string): string => commit.slice(0, 7);

/** Returns the review if it was made for this merge and before it, else why it does not count. */
function checkReview(review: ReviewRecord, merge: Merge): ReviewRecord | RejectedReview {
  const problem = explainForeign(review, merge) ?? explainLate(review, merge);
  return problem === null ? review : { problem };
}

/** Why a review was made for something else, null where it was not. */
function explainForeign({ commit, origin }: ReviewRecord, merge: Merge): string | null {
  const { event, base } = origin;
  if (base !== merge.branch) {
    return `it was planned for a merge into ${base ?? 'an unknown branch'}, and this is one into ${merge.branch}`;
  }
  if (event === 'merge_group') {
    return commit === merge.commit ? null : "it is a merge queue's, of another commit";
  }
  const pull = merge.pullRequest;
  const number = origin.pullRequest === null ? 'an unknown one' : `#${origin.pullRequest}`;
  if (pull === null) {
    return `it is of pull request ${number}, and no pull request was found whose merge made this commit`;
  }
  if (origin.pullRequest !== pull.number) {
    return `it is of pull request ${number}, and this is the merge of #${pull.number}`;
  }
  if (commit !== pull.headSha) {
    return `it is of another commit than the last one of pull request ${number}`;
  }
  if (!isMergedAs(pull, merge.commit)) {
    const where = pull.mergeCommitSha === null ? 'elsewhere' : `as ${shorten(pull.mergeCommitSha)}`;
    return `pull request ${number} was merged ${where}, not as this commit`;
  }
  return null;
}

/** Why a review was made too late to have been seen before the merge, null where it was not. */
function explainLate({ origin }: ReviewRecord, merge: Merge): string | null {
  const moved =
    origin.event === 'pull_request'
      ? (merge.pullRequest?.mergedAt ?? merge.pushedAt)
      : merge.pushedAt;
  if (moved === null) {
    return origin.run.attempt === 1
      ? null
      : 'a repeated run made it, and GitHub does not say when the merge was, so it may have been made after that';
  }
  // GitHub tells of merges and pushes in whole seconds.
  return readSeconds(origin.time) <= readSeconds(moved)
    ? null
    : `it was made at ${origin.time}, after the merge (${moved}), by attempt ${origin.run.attempt} of run ${origin.run.id}`;
}

const readSeconds = (time: string): number => Math.floor(Date.parse(time) / 1000);
