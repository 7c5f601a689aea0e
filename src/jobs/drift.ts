import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { closeIssue, reportIssue } from '../github/issue.ts';
import { UserError } from '../messages/errors.ts';
import {
  type DriftReport,
  describeNoDrift,
  explainPasswords,
  judgeDrift,
  renderDriftClosed,
  renderDriftIssue,
  renderDriftSummary,
} from '../report/drift.ts';
import { describeFaults } from '../report/faults.ts';
import { type Redact, redactReport } from '../report/redact.ts';
import {
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
  refuseForeignCluster,
} from './job.ts';
import { buildDatabasePlan, buildNodeAccess, previewRollout } from './preview.ts';
import { buildRunInfo } from './run-context.ts';

/**
 * Compares what stands with what is asked for, infrastructure and database. As long as they differ one issue
 * says how; when they no longer do it is closed. Without a private key only the infrastructure is compared, and an open
 * issue stays as it is. Changes nothing.
 *
 * @throws UserError where the nodes were to be looked at and could not be: then an open issue stays as it is
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
  const described = buildDatabasePlan(job, { plan, preview });
  const faults = describeFaults(preview.observed, preview.desired);
  const report: DriftReport = {
    ...described,
    cluster: job.inputs.spec.name,
    plan: plan.summary,
    refusals: [],
    // These are said apart.
    warnings: [...warnings, ...described.warnings].filter((text) => !faults.includes(text)),
    faults,
    notChecked: preview.observed.length === 0 ? null : explainPasswords(findMissingPasswords(job)),
    run: { ...buildRunInfo(job, commit), tool, planDigest: plan.digest },
  };
  const shown = redactReport(report, redact);
  await core.summary.addRaw(redact(renderDriftSummary(shown)), true).write({ overwrite: true });
  const place = { repository: job.environment.repository, identity };
  const finding = judgeDrift(report, { canLogIn: buildNodeAccess(job) !== null });
  switch (finding.kind) {
    case 'drift': {
      const { title, body } = renderDriftIssue(shown);
      const text = { title: redact(title), body: redact(body) };
      const issue = await reportIssue(client, { ...place, ...text });
      if (issue.outcome === 'forbidden') warnForbidden(issue.reason);
      else core.warning(`There is drift: issue #${issue.number} says how (${issue.url}).`);
      return;
    }
    case 'none': {
      core.info(describeNoDrift(report));
      const closing = await closeIssue(client, { ...place, comment: renderDriftClosed(shown) });
      if (closing.outcome === 'closed')
        core.notice(`Issue #${closing.number} is closed: the drift is gone.`);
      if (closing.outcome === 'forbidden') warnForbidden(closing.reason);
      return;
    }
    // Who was not looked at is not known to be as asked, so in both cases an open issue stays.
    case 'infrastructure only':
      core.notice(
        'No drift of the infrastructure. The nodes were not looked at, as ssh-private-key is not given, so an open issue stays open. Give it to this job to have the database compared as well, or close the issue by hand.',
      );
      return;
    case 'unreachable':
      throw new UserError(
        `The infrastructure is what is asked for, but the nodes could not be looked at: ${finding.reason}`,
      );
  }
}

/** The inputs of the passwords that a look at the nodes could not check. */
function findMissingPasswords({ inputs }: Job): Parameters<typeof explainPasswords>[0] {
  const { postgresPassword, replicationPassword } = inputs.secrets;
  return [
    ...(postgresPassword === '' ? (['postgres-password'] as const) : []),
    ...(replicationPassword === '' ? (['replication-password'] as const) : []),
  ];
}

function warnForbidden(reason: string): void {
  core.warning(
    `github-token: the drift could not be reported in an issue (${reason}). Give the job the permission issues: write; the job summary has the report.`,
  );
}
