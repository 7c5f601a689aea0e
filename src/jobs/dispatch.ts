import * as core from '@actions/core';
import { warnEndOfLife } from '../cluster/end-of-life.ts';
import { Checks } from '../github/check.ts';
import { createClient, type GitHubClient } from '../github/client.ts';
import { watchClock } from '../github/clock.ts';
import { ClusterChecks } from '../review/cluster-checks.ts';
import { DeployCheck } from '../review/deploy-check.ts';
import { ReviewStore } from '../review/review-store.ts';
import type { RunnableIntent } from '../runner/intent.ts';
import { reviewAbandonment } from './abandon.ts';
import { Announcement } from './announcement.ts';
import { backUp } from './back-up.ts';
import { close } from './close.ts';
import { identifyCluster } from './cluster-identity.ts';
import { deploy } from './deploy.ts';
import { destroyCluster } from './destroy.ts';
import { discardKept } from './discard.ts';
import { reportDrift } from './drift.ts';
import { EffectLabels } from './effect-labels.ts';
import { failOver } from './failover.ts';
import { awaitConsent } from './fork-consent.ts';
import type { Job } from './job.ts';
import { findNewerCommit } from './newer-commit.ts';
import { saveCheck, saveComment } from './post-state.ts';
import { rehearse } from './rehearse.ts';
import { replaceNode } from './replace.ts';
import { review } from './review.ts';
import type { RunContext } from './run-context.ts';
import { runOperation } from './single-operation.ts';
import { findTargetPullRequest, type TargetPullRequest } from './target-pull-request.ts';
import { findUnfinishedDeploy } from './unfinished-deploy.ts';

/** A job that reports to people, and its connection to GitHub. */
interface ReportingJob {
  readonly job: Job;
  readonly client: GitHubClient;
  /** Tells the clusters of one repository apart. */
  readonly identity: string;
  readonly redact: (text: string) => string;
}

/** Runs the job for `given`. */
export async function dispatch(
  given: RunnableIntent,
  options: { job: Job; notes: readonly string[]; redact: (text: string) => string },
): Promise<void> {
  const { job, notes, redact } = options;
  if (given.kind === 'operation') return runOperation(job, given.operation);

  const { environment, inputs } = job;
  const { spec, workingDirectory, clusterFile } = inputs;
  const client = createClient({
    token: inputs.githubToken,
    apiUrl: environment.apiUrl,
    log: core.info,
  });
  const now = watchClock(client);
  const { name, region } = spec;
  const identity = identifyCluster(environment, { name, region, workingDirectory, clusterFile });
  const endOfLife = warnEndOfLife(spec.imageTag, new Date().toISOString().slice(0, 10));
  const warnings = [...notes, ...(endOfLife === null ? [] : [endOfLife])];
  for (const warning of warnings) core.warning(warning);
  const reporting = { job, client, identity, redact };
  const { reviewStore, deployCheck, checks } = openReviews(reporting, now);
  const intent =
    given.kind === 'drift'
      ? ((await findUnfinishedDeploy(job, { client, deployCheck, commit: given.sha })) ?? given)
      : given;
  if (intent.kind === 'drift') {
    return reportDrift(job, { client, identity, commit: intent.sha, warnings, redact });
  }
  const target = await findTargetPullRequest(client, { intent, environment });
  const { announcement, labels } = openComment(reporting, { target, intent, checks });
  switch (intent.kind) {
    case 'review':
    case 'deploy': {
      const commit = intent.sha;
      const context: RunContext = {
        announcement,
        ...{ reviewStore, deployCheck },
        commit,
        warnings,
        pullRequest: target,
        findNewerCommit: () => findNewerCommit(client, { commit, environment }),
      };
      if (intent.kind === 'deploy') return deploy(job, context, intent);
      const { event, base } = intent;
      const pullRequest = intent.pullRequest ?? intent.queued;
      return review(job, context, {
        labels,
        origin: { event, pullRequest, base, run: environment.run },
      });
    }
    case 'failover':
      return failOver(job, { announcement, commit: intent.sha, fenced: inputs.fenced });
    case 'replace':
      return replaceNode(job, { announcement, commit: intent.sha });
    case 'discard':
      return discardKept(job, { announcement, commit: intent.sha });
    case 'backup':
      return backUp(job, { announcement, commit: intent.sha });
    case 'rehearse':
      return rehearse(job, { ...reporting, announcement, commit: intent.sha });
    case 'abandon':
      return reviewAbandonment(job, { announcement, intent });
    case 'destroy':
      return destroyCluster(job, { ...reporting, announcement, commit: intent.sha });
    case 'close':
      return close(job, announcement);
    case 'await':
      return awaitConsent(job, {
        announcement,
        labels,
        label: inputs.allowPlanLabel,
        commit: intent.sha,
      });
  }
}

/** Opens the cluster's comment and labels on the pull request, if there is one. */
function openComment(
  { job, client, identity, redact }: ReportingJob,
  {
    target: { number },
    intent,
    checks,
  }: { target: TargetPullRequest; intent: RunnableIntent; checks: ClusterChecks },
): { announcement: Announcement; labels: EffectLabels } {
  const { repository, run } = job.environment;
  const shared = job.inputs.comment === 'shared';
  const commit = 'sha' in intent ? { commit: intent.sha } : {};
  const comment = number === null ? null : { repository, number, identity, run, shared, ...commit };
  if (comment === null) core.info('No pull request to comment on; the job summary has the report.');
  else saveComment(comment);
  if (shared && comment !== null) checks.recordSections(comment);
  return {
    announcement: new Announcement({ client, comment, redact }),
    labels: new EffectLabels({ client, pullRequest: comment, prefix: job.inputs.labelPrefix }),
  };
}

/** Opens the check runs that keep reviews and deploys. */
function openReviews(
  { job, client, identity, redact }: ReportingJob,
  now: () => Date,
): Pick<RunContext, 'reviewStore' | 'deployCheck'> & { checks: ClusterChecks } {
  const { spec, secrets } = job.inputs;
  const checks = new ClusterChecks({
    checks: new Checks(client, job.environment.repository),
    identity,
    cluster: spec.name,
    redact,
  });
  const key = secrets.reviewKey;
  const deployCheck = new DeployCheck({ checks, key, onChange: saveCheck });
  const reviewStore = new ReviewStore({ checks, deployCheck, key, now, redact });
  return { checks, deployCheck, reviewStore };
}
