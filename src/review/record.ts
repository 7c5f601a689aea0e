import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { Run } from '../github/run-stamp.ts';
import type { Json } from '../terraform/attributes.ts';
import { canonicalizePlan, type PlanSummary } from '../terraform/plan.ts';
import { type PlanChanges, selectChanges } from '../terraform/plan-differences.ts';
import { parseProviderLock } from '../terraform/provider-lock.ts';
import { mapTexts } from '../terraform/sensitive.ts';

/** What was planned, in a form that two plans can be compared in. */
export interface PlanRecord {
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  /** Equal for equal plans with the same image. */
  readonly digest: string;
  /** Digest of the image that the nodes were to run; null where nobody could tell. */
  readonly image: string | null;
  /** Text of the lock file that `init` wrote for the plan; null where no provider was installed. */
  readonly providerLock: string | null;
  /** What the plan changed; null where that is too much to be kept. */
  readonly changes: PlanChanges | null;
}

/** What a plan was made for. */
export interface ReviewOrigin {
  /** `GITHUB_EVENT_NAME`. */
  readonly event: 'pull_request' | 'merge_group';
  /** The pull request that was planned, or that the merge queue is about to merge; null where nobody could tell. */
  readonly pullRequest: number | null;
  /** Short name of the branch that it was to be merged into; null where the event did not say. */
  readonly base: string | null;
  /** The run that planned it. */
  readonly run: Run;
  /** When it was kept, by GitHub's clock, in ISO 8601. */
  readonly time: string;
}

/** What was reviewed, as it is kept from the pull request to the merge. */
export interface ReviewRecord extends PlanRecord {
  readonly origin: ReviewOrigin;
}

/** A check run's text holds 65,535 characters, and a sentence goes before. */
const MAX_CHARACTERS = 60_000;
/** A record that unpacks to more than this was not written here. */
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
  // Unsigned, a record could name any program.
  providerLock: z
    .string()
    .refine((text) => parseProviderLock(text) !== null)
    .nullable(),
  // Written by `sealReview`, and signed where a key is given.
  changes: z.custom<PlanChanges>((value) => typeof value === 'object').nullable(),
});

/**
 * Describes a plan, to be kept or compared. `redact` hides what must not leave the runner; `image` is the digest that the nodes
 * are to run.
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

/** SHA-256 (hex) over the normalised changes and the image: equal for plans that do the same, whatever their text. */
export function digestReview(plan: PlanSummary, image: string | null): string {
  return createHash('sha256')
    .update(`${canonicalizePlan(selectChanges(plan))}\nimage ${image ?? 'unknown'}\n`)
    .digest('hex');
}

/** The review as text to be kept; with a `key` (not empty) signed by HMAC-SHA-256. */
export function sealReview(review: ReviewRecord, key: string): string {
  const whole = pack(review, key);
  return whole.length <= MAX_CHARACTERS ? whole : pack({ ...review, changes: null }, key);
}

/**
 * Names the apply of a review of a cluster at `commit`, so that nobody without the `key` (empty: nobody has
 * one) can say that it has begun.
 */
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

/** A review that cannot be used. */
export interface RejectedReview {
  /** Why, as a clause that begins with "it". */
  readonly problem: string;
  /** It is of this commit and cluster, and signed, and there is no key to check it with. */
  readonly unchecked?: true;
}

/**
 * Reads what `sealReview` wrote, or says why it does not count: not of this commit or cluster, damaged, not
 * signed with `key` though one is given, or signed although none is (`key` is empty).
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
