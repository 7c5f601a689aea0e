import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { Run } from '../github/run-stamp.ts';
import type { Json } from '../terraform/attributes.ts';
import { canonicalizePlan, type PlanSummary } from '../terraform/plan.ts';
import { type PlanChanges, selectChanges } from '../terraform/plan-differences.ts';
import { parseProviderLock } from '../terraform/provider-lock.ts';
import { mapTexts } from '../terraform/sensitive.ts';

/** A plan in a form that can be compared with another one. */
export interface PlanRecord {
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  /** Equal for equal plans with the same image. */
  readonly digest: string;
  /** Digest of the image that the nodes were going to run; null if unknown. */
  readonly image: string | null;
  /** Text of the lock file that `init` wrote for the plan; null if no provider was installed. */
  readonly providerLock: string | null;
  /** The plan's changes; null if too large to store. */
  readonly changes: PlanChanges | null;
}

/** The event and run that a review was made in. */
export interface ReviewOrigin {
  /** `GITHUB_EVENT_NAME`. */
  readonly event: 'pull_request' | 'merge_group';
  /** The planned pull request, or the one that the merge queue is about to merge; null if unknown. */
  readonly pullRequest: number | null;
  /** Short name of the target branch; null if the event did not name it. */
  readonly base: string | null;
  /** The run that planned it. */
  readonly run: Run;
  /** When it was stored, by GitHub's clock, in ISO 8601. */
  readonly time: string;
}

/** A review, as stored from the pull request to the merge. */
export interface ReviewRecord extends PlanRecord {
  readonly origin: ReviewOrigin;
}

/** A check run's text has at most 65,535 characters, and begins with a sentence. */
const MAX_CHARACTERS = 60_000;
/** `sealReview` writes nothing that unpacks to more than this. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024;

const recordSchema = z.object({
  identity: z.string(),
  commit: z.string(),
  origin: z.object({
    event: z.enum(['pull_request', 'merge_group']),
    pullRequest: z.number().nullable(),
    base: z.string().nullable(),
    run: z.object({ id: z.number(), attempt: z.number() }),
    time: z.iso.datetime(),
  }),
  digest: z.string(),
  image: z.string().nullable(),
  // An unsigned record could name any program as the provider.
  providerLock: z
    .string()
    .refine((text) => parseProviderLock(text) !== null)
    .nullable(),
  // Written by `sealReview`, and signed if there is a key.
  changes: z.custom<PlanChanges>((value) => typeof value === 'object').nullable(),
});

/**
 * Builds the record of a plan, to be stored or compared. `redact` hides secrets, which must not leave the runner; `image`
 * is the digest that the nodes will run.
 */
export function buildRecord(
  plan: PlanSummary,
  options: {
    identity: string;
    commit: string;
    image: string | null;
    providerLock: string | null;
    redact: (text: string) => string;
  },
): PlanRecord {
  const { identity, commit, image, providerLock, redact } = options;
  const changes = mapTexts(selectChanges(plan) as unknown as Json, redact) as unknown;
  return {
    identity,
    commit,
    digest: digestReview(plan, image),
    image,
    providerLock,
    changes: changes as PlanChanges,
  };
}

/** Returns the SHA-256 (hex) of the normalised changes and the image: equal for plans that do the same. */
export function digestReview(plan: PlanSummary, image: string | null): string {
  return createHash('sha256')
    .update(`${canonicalizePlan(selectChanges(plan))}\nimage ${image ?? 'unknown'}\n`)
    .digest('hex');
}

/** Returns the review as text to store; with a `key` (not empty) signed by HMAC-SHA-256. */
export function sealReview(review: ReviewRecord, key: string): string {
  const whole = pack(review, key);
  return whole.length <= MAX_CHARACTERS ? whole : pack({ ...review, changes: null }, key);
}

/** Returns the name that records the apply of a review; signed with `key`, unless that is empty. */
export function nameApply(
  review: Pick<PlanRecord, 'identity' | 'commit' | 'digest'>,
  key: string,
): string {
  const { identity, commit, digest } = review;
  const name = `${identity}:${digest}`;
  return key === '' ? name : `${name}:${sign(`apply ${commit} ${name}`, key)}`;
}

function pack(review: ReviewRecord, key: string): string {
  const body = gzipSync(JSON.stringify(review)).toString('base64');
  return `${body}.${key === '' ? '' : sign(body, key)}`;
}

/** A review that is not valid. */
export interface RejectedReview {
  /** Why, as a clause that begins with "it". */
  readonly problem: string;
  /** It is of this commit and cluster and signed, but there is no key to check it with. */
  readonly unchecked?: true;
}

/**
 * Opens a text of `sealReview`, or returns why it is rejected: it is of another commit or cluster, damaged, not signed
 * with `key`, or signed although `key` is empty.
 */
export function openReview(
  text: string,
  { key, identity, commit }: { key: string; identity: string; commit: string },
): ReviewRecord | RejectedReview {
  const [body = '', signature = ''] = text.trim().split('.');
  if (key !== '' && !isSigned(body, { signature, key })) {
    return {
      problem:
        signature === ''
          ? 'it is not signed: the job that planned it had no review-key. Give the same one on pull requests and merges'
          : 'its signature is not that of review-key: the job that planned it had another review-key. Give the same one on pull requests and merges',
    };
  }
  const review = unpack(body);
  if (review === null) {
    return {
      problem: 'it cannot be read: it is damaged, or another version of this action wrote it',
    };
  }
  if (review.commit !== commit) return { problem: `it is of commit ${review.commit}` };
  if (review.identity !== identity) return { problem: 'it is of another cluster' };
  if (key === '' && signature !== '') {
    return {
      problem:
        'it is signed, and this job has no review-key to check it with. Give the same one on pull requests and merges',
      unchecked: true,
    };
  }
  return review;
}

function unpack(body: string): ReviewRecord | null {
  try {
    const json = gunzipSync(Buffer.from(body, 'base64'), { maxOutputLength: MAX_UNPACKED_BYTES });
    return recordSchema.parse(JSON.parse(json.toString('utf8')));
  } catch {
    return null;
  }
}

function sign(body: string, key: string): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

function isSigned(body: string, { signature, key }: { signature: string; key: string }): boolean {
  const [given, wanted] = [signature, sign(body, key)].map((text) => Buffer.from(text, 'utf8'));
  return given?.length === wanted?.length && timingSafeEqual(given as Buffer, wanted as Buffer);
}
