import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { closeIssue, type IssueRef, reportIssue } from '../github/issue.ts';
import type { Redact } from '../report/redact.ts';
import {
  describeSuccess,
  type RehearsalReport,
  renderRehearsalClosed,
  renderRehearsalIssue,
  renderRehearsalSummary,
} from '../report/rehearsal.ts';
import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';

/** Where a rehearsal is reported. */
export interface RehearsalDesk {
  readonly client: GitHubClient;
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  readonly announcement: Announcement;
  readonly commit: string;
  readonly redact: Redact;
}

/**
 * Writes the last report on a rehearsal: the job summary, and an issue that is open from a failure to the next success. A
 * cancelled rehearsal proves nothing, and leaves the text of the issue as it is; `post` says there what is left.
 */
export async function reportRehearsal(
  report: RehearsalReport,
  { client, identity, announcement, redact, job }: RehearsalDesk & { job: Job },
): Promise<void> {
  const { progress } = report;
  await announcement.summarize(report, renderRehearsalSummary);
  switch (progress.state) {
    case 'cancelled':
      return;
    case 'done':
      core.notice(describeSuccess(report));
      return closeRehearsalIssue(renderRehearsalClosed(report), { client, identity, redact, job });
    case 'failed': {
      const { title, body } = renderRehearsalIssue({ ...report, progress });
      const text = { title: redact(title), body: redact(body) };
      const result = await reportIssue(client, { ...locateIssue({ identity, job }), ...text });
      if (result.outcome === 'forbidden') warnForbidden(result.reason);
      else core.warning(`The rehearsal failed: issue #${result.number} says how (${result.url}).`);
    }
  }
}

/** Closes the issue on the rehearsals of the cluster, with a last comment in Markdown. */
export async function closeRehearsalIssue(
  comment: string,
  {
    client,
    identity,
    redact,
    job,
  }: Pick<RehearsalDesk, 'client' | 'identity' | 'redact'> & { job: Job },
): Promise<void> {
  const closing = await closeIssue(client, {
    ...locateIssue({ identity, job }),
    comment: redact(comment),
  });
  if (closing.outcome === 'closed') core.notice(`Issue #${closing.number} is closed.`);
  if (closing.outcome === 'forbidden') warnForbidden(closing.reason);
}

/** Returns where the rehearsals of the cluster are reported. */
export function locateIssue({ identity, job }: { identity: string; job: Job }): IssueRef {
  return { repository: job.environment.repository, identity, topic: 'rehearsal' };
}

function warnForbidden(reason: string): void {
  core.warning(
    `github-token: the rehearsal could not be reported in an issue (${reason}). Give the job the permission issues: write; the job summary has the report.`,
  );
}
