import { describeFreshNode } from '../cluster/observation.ts';
import { rollout } from '../cluster/rollout.ts';
import { type ClusterSpec, imageReference, nodeName } from '../cluster/spec.ts';
import { CancelledError } from '../errors.ts';
import { renderDeployComment } from '../report/deploy-comment.ts';
import { type PlanReport, renderPlanComment } from '../report/plan-comment.ts';
import type { RunInfo } from '../report/run.ts';
import type { DatabasePlan } from '../report/steps.ts';
import { renderDeploySummary, renderPlanSummary } from '../report/summary.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import type { Announcement } from './announcement.ts';
import { generateDirectory, type Job, openTerraform, planDirectory } from './job.ts';

/** What a pull request would do: generate, plan, comment. */
export async function review(
  job: Job,
  options: { announcement: Announcement; commit: string; warnings: readonly string[] },
): Promise<void> {
  const { announcement, commit, warnings } = options;
  const { request } = job;
  const cluster = request.spec.name;
  const run: RunInfo = {
    commit,
    url: job.environment.runUrl,
    time: new Date(),
    terraformVersion: null,
    planDigest: null,
  };
  try {
    const { terraform, binary } = await openTerraform(job);
    await generateDirectory(job);
    const plan = await planDirectory(job, terraform, { lock: false });
    const report: PlanReport = {
      cluster,
      plan: plan.summary,
      planText: plan.text,
      database: planDatabase(request.spec, plan.summary),
      warnings,
      run: { ...run, terraformVersion: binary.version, planDigest: plan.digest },
    };
    await announcement.summarize(renderPlanSummary(report));
    await announcement.publish(renderPlanComment(report));
  } catch (error) {
    // A cancelled plan was overtaken by a newer one, which has the comment now.
    if (error instanceof CancelledError) throw error;
    // An older plan must not stand there as if it were this commit's.
    const failed = {
      cluster,
      progress: {
        state: 'failed',
        phase: 'planning',
        error: error instanceof Error ? error.message : String(error),
        nextStep: 'Nothing was changed. Mend what it says and push again.',
      },
      plan: null,
      steps: null,
      proof: [],
      warnings,
      run,
    } as const;
    await announcement.summarize(renderDeploySummary(failed));
    await announcement.publish(renderDeployComment(failed));
    throw error;
  }
}

/**
 * What the database goes through. Of a first deploy all is known: fresh nodes. For a cluster that exists the
 * nodes would have to be asked, which a pull request must not.
 */
function planDatabase(spec: ClusterSpec, plan: PlanSummary): DatabasePlan {
  const volumes = plan.resources.filter(({ type }) => type === 'aws_ebs_volume');
  if (volumes.length === 0 || volumes.some(({ action }) => action !== 'create')) {
    return { notObserved: 'a pull request does not log in to the nodes.' };
  }
  const names = Array.from({ length: spec.replicaCount + 1 }, (_, index) => nodeName(index + 1));
  const unknown = { instanceId: '', privateAddress: '', publicAddress: '', volumeId: '', zone: '' };
  return rollout(names.map(describeFreshNode), {
    name: spec.name,
    nodes: names.map((name) => ({ name, ...unknown })),
    image: imageReference(spec),
    settings: spec.settings,
    clientCidrs: spec.clientCidrs,
  });
}
