import { canonicalizePlan } from '../terraform/plan.ts';
import { findDifferences } from '../terraform/plan-differences.ts';
import { compareProviders } from '../terraform/provider-lock.ts';
import type { PlanRecord } from './record.ts';

/**
 * Every difference between the plan of `now` and the one that was reviewed, a sentence each. `partly`: an apply of the
 * reviewed one had begun, and what is left of it is no difference.
 */
export function comparePlans(
  now: PlanRecord,
  { reviewed, partly }: { reviewed: PlanRecord; partly: boolean },
): readonly string[] {
  const provider = compareProviders(now.providerLock, reviewed.providerLock);
  const plans = compareChanges(now, { reviewed, partly });
  return provider === null ? plans : [provider, ...plans];
}

function compareChanges(
  now: PlanRecord,
  { reviewed, partly }: { reviewed: PlanRecord; partly: boolean },
): readonly string[] {
  if (now.digest === reviewed.digest) return [];
  const images = compareImages(now.image, reviewed.image);
  const digests = `The plan's digest is ${now.digest.slice(0, 12)}, the review's ${reviewed.digest.slice(0, 12)}.`;
  if (now.changes === null || reviewed.changes === null) {
    return [
      ...images,
      `${digests} The review is too large to be kept whole, so what differs cannot be named.`,
    ];
  }
  if (canonicalizePlan(now.changes) === canonicalizePlan(reviewed.changes)) return images;
  const differences = [...images, ...findDifferences(now.changes, reviewed.changes, { partly })];
  return differences.length > 0 || partly ? differences : [digests];
}

/** What nobody could tell at the review, as of nodes that were yet to come, is not held against the deploy. */
function compareImages(now: string | null, reviewed: string | null): string[] {
  if (reviewed === null || now === reviewed) return [];
  return [
    now === null
      ? `image: its registry did not say its digest, and the review saw ${reviewed}; run the job again.`
      : `image: its digest is ${now}; the review saw ${reviewed}.`,
  ];
}
