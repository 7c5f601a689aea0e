import { describe, expect, test } from 'vitest';
import {
  chooseReview,
  isMergedAs,
  listReviewedCommits,
  type Merge,
  type SealedReview,
} from './choose-review.ts';
import { type ReviewOrigin, type ReviewRecord, sealReview } from './record.ts';

const KEY = 'k'.repeat(32);
const HEAD = 'a'.repeat(40);
const MERGED = 'b'.repeat(40);
const OTHER = 'c'.repeat(40);
const BEFORE = '2026-11-26T11:59:00.000Z';
const AT = '2026-11-26T12:00:00Z';
const AFTER = '2026-11-26T12:00:01.000Z';

function createMerge(
  overrides: Partial<Merge> & { pull?: Partial<NonNullable<Merge['pullRequest']>> } = {},
): Merge {
  const { pull, ...rest } = overrides;
  return {
    commit: MERGED,
    branch: 'main',
    pushedAt: AT,
    pullRequest: { number: 7, headSha: HEAD, mergedAt: AT, mergeCommitSha: MERGED, ...pull },
    ...rest,
  };
}

function createReview({
  origin = {},
  ...overrides
}: Partial<Omit<ReviewRecord, 'origin'>> & { origin?: Partial<ReviewOrigin> } = {}): ReviewRecord {
  return {
    identity: 'postgres/abc',
    commit: HEAD,
    digest: 'reviewed',
    image: null,
    providerLock: null,
    changes: null,
    ...overrides,
    origin: {
      event: 'pull_request',
      pullRequest: 7,
      base: 'main',
      run: { id: 1, attempt: 1 },
      time: BEFORE,
      ...origin,
    },
  };
}

const createQueued = (origin: Partial<ReviewOrigin> = {}, digest = 'queued'): ReviewRecord =>
  createReview({ commit: MERGED, digest, origin: { event: 'merge_group', ...origin } });

/** As it is found with its commit, or with another one. */
const seal = (review: ReviewRecord, { key = KEY, at = review.commit } = {}): SealedReview => ({
  commit: at,
  text: sealReview(review, key),
});

/** The digest of the review that was chosen, or why none was. */
function choose(
  found: readonly SealedReview[],
  { merge = createMerge(), key = KEY }: { merge?: Merge | undefined; key?: string } = {},
): string | readonly string[] {
  const choice = chooseReview(found, { merge, key, identity: 'postgres/abc' });
  return 'review' in choice ? choice.review.digest : choice.problems;
}

describe('a valid review', () => {
  test.each<[string, ReviewRecord, Merge?]>([
    ['of the merged pull request, at its head', createReview()],
    [
      'made in the same second as the merge',
      createReview({ origin: { time: AT.replace('Z', '.900Z') } }),
    ],
    [
      'of a repeated run before the merge',
      createReview({ origin: { run: { id: 1, attempt: 3 } } }),
    ],
    [
      'of a head that the branch was fast-forwarded to',
      createReview(),
      createMerge({ commit: HEAD, pull: { mergeCommitSha: HEAD } }),
    ],
    [
      'before the push, without a merge time from the API',
      createReview(),
      createMerge({ pull: { mergedAt: null } }),
    ],
    [
      'of a first run, without any merge time',
      createReview({ origin: { time: AFTER } }),
      createMerge({ pushedAt: null, pull: { mergedAt: null } }),
    ],
    ['of the merge queue, at the commit', createQueued()],
    ['of the merge queue, for any pull request', createQueued({ pullRequest: 9 })],
    [
      'of the merge queue, without a pull request',
      createQueued({ pullRequest: null }),
      createMerge({ pullRequest: null }),
    ],
    [
      'of the queue’s first run, without a push time',
      createQueued({ time: AFTER }),
      createMerge({ pushedAt: null }),
    ],
  ])('%s', (_, review, merge) => {
    expect(choose([seal(review)], { merge })).toBe(review.digest);
  });
});

