import type { GitHubClient, Repository } from '../github/client.ts';
import { mayWrite } from '../github/permission.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { renderDeploySummary } from '../report/summary.ts';
import type { Consent } from '../runner/intent.ts';
import type { Announcement } from './announcement.ts';
import type { EffectLabels } from './effect-labels.ts';
import type { Job } from './job.ts';
import { beginReport, publishDeployReport } from './run-report.ts';

/**
 * Checks whether a label on a fork's pull request requests a plan: it must be `allowPlanLabel`, set by an account that now
 * has write access. Until then nothing of the pull request is read.
 *
 * @param options.allowPlanLabel null: no fork's pull request is planned
 * @returns null if it does, else why not, as a clause
 * @throws what `mayWrite` throws
 */
export async function checkConsent(
  client: GitHubClient,
  options: {
    readonly repository: Repository;
    readonly consent: Consent;
    readonly allowPlanLabel: string | null;
  },
): Promise<string | null> {
  const { repository, consent, allowPlanLabel } = options;
  const { label, by } = consent;
  if (allowPlanLabel === null) {
    return 'allow-plan-label names no label, so no pull request from a fork is planned.';
  }
  // GitHub treats label names that differ only in case as equal.
  if (label.toLowerCase() !== allowPlanLabel.toLowerCase()) {
    return `the label ${quoteValue(label)} was set, and a pull request from a fork is planned when ${quoteValue(allowPlanLabel)} is (allow-plan-label).`;
  }
  if (await mayWrite(client, { repository, login: by })) return null;
  return `the label ${quoteValue(label)} was set by ${by}, who has no write access to this repository. Somebody who has it takes the label off and puts it on again to ask for a plan.`;
}

/** Replaces the plan in a fork's comment with how to request one, and removes the plan's labels. */
export async function awaitConsent(
  job: Job,
  options: {
    readonly announcement: Announcement;
    readonly labels: EffectLabels;
    /** The label that requests a plan; null: no fork's pull request is planned. */
    readonly label: string | null;
    /** Full SHA of the pull request's last commit. */
    readonly commit: string;
  },
): Promise<void> {
  const { announcement, labels, label, commit } = options;
  const progress = { state: 'awaiting', label, commit } as const;
  const report = { ...beginReport(job, { commit }), progress };
  await announcement.summarize(report, renderDeploySummary);
  await publishDeployReport(announcement, report);
  await labels.show([]);
}
