import * as core from '@actions/core';
import { listActionComments } from '../github/action-comments.ts';
import { Checks } from '../github/check.ts';
import { createClient, type GitHubClient } from '../github/client.ts';
import { MARKER_PREFIX } from '../github/marker.ts';
import type { ClusterIdentity } from '../inputs/cluster-identity.ts';
import { limitAnnotations } from '../inputs/limit-annotations.ts';
import { RefusedInputsError } from '../inputs/refused-inputs-error.ts';
import { REGIONS } from '../inputs/regions.ts';
import { readMessage, type UserError } from '../messages/errors.ts';
import { renderDeployShort, renderDeployTitle } from '../report/deploy-comment.ts';
import type { DeployReport } from '../report/deploy-report.ts';
import { renderRedacted } from '../report/redact.ts';
import { renderDeploySummary } from '../report/summary.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import type { Intent } from '../runner/intent.ts';
import { Announcement } from './announcement.ts';
import { identifyCluster } from './cluster-identity.ts';
import { EffectLabels } from './effect-labels.ts';
import { publishDeployReport } from './run-report.ts';
import { findTargetPullRequest } from './target-pull-request.ts';

/** A run whose inputs are refused. */
export interface RefusedRun {
  /** Empty: none. */
  readonly token: string;
  readonly intent: Intent;
  readonly environment: RunnerEnvironment;
  readonly redact: (text: string) => string;
}

/**
 * Reports refused inputs on the pull request of a review or a deploy: in the cluster's comment, in place of an older plan.
 * A review also gets a failed check run of the plan and no labels. If the inputs do not identify the cluster, or GitHub
 * refuses, only the log has the problems. Never throws.
 */
export async function announceRefusedInputs(error: UserError, run: RefusedRun): Promise<void> {
  try {
    await announce(error, run);
  } catch (failure) {
    core.warning(
      `The problems could not be reported on the pull request (${readMessage(failure)}). The log has all of them.`,
    );
  }
}

async function announce(error: UserError, run: RefusedRun): Promise<void> {
  const { token, intent, environment, redact } = run;
  const { problems } = error;
  const cluster = error instanceof RefusedInputsError ? error.cluster : null;
  if ((intent.kind !== 'review' && intent.kind !== 'deploy') || token === '') return;
  if (cluster === null) {
    core.info('The inputs do not say which cluster this is, so no comment is updated.');
    return;
  }
  const { repository, run: stamp, apiUrl } = environment;
  const client = createClient({ token, apiUrl, log: core.info });
  const report = buildReport(problems, { run, name: cluster.name, commit: intent.sha });

  if (intent.kind === 'review') {
    const outcome = await new Checks(client, repository).create(intent.sha, {
      name: `PostgreSQL plan: ${cluster.name}`,
      title: renderRedacted(report, { render: renderDeployTitle, redact }),
      summary: renderRedacted(report, { render: renderDeployShort, redact }),
      status: 'completed',
      conclusion: 'failure',
    });
    if (outcome.outcome === 'forbidden') core.info(`No check run was created (${outcome.reason}).`);
  }

  const { number } = await findTargetPullRequest(client, { intent, environment });
  const identity =
    number === null ? null : await findIdentity(client, { environment, number, cluster });
  if (number === null || identity === null) return;
  const comment = {
    ...{ repository, number, identity, run: stamp },
    shared: cluster.shared,
    commit: intent.sha,
  };
  const announcement = new Announcement({ client, comment, redact });
  await announcement.summarize(report, renderDeploySummary);
  await publishDeployReport(announcement, report);
  const prefix = cluster.labelPrefix;
  if (intent.kind === 'review')
    await new EffectLabels({ client, pullRequest: comment, prefix }).show([]);
}

/** Returns the identity of the cluster's comment; without a valid region, that of an existing comment in any region. */
async function findIdentity(
  client: GitHubClient,
  options: { environment: RunnerEnvironment; number: number; cluster: ClusterIdentity },
): Promise<string | null> {
  const { environment, number, cluster } = options;
  const identify = (region: string) =>
    identifyCluster(environment, { ...cluster, clusterFile: cluster.path, region });
  if (cluster.region !== null) return identify(cluster.region);
  const { repository } = environment;
  const own = await listActionComments(client, { repository, number, marker: MARKER_PREFIX });
  return (
    REGIONS.map(identify).find((identity) =>
      own.some(({ body }) => body.includes(`: ${identity} -->`)),
    ) ?? null
  );
}

function buildReport(
  problems: readonly string[],
  { run, name, commit }: { run: RefusedRun; name: string; commit: string },
): DeployReport {
  const { runUrl, actionRef, docsUrl } = run.environment;
  return {
    cluster: name,
    progress: {
      state: 'failed',
      phase: 'checking the inputs',
      error: limitAnnotations(problems).annotations.map(run.redact).join('\n'),
      nextStep: 'Nothing was changed. Correct what the messages name and push again.',
    },
    plan: null,
    steps: null,
    work: [],
    proof: [],
    reviewed: null,
    notes: [],
    warnings: [],
    run: {
      commit,
      url: runUrl,
      time: new Date(),
      action: actionRef,
      docs: docsUrl,
      tool: null,
      planDigest: null,
    },
  };
}