describe('a rejected review', () => {
  test.each<[string, ReviewRecord, RegExp, Merge?]>([
    [
      'of a pull request at the commit of the merge',
      createReview({ commit: MERGED }),
      /of another commit than the last one/,
    ],
    [
      'of a pull request that was opened from the merge commit',
      createReview({ commit: MERGED, origin: { pullRequest: 9 } }),
      /is of pull request #9, and this is the merge of #7/,
    ],
    [
      'of a pull request from the merge commit to another branch',
      createReview({ commit: MERGED, origin: { pullRequest: 9, base: 'release' } }),
      /into release, and this is one into main/,
    ],
    [
      'of another pull request with the same head',
      createReview({ origin: { pullRequest: 9 } }),
      /is of pull request #9/,
    ],
    [
      'of an unknown pull request',
      createReview({ origin: { pullRequest: null } }),
      /pull request an unknown one/,
    ],
    [
      'of a direct push',
      createReview({ commit: MERGED }),
      /no pull request was found/,
      createMerge({ pullRequest: null }),
    ],
    [
      'made for another base',
      createReview({ origin: { base: 'release' } }),
      /into release, and this is one into main/,
    ],
    ['made for an unknown base', createReview({ origin: { base: null } }), /an unknown branch/],
    [
      'made after the merge',
      createReview({ origin: { time: AFTER } }),
      /made at .*12:00:01.*after the merge/,
    ],
    [
      'of a repeated run, without any merge time',
      createReview({ origin: { run: { id: 1, attempt: 2 } } }),
      /a repeated run made it/,
      createMerge({ pushedAt: null, pull: { mergedAt: null } }),
    ],
    [
      'of a pull request that was merged as another commit',
      createReview(),
      /was merged as ccccccc, not as this commit/,
      createMerge({ pull: { mergeCommitSha: OTHER } }),
    ],
    [
      'of the merge queue after the push',
      createQueued({ time: AFTER, run: { id: 1, attempt: 2 } }),
      /attempt 2 of run 1/,
    ],
    [
      'of a repeated run of the merge queue, without a push time',
      createQueued({ run: { id: 1, attempt: 2 } }),
      /a repeated run made it/,
      createMerge({ pushedAt: null }),
    ],
    ['of a merge queue of another branch', createQueued({ base: 'release' }), /into release/],
    [
      'of the merge queue at the head',
      createReview({ origin: { event: 'merge_group' } }),
      /of another commit/,
    ],
    ['of another cluster', createReview({ identity: 'orders/abc' }), /of another cluster/],
  ])('%s', (_, review, problem, merge) => {
    expect(choose([seal(review)], { merge })).toEqual([
      expect.stringMatching(
        new RegExp(`^The review at [0-9a-f]{7} does not count: .*${problem.source}.*\\.$`),
      ),
    ]);
  });

  test('copied from another commit', () => {
    expect(choose([seal(createReview(), { at: MERGED })])).toEqual([
      expect.stringMatching(/at bbbbbbb does not count: it is of commit a{40}/),
    ]);
  });
});

describe('among several reviews, chooses', () => {
  test.each<[string, ReviewRecord[], string]>([
    ['the merge queue’s before the pull request’s', [createReview(), createQueued()], 'queued'],
    [
      'the latest run’s, in any order',
      [
        createReview({ digest: 'late', origin: { run: { id: 2, attempt: 1 } } }),
        createReview({ digest: 'early', origin: { run: { id: 1, attempt: 9 } } }),
      ],
      'late',
    ],
    [
      'the latest attempt’s',
      [
        createReview({ digest: 'first' }),
        createReview({ digest: 'second', origin: { run: { id: 1, attempt: 2 } } }),
      ],
      'second',
    ],
    [
      'the valid one, even if others are later',
      [
        createReview(),
        createReview({ digest: 'twin', origin: { pullRequest: 9, run: { id: 5, attempt: 1 } } }),
        createReview({ digest: 'base', origin: { base: 'release', run: { id: 6, attempt: 1 } } }),
        createReview({ digest: 'late', origin: { time: AFTER, run: { id: 7, attempt: 1 } } }),
        createQueued({ time: AFTER }),
      ],
      'reviewed',
    ],
  ])('%s', (_, reviews, digest) => {
    for (const order of [reviews, [...reviews].reverse()]) {
      expect(choose(order.map((review) => seal(review)))).toBe(digest);
    }
  });

  test('no review is no problem, and each problem is listed once', () => {
    const stray = createReview({ origin: { pullRequest: 9 } });
    expect(choose([])).toEqual([]);
    expect(choose([seal(stray), seal(stray)])).toHaveLength(1);
  });
});

describe('a signature', () => {
  const signed = createReview({ digest: 'signed' });
  const later = createReview({ digest: 'later', origin: { run: { id: 9, attempt: 1 } } });

  test('is required if there is a key: unsigned reviews are rejected', () => {
    expect(choose([seal(signed), seal(later, { key: '' })])).toBe('signed');
    expect(choose([seal(signed), seal(later, { key: 'x'.repeat(32) })])).toBe('signed');
    expect(choose([seal(later, { key: '' })])).toEqual([
      expect.stringMatching(/had no review-key/),
    ]);
  });

  test('that cannot be checked stops the merge, even if there is a valid review', () => {
    const found = [seal(signed), seal(later, { key: '' }), { commit: HEAD, text: 'damaged' }];
    expect(choose(found, { key: '' })).toEqual([
      expect.stringMatching(/it is signed, and this job has no review-key/),
    ]);
    expect(choose(found.slice(1), { key: '' })).toBe('later');
  });
});

test.each([
  ['its merge commit', { mergeCommitSha: MERGED }, true],
  ['a commit that was merged before', { mergeCommitSha: OTHER }, false],
  ['nobody knows which', { mergeCommitSha: null }, false],
  ['no pull request', null, false],
])('isMergedAs: %s', (_, pull, expected) => {
  expect(isMergedAs(pull, MERGED)).toBe(expected);
});

test('reviews are looked up at the merge commit and at the head of its pull request', () => {
  expect(listReviewedCommits(createMerge())).toEqual([MERGED, HEAD]);
  expect(listReviewedCommits(createMerge({ pullRequest: null }))).toEqual([MERGED]);
  expect(listReviewedCommits(createMerge({ commit: HEAD }))).toEqual([HEAD]);
});
