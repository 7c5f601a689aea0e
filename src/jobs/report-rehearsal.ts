import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { closeIssue, reportIssue } from '../github/issue.ts';
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
 * cancelled rehearsal proves nothing, and leaves the issue as it is.
 */
export async function reportRehearsal(
  report: RehearsalReport,
  { client, identity, announcement, redact, job }: RehearsalDesk & { job: Job },
): Promise<void> {
  const { progress } = report;
  await announcement.summarize(report, renderRehearsalSummary);
  const { repository } = job.environment;
  const issue = { repository, identity, topic: 'rehearsal' } as const;
  switch (progress.state) {
    case 'cancelled':
      return;
    case 'done': {
      core.notice(describeSuccess(report));
      const comment = redact(renderRehearsalClosed(report));
      const closing = await closeIssue(client, { ...issue, comment });
      if (closing.outcome === 'closed') core.notice(`Issue #${closing.number} is closed.`);
      if (closing.outcome === 'forbidden') warnForbidden(closing.reason);
      return;
    }
    case 'failed': {
      const { title, body } = renderRehearsalIssue({ ...report, progress });
      const text = { title: redact(title), body: redact(body) };
      const result = await reportIssue(client, { ...issue, ...text });
      if (result.outcome === 'forbidden') warnForbidden(result.reason);
      else core.warning(`The rehearsal failed: issue #${result.number} says how (${result.url}).`);
    }
  }
}

function warnForbidden(reason: string): void {
  core.warning(
    `github-token: the rehearsal could not be reported in an issue (${reason}). Give the job the permission issues: write; the job summary has the report.`,
  );
}
