import * as core from '@actions/core';
import { UserError } from '../errors.ts';
import type { GitHubClient } from '../github/client.ts';
import { closeIssue, reportIssue } from '../github/issue.ts';
import {
  type DriftReport,
  hasDrift,
  renderDriftClosed,
  renderDriftIssue,
  renderDriftSummary,
} from '../report/drift.ts';
import { type Redact, redactReport } from '../report/redact.ts';
import { describeRun } from './context.ts';
import {
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
  refuseForeignCluster,
} from './job.ts';
import { describeDatabase, previewRollout } from './preview.ts';

/**
 * Compares what stands with what is asked for, infrastructure and database. As long as they differ one issue
 * says how; when they no longer do it is closed. Changes nothing.
 *
 * @throws UserError where the comparison cannot be made: then an open issue stays as it is
 */
export async function reportDrift(
  job: Job,
  options: {
    client: GitHubClient;
    /** Tells the clusters of one repository apart. */
    identity: string;
    commit: string;
    warnings: readonly string[];
    redact: Redact;
  },
): Promise<void> {
  const { client, identity, commit, warnings, redact } = options;
  const { terraform, tool } = await openTerraform(job);
  await generateDirectory(job);
  await refuseForeignCluster(job, terraform);
  const plan = await planDirectory(job, terraform, { lock: false });
  const preview = await previewRollout(job, plan);
  const described = describeDatabase(job, { plan, preview });
  const report: DriftReport = {
    ...described,
    cluster: job.request.spec.name,
    plan: plan.summary,
    refusals: [],
    warnings: [...warnings, ...described.warnings],
    run: { ...describeRun(job, commit), tool, planDigest: plan.digest },
  };
  const shown = redactReport(report, redact);
  await core.summary.addRaw(redact(renderDriftSummary(shown)), true).write({ overwrite: true });
  const place = { repository: job.environment.repository, identity };
  if (!hasDrift(report) && 'notObserved' in preview.database) {
    // Who was not looked at is not known to be as asked, so an open issue stays.
    throw new UserError(
      `The infrastructure is what is asked for, but the nodes could not be looked at: ${preview.database.notObserved}`,
    );
  }
  if (!hasDrift(report)) {
    core.info('No drift: infrastructure and database are what is asked for.');
    const closing = await closeIssue(client, { ...place, comment: renderDriftClosed(shown.run) });
    if (closing.outcome === 'closed')
      core.notice(`Issue #${closing.number} is closed: the drift is gone.`);
    if (closing.outcome === 'forbidden') warnForbidden(closing.reason);
    return;
  }
  const { title, body } = renderDriftIssue(shown);
  const issue = await reportIssue(client, { ...place, title: redact(title), body: redact(body) });
  if (issue.outcome === 'forbidden') warnForbidden(issue.reason);
  else core.warning(`There is drift: issue #${issue.number} says how (${issue.url}).`);
}

function warnForbidden(reason: string): void {
  core.warning(
    `github-token: the drift could not be reported in an issue (${reason}). Give the job the permission issues: write; the job summary has the report.`,
  );
}
