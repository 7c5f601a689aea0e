import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { closeIssue, hasOpenIssue, reportIssue } from '../github/issue.ts';
import { UserError } from '../messages/errors.ts';
import {
  type DriftReport,
  describeNoDrift,
  explainUnchecked,
  judgeDrift,
  renderDriftClosed,
  renderDriftIssue,
  renderDriftSummary,
  type UncheckedSecret,
} from '../report/drift-issue.ts';
import { describeFaults } from '../report/faults.ts';
import { describeOpenings } from '../report/openings.ts';
import { type Redact, redactReport } from '../report/redact.ts';
import { SLACK_PERCENT } from '../report/space-faults.ts';
import { explainFixedValues } from '../terraform/fixed-values.ts';
import type { Job } from './job.ts';
import { buildPermissions } from './losses.ts';
import { buildNodeAccess } from './node-access.ts';
import { planCluster } from './plan-cluster.ts';
import { buildDatabasePlan, previewRollout } from './preview.ts';
import { buildRunInfo } from './run-report.ts';

/**
 * Compares infrastructure and database with the spec. While they differ, one issue lists the differences; once they do
 * not, it is closed. Without a private key only the infrastructure is compared. Changes nothing.
 *
 * @throws UserError if the nodes could not be observed; then, as without a private key, an open issue stays open
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
  const { plan, tool } = await planCluster(job, { lock: false });
  const preview = await previewRollout(job, plan);
  const described = buildDatabasePlan(job, { plan, preview });
  const { repository } = job.environment;
  const issue = { repository, topic: 'drift', identity } as const;
  const alert = {
    storageAlertPercent: job.inputs.storageAlertPercent,
    slackPercent: (await hasOpenIssue(client, issue)) ? SLACK_PERCENT : 0,
  };
  const { observed, desired, now } = preview;
  const faults = [
    ...describeOpenings(plan.summary),
    ...describeFaults(observed, { ...desired, ...alert }, now),
  ];
  const report: DriftReport = {
    ...described,
    cluster: job.inputs.spec.name,
    plan: plan.summary,
    // A volume that was grown by hand: a deploy is refused until the inputs have its size.
    refusals: explainFixedValues(plan.summary),
    permissions: buildPermissions(job.inputs, null),
    // The report lists faults separately.
    warnings: [
      ...(plan.state === null && plan.existing.nodes.length === 0 ? [explainAbsence(job)] : []),
      ...warnings,
      ...described.warnings,
    ].filter((text) => !faults.includes(text)),
    faults,
    notChecked: preview.observed.length === 0 ? null : explainUnchecked(findUnchecked(job)),
    run: { ...buildRunInfo(job, commit), tool, planDigest: plan.digest },
  };
  const shown = redactReport(report, redact);
  await core.summary.addRaw(redact(renderDriftSummary(shown)), true).write({ overwrite: true });
  const finding = judgeDrift(report, { canLogIn: buildNodeAccess(job, null) !== null });
  switch (finding.kind) {
    case 'drift': {
      const { title, body } = renderDriftIssue(shown);
      const text = { title: redact(title), body: redact(body) };
      const result = await reportIssue(client, { ...issue, ...text });
      if (result.outcome === 'forbidden') warnForbidden(result.reason);
      else core.warning(`There is drift: issue #${result.number} says how (${result.url}).`);
      return;
    }
    case 'none': {
      core.info(describeNoDrift(report));
      const closing = await closeIssue(client, { ...issue, comment: renderDriftClosed(shown) });
      if (closing.outcome === 'closed')
        core.notice(`Issue #${closing.number} is closed: the drift is gone.`);
      if (closing.outcome === 'forbidden') warnForbidden(closing.reason);
      return;
    }
    // The state of the nodes is unknown, so in both cases an open issue stays open.
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

/** Explains a cluster that is described and does not exist. */
function explainAbsence({ inputs }: Job): string {
  const { spec, clusterFile } = inputs;
  const where = clusterFile === null ? 'the job that describes it' : `${clusterFile} and its job`;
  return `The cluster ${spec.name} does not exist: its state is empty. Either it was never deployed, or it was removed with command: destroy. The next deploy builds it, without data. If it is not wanted any more, remove ${where} from the repository.`;
}

/** Returns the secrets that were not given, so that those on the nodes could not be checked. */
function findUnchecked({ inputs }: Job): UncheckedSecret[] {
  const { postgresPassword, replicationPassword, backupCipherKey } = inputs.secrets;
  const isEncrypted = (inputs.spec.backup?.cipher ?? 'none') !== 'none';
  return [
    ...(postgresPassword === '' ? (['postgres-password'] as const) : []),
    ...(replicationPassword === '' ? (['replication-password'] as const) : []),
    ...(isEncrypted && backupCipherKey === '' ? (['backup-cipher-key'] as const) : []),
  ];
}

function warnForbidden(reason: string): void {
  core.warning(
    `github-token: the drift could not be reported in an issue (${reason}). Give the job the permission issues: write; the job summary has the report.`,
  );
}
