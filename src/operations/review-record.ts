import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { z } from 'zod';
import type { Run } from '../github/run-stamp.ts';
import type { Json } from '../terraform/attributes.ts';
import { canonicalizePlan, type PlanSummary } from '../terraform/plan.ts';
import { parseProviderLock } from '../terraform/provider-lock.ts';
import { type PlanChanges, selectChanges } from '../terraform/review.ts';
import { mapTexts } from '../terraform/sensitive.ts';

/** What was reviewed, as it is kept from the pull request to the merge. */
export interface Review {
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  /** The run that planned it. */
  readonly run: Run;
  /** Equal for equal plans with the same image. */
  readonly digest: string;
  /** Digest of the image that the nodes were to run; null where nobody could tell. */
  readonly image: string | null;
  /** Text of the lock file that `init` wrote for the plan; null where no provider was installed. */
  readonly providerLock: string | null;
  /** What the plan changed; null where that is too much to be kept. */
  readonly changes: PlanChanges | null;
}

/** A check run's text holds 65,535 characters, and a sentence goes before. */
const MOST = 60_000;
/** A record that unpacks to more than this was not written here. */
const MOST_UNPACKED = 64 * 1024 * 1024;

const record = z.object({
  identity: z.string(),
  commit: z.string(),
  run: z.object({ id: z.number(), attempt: z.number() }),
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
 * The review of a plan. `redact` hides what must not leave the runner; `image` is the digest that the nodes
 * are to run.
 */
export function describeReview(
  plan: PlanSummary,
  options: {
    identity: string;
    commit: string;
    run: Run;
    image: string | null;
    providerLock: string | null;
    redact: (text: string) => string;
  },
): Review {
  const { identity, commit, run, image, providerLock, redact } = options;
  const changes = mapTexts(selectChanges(plan) as unknown as Json, redact) as unknown;
  return {
    identity,
    commit,
    run,
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
export function sealReview(review: Review, key: string): string {
  const whole = pack(review, key);
  return whole.length <= MOST ? whole : pack({ ...review, changes: null }, key);
}

/**
 * Names the apply of a review of a cluster at `commit`, so that nobody without the `key` (empty: nobody has
 * one) can say that it has begun.
 */
export function nameApply(
  review: Pick<Review, 'identity' | 'commit' | 'digest'>,
  key: string,
): string {
  const { identity, commit, digest } = review;
  const name = `${identity}:${digest}`;
  return key === '' ? name : `${name}:${sign(`apply ${commit} ${name}`, key)}`;
}

function pack(review: Review, key: string): string {
  const body = gzipSync(JSON.stringify(review)).toString('base64');
  return `${body}.${key === '' ? '' : sign(body, key)}`;
}

/**
 * Reads what `sealReview` wrote, or says why it is none: not of this commit or cluster, not signed with `key`
 * though one is given, or damaged.
 */
export function openReview(
  text: string,
  { key, identity, commit }: { key: string; identity: string; commit: string },
): Review | { readonly problem: string } {
  const [body = '', signature = ''] = text.trim().split('.');
  if (key !== '' && !isSigned(body, { signature, key })) {
    return {
      problem: signature === '' ? 'it is not signed' : 'its signature is not that of review-key',
    };
  }
  const review = unpack(body);
  if (review === null) return { problem: 'it cannot be read' };
  if (review.commit !== commit) return { problem: `it is of commit ${review.commit}` };
  if (review.identity !== identity) return { problem: 'it is of another cluster' };
  return review;
}

function unpack(body: string): Review | null {
  try {
    const json = gunzipSync(Buffer.from(body, 'base64'), { maxOutputLength: MOST_UNPACKED });
    return record.parse(JSON.parse(json.toString('utf8')));
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
