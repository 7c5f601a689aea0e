import { canonicalizePlan } from '../terraform/plan.ts';
import { findDifferences } from '../terraform/plan-differences.ts';
import { compareProviders } from '../terraform/provider-lock.ts';
import type { PlanRecord } from './record.ts';

/**
 * Returns every difference between the plan of `now` and the reviewed one, as sentences. `partly`: an apply of the
 * reviewed plan had begun, so the missing part is not a difference.
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
      `${digests} The review was too large to store its changes, so the differences are unknown.`,
    ];
  }
  if (canonicalizePlan(now.changes) === canonicalizePlan(reviewed.changes)) return images;
  const differences = [...images, ...findDifferences(now.changes, reviewed.changes, { partly })];
  return differences.length > 0 || partly ? differences : [digests];
}

/** Compares the images. If the review did not know its image, e.g. because no node existed yet, there is no difference. */
function compareImages(now: string | null, reviewed: string | null): string[] {
  if (reviewed === null || now === reviewed) return [];
  return [
    now === null
      ? `image: its registry did not say its digest, and the review saw ${reviewed}; run the job again.`
      : `image: its digest is ${now}; the review saw ${reviewed}.`,
  ];
}
