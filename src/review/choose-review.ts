import { isLater } from '../github/run-stamp.ts';
import { openReview, type RejectedReview, type ReviewRecord } from './record.ts';

/** The merge that a deploy applies, as GitHub reports it. */
export interface Merge {
  /** Full SHA of the branch's new head. */
  readonly commit: string;
  /** Short name of the branch. */
  readonly branch: string;
  /** When the branch moved, in ISO 8601; null if the event does not say. */
  readonly pushedAt: string | null;
  /** The merged pull request; null if none was found. */
  readonly pullRequest: MergedPullRequest | null;
}

/** The fields in use of a merged pull request. */
export interface MergedPullRequest {
  readonly number: number;
  readonly headSha: string;
  readonly mergedAt: string | null;
  readonly mergeCommitSha: string | null;
}

/** A stored review as found. */
export interface SealedReview {
  /** Full SHA of the commit that it is stored with. */
  readonly commit: string;
  /** Written by `sealReview`, or any other text. */
  readonly text: string;
}

/** The valid review, or why there is none. */
export type ReviewChoice =
  | { readonly review: ReviewRecord }
  | { readonly problems: readonly string[] };

/** Whether `commit` is the merge commit of the pull request, rather than a later one that contains it. */
export function isMergedAs(
  pull: Pick<MergedPullRequest, 'mergeCommitSha'> | null,
  commit: string,
): boolean {
  return pull !== null && pull.mergeCommitSha === commit;
}

/** Lists the commits that a merge's reviews can be stored with. */
export function listReviewedCommits({ commit, pullRequest }: Merge): readonly string[] {
  return [...new Set([commit, ...(pullRequest === null ? [] : [pullRequest.headSha])])];
}

/**
 * Chooses the review of a merge: the merge queue's, else the pull request's, each from its latest run. `key` is empty if
 * reviews are unsigned.
 *
 * Without a valid review, `problems` has one sentence per kind of problem; it is empty if nothing was found. A signed
 * review that cannot be checked stops the merge, whatever else was found: dropping the key must not disable the check.
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
    // By run, not by check run: a rerun of an older run has a newer check run, but not the comment.
    const latest = (a: ReviewRecord, b: ReviewRecord) =>
      isLater(b.origin.run, a.origin.run) ? b : a;
    return { review: others.reduce(latest, first) };
  }
  const problems = judged.flatMap(({ commit, opened }) =>
    isRejected(opened) && (!isUnchecked || opened.unchecked)
      ? [`The review at ${shorten(commit)} does not count: ${opened.problem}.`]
      : [],
  );
  return { problems: [...new Set(problems)] };
}

const isRejected = (opened: ReviewRecord | RejectedReview): opened is RejectedReview =>
  'problem' in opened;
const isQueued = ({ origin }: ReviewRecord): boolean => origin.event === 'merge_group';
const shorten = (commit: string): string => commit.slice(0, 7);

/** Returns the review if it was made for this merge and before it, else why it is rejected. */
function checkReview(review: ReviewRecord, merge: Merge): ReviewRecord | RejectedReview {
  const problem = explainForeign(review, merge) ?? explainLate(review, merge);
  return problem === null ? review : { problem };
}

/** Returns why a review belongs to something else; null if it belongs to this merge. */
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

/** Returns why a review was made too late to be seen before the merge; null if it was in time. */
function explainLate({ origin }: ReviewRecord, merge: Merge): string | null {
  const moved =
    origin.event === 'pull_request'
      ? (merge.pullRequest?.mergedAt ?? merge.pushedAt)
      : merge.pushedAt;
  if (moved === null) {
    return origin.run.attempt === 1
      ? null
      : 'a repeated run made it, and GitHub does not say when the merge was, so it may be later than the merge';
  }
  // GitHub reports merges and pushes in whole seconds.
  return readSeconds(origin.time) <= readSeconds(moved)
    ? null
    : `it was made at ${origin.time}, after the merge (${moved}), by attempt ${origin.run.attempt} of run ${origin.run.id}`;
}

const readSeconds = (time: string): number => Math.floor(Date.parse(time) / 1000);
