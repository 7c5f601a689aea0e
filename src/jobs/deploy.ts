import { CancelledError, UserError } from '../errors.ts';
import { renderConnectionString } from '../operations/configure.ts';
import type { PlanResult } from '../operations/plan.ts';
import {
  type DeployReport,
  type DeployState,
  type Phase,
  renderDeployComment,
} from '../report/deploy-comment.ts';
import { renderDeploySummary } from '../report/summary.ts';
import { describeNodes } from '../terraform/stage.ts';
import { rememberProgress } from './afterwards.ts';
import type { Announcement } from './announcement.ts';
import {
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
  refuseForeignCluster,
} from './job.ts';
import { configureNodes } from './operation.ts';
import { previewRollout } from './preview.ts';
import { Stages } from './stages.ts';

const NEXT_STEPS: Readonly<Record<Phase, string>> = {
  planning: 'Nothing was changed. Mend what it says and run the job again.',
  applying:
    'What was created stays. Mend what it says and run the job again: it continues with what is left.',
  configuring:
    'The infrastructure is there. Mend what it says and run the job again: it looks at every node and does the rest.',
};

/** Applies what was merged, configures the nodes, proves replication; the comment follows each phase. */
export async function deploy(
  job: Job,
  options: { announcement: Announcement; commit: string; warnings: readonly string[] },
): Promise<void> {
  const { announcement, commit, warnings } = options;
  let phase: Phase = 'planning';
  let report: Omit<DeployReport, 'progress'> = {
    cluster: job.request.spec.name,
    plan: null,
    steps: null,
    proof: [],
    warnings,
    run: {
      commit,
      url: job.environment.runUrl,
      time: new Date(),
      terraformVersion: null,
      planDigest: null,
    },
  };
  const enter = async (next: Phase) => {
    phase = next;
    rememberProgress({ ...report, progress: { state: 'cancelled', phase } });
    await announcement.publish(renderDeployComment({ ...report, progress: { state: phase } }));
  };
  const finish = async (progress: DeployState) => {
    const final = { ...report, progress, run: { ...report.run, time: new Date() } };
    await announcement.summarize(renderDeploySummary(final));
    await announcement.publish(renderDeployComment(final));
    rememberProgress(null);
  };

  try {
    await generateDirectory(job);
    const { terraform, binary } = await openTerraform(job);
    await refuseForeignCluster(job, terraform);
    const plan = await planDirectory(job, terraform, { lock: true });
    report = {
      ...report,
      plan: plan.summary,
      run: { ...report.run, terraformVersion: binary.version, planDigest: plan.digest },
    };

    // Where nothing is applied the nodes are looked at anyway before anything is done to them.
    if (plan.summary.hasChanges || plan.standing.halted.length > 0) await refuseEarly(job, plan);

    await enter('applying');
    const standing = plan.standing.nodes;
    const stages = new Stages(job, { terraform, reviewed: plan, standing });
    const nodes = await stages.provision();

    await enter('configuring');
    const result = await configureNodes(job, {
      nodes,
      instanceType: job.request.spec.instanceType,
      memoryMib: plan.memoryMib,
      infrastructure: stages,
      onSteps: (steps) => {
        report = { ...report, steps };
      },
      onProof: (proof) => {
        report = { ...report, proof };
      },
    });
    await finish({
      state: 'done',
      connectionString: renderConnectionString(result.nodes),
      changes: result.changes.length,
    });
  } catch (error) {
    await finish(
      error instanceof CancelledError
        ? { state: 'cancelled', phase }
        : {
            state: 'failed',
            phase,
            error: error instanceof Error ? error.message : String(error),
            nextStep: NEXT_STEPS[phase],
          },
    );
    throw error;
  }
}

/** What speaks against the rollout must be said before the infrastructure changes. */
async function refuseEarly(job: Job, plan: PlanResult): Promise<void> {
  const preview = await previewRollout(job, plan);
  if ('refusals' in preview && preview.refusals.length > 0) throw new UserError(preview.refusals);
  const { destroy } = describeNodes(plan.summary);
  // What nobody could look at must not be destroyed on somebody's word.
  if ('notObserved' in preview && destroy.length > 0) {
    throw new UserError(
      `${destroy.join(', ')} would be removed, but the nodes could not be looked at first: ${preview.notObserved}`,
    );
  }
}
