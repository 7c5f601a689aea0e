import * as core from '@actions/core';
import { findImageDigest } from '../cluster/image.ts';
import type { VolumeReport } from '../cluster/volume-modification.ts';
import { isAllowed, type PermissionLabel } from '../inputs/permission-label.ts';
import { CancelledError, UserError } from '../messages/errors.ts';
import {
  renderConnectionString,
  renderPublicConnectionString,
} from '../operations/connection-string.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import type { Look } from '../operations/look.ts';
import type { PlanResult } from '../operations/plan.ts';
import { summarizeBackups } from '../report/backups.ts';
import {
  renderDeployComment,
  renderDeployShort,
  renderDeployTitle,
} from '../report/deploy-comment.ts';
import type { DeployState, Phase } from '../report/deploy-report.ts';
import { findIgnoredRestore } from '../report/ignored-restore.ts';
import { listLeftOut } from '../report/left-out.ts';
import { renderDeploySummary } from '../report/summary.ts';
import { isMergedAs } from '../review/choose-review.ts';
import { ChangedPlanError } from '../review/review-store.ts';
import { buildInstanceStates, findStopped } from '../terraform/existing-nodes.ts';
import { findOrphanedVolumes } from '../terraform/node-changes.ts';
import { type ApplyScope, explainApplyRefusal, permit } from '../terraform/permit.ts';
import { hasChangesToReview } from '../terraform/plan-differences.ts';
import { ProviderLockError } from '../terraform/provider-lock.ts';
import { configureNodes } from './configure-nodes.ts';
import { describeError } from './describe-error.ts';
import type { Job } from './job.ts';
import { LeftOutError } from './left-out-error.ts';
import {
  addLosses,
  buildPermissions,
  nameAllowersIn,
  refuseLoss,
  refuseUnseenRole,
} from './losses.ts';
import { planCluster } from './plan-cluster.ts';
import { saveEnd, saveProgress } from './post-state.ts';
import { type Preview, previewRollout } from './preview.ts';
import { createWorkPublisher } from './report-work.ts';
import type { RunContext } from './run-context.ts';
import {
  beginReport,
  concludeDeploy,
  publishDeployReport,
  showDeployReport,
} from './run-report.ts';
import { StagedApply } from './staged-apply.ts';
import { checkVolumes } from './volume-check.ts';

const NEXT_STEPS: Readonly<Record<Phase, string>> = {
  planning: 'Nothing was changed. Fix the cause and run the job again.',
  applying:
    'What was created stays. Fix the cause and run the job again: it continues with what is left.',
  configuring:
    'The infrastructure is there. Fix the cause and run the job again: it looks at every node and does the rest.',
};

const PROVIDER_NEXT_STEP =
  'Nothing was changed. Open a pull request (any edit that is planned): it plans with the provider that can be installed now, and its merge uses that one.';

/** Applies what was reviewed and merged, configures the nodes and proves replication; the comment shows each phase. */
export async function deploy(
  job: Job,
  context: RunContext,
  intent: { branch: string; pushedAt: string | null },
): Promise<void> {
  const { announcement, reviewStore, deployCheck, commit, warnings } = context;
  const { branch, pushedAt } = intent;
  const { onPlanChange } = job.inputs;
  let phase: Phase = 'planning';
  let report = beginReport(job, { commit, warnings });
  const show = () => showDeployReport(announcement, { ...report, progress: { state: phase } });
  const enter = (next: Phase) => {
    phase = next;
    saveProgress({ ...report, progress: { state: 'cancelled', phase } });
    show();
  };
  const showWork = createWorkPublisher(show);
  const finish = async (progress: DeployState) => {
    const ended = { ...report, progress, run: { ...report.run, time: new Date() } };
    // If the job is killed while it reports, the deploy has ended like this all the same.
    saveProgress(ended);
    const final = await nameAllowersIn(ended, context.pullRequest.findLabelers);
    await announcement.summarize(final, renderDeploySummary);
    const recorded = deployCheck.end(concludeDeploy(progress), {
      report: final,
      title: renderDeployTitle,
      summary: renderDeployShort,
      section: renderDeployComment,
    });
    await Promise.all([recorded, publishDeployReport(announcement, final, recorded)]);
    saveEnd(announcement);
  };

  try {
    enter('planning');
    const pull = await context.pullRequest.read();
    const merge = { commit, branch, pushedAt, pullRequest: pull };
    // A newer provider than the reviewed one would be unreviewed code.
    const stored = onPlanChange === 'fail' ? await reviewStore.find(merge) : null;
    const { plan, terraform, tool } = await planCluster(job, {
      lock: true,
      providerLock: stored?.providerLock ?? null,
    });
    report = { ...report, plan: plan.summary, run: { ...report.run, tool } };

    // Labels apply to their own pull request, not to commits pushed together with its merge.
    const labels = pull !== null && isMergedAs(pull, commit) ? pull.labels : null;
    let ground: ApplyScope = { kind: 'plan', label: job.inputs.allowDestroyLabel, labels };
    const permissions = buildPermissions(job.inputs, labels);
    const { destroy: destroyPermission, slotLoss: slotPermission } = permissions;
    const { providerLock } = plan;
    let { digest } = reviewStore.buildRecord(plan.summary, { commit, image: null, providerLock });
    const isReviewable = hasChangesToReview(plan.summary);
    let look: Look | null = null;
    // Without an apply, `configure` observes the nodes before it changes them.
    if (plan.summary.hasChanges || plan.existing.notRunning.length > 0) {
      const preview = await previewRollout(job, plan);
      look = preview.look;
      const image = findImageDigest(preview.observed);
      const review = reviewStore.buildRecord(plan.summary, { commit, image, providerLock });
      core.setOutput('plan-digest', review.digest);
      report = { ...report, run: { ...report.run, planDigest: review.digest } };
      digest = review.digest;
      if (isReviewable) {
        const { reviewed, warnings: others } = await reviewStore.requireMatch(review, {
          merge,
          overtakenBy: await context.findNewerCommit(),
          onPlanChange,
        });
        digest = reviewed?.digest ?? digest;
        report = { ...report, reviewed, warnings: [...warnings, ...others] };
      }
      ground = { ...ground, partly: report.reviewed?.partly ?? false };
      const { slotLoss, backupLoss } = preview;
      const volumes = await checkVolumes(job, plan);
      refuseBeforeApply({ plan, preview, ground, slotPermission, destroyPermission, volumes });
      report = { ...report, losses: { slotLoss, backupLoss, permissions } };
    }
    if (isReviewable)
      await deployCheck.begin(commit, { digest, required: onPlanChange === 'fail' });
    else deployCheck.resume(commit, digest);

    enter('applying');
    const stopped = findStopped(plan.existing, plan.summary);
    const stages = new StagedApply(job, {
      terraform,
      permitted: permit(plan, ground),
      digest: plan.digest,
      outputs: plan.outputs,
      endpointId: plan.state?.endpointId ?? null,
      existing: plan.existing.nodes,
      stopped,
    });
    const nodes = await stages.provision();

    enter('configuring');
    const { create, replace } = plan.nodeChanges;
    // The apply started the stopped nodes.
    const started = Object.fromEntries(stopped.map(({ name }) => [name, 'running']));
    const states = { ...buildInstanceStates(plan.existing), ...started };
    const earlierWarnings = report.warnings;
    // A later attempt may find what an earlier one restored.
    let seesRestore = job.inputs.isRestoreNew && job.environment.run.attempt === 1;
    const result = await configureNodes(job, {
      nodes,
      instanceType: job.inputs.spec.instanceType,
      memoryMib: plan.memoryMib,
      allowsSlotLoss: isAllowed(slotPermission),
      allowsBackupLoss: isAllowed(destroyPermission),
      infrastructure: stages,
      look: stages.hasTouched ? null : look,
      endpointId: stages.endpointId,
      fresh: [...create, ...replace],
      starting: plan.existing.notRunning.map(({ node }) => node.name),
      states,
      reviewedImage: stored?.image ?? null,
      labels,
      onObserved: (observed) => {
        report = { ...report, backups: summarizeBackups(observed, job.inputs.spec) };
        const ignored = seesRestore ? findIgnoredRestore(observed) : null;
        seesRestore = false;
        if (ignored !== null) report = { ...report, ignoredRestore: ignored };
      },
      onSteps: (steps) => {
        report = { ...report, steps };
      },
      onLosses: (found) => {
        const { losses = { slotLoss: null, backupLoss: null, permissions } } = report;
        report = { ...report, losses: addLosses(losses, found) };
      },
      onNotes: (notes) => {
        report = { ...report, notes };
      },
      onWork: (work) => {
        report = { ...report, work };
        saveProgress({ ...report, progress: { state: 'cancelled', phase } });
        if (work.length > 0) showWork();
      },
      onProof: (proof) => {
        report = { ...report, proof };
      },
      onFaults: (faults) => {
        report = { ...report, warnings: [...report.warnings, ...faults] };
      },
      onLeftOut: (deferral) => {
        const warnings = [...earlierWarnings, ...listLeftOut(deferral, { nodes, states })];
        report = { ...report, warnings };
      },
    });
    await finish({
      state: 'done',
      connectionString: renderConnectionString(result.nodes),
      publicConnectionString: renderPublicConnectionString(result.nodes),
      changes: result.changes.length,
    });
  } catch (error) {
    if (error instanceof ContinuingError) report = { ...report, work: error.work };
    await finish(describeFailure(error, { phase, minutes: job.inputs.waitMinutes }));
    throw error instanceof ContinuingError ? new ContinuingError(error.work, 'deploy') : error;
  }
}

function describeFailure(
  error: unknown,
  { phase, minutes }: { phase: Phase; minutes: number },
): DeployState {
  if (error instanceof CancelledError) return { state: 'cancelled', phase };
  if (error instanceof ContinuingError)
    return { state: 'continuing', run: 'deploy', nodes: error.nodes, minutes };
  if (error instanceof LeftOutError) return { state: 'incomplete', away: error.deferral.nodes };
  if (error instanceof ChangedPlanError) {
    const { differences, nextStep } = error;
    return { state: 'changed', differences, nextStep };
  }
  if (error instanceof ProviderLockError) {
    return { state: 'changed', differences: error.problems, nextStep: PROVIDER_NEXT_STEP };
  }
  const failed = { state: 'failed', phase, nextStep: NEXT_STEPS[phase] } as const;
  return { ...failed, ...describeError(error) };
}

/** Refuses the change before the infrastructure changes. */
function refuseBeforeApply(options: {
  plan: PlanResult;
  preview: Preview;
  ground: ApplyScope;
  slotPermission: PermissionLabel;
  destroyPermission: PermissionLabel;
  volumes: VolumeReport;
}): void {
  const { plan, preview, ground, slotPermission, destroyPermission, volumes } = options;
  const { database } = preview;
  const refusals = [
    ...(database.kind === 'refused' ? database.refusals : []),
    ...explainApplyRefusal(plan.summary, ground),
    ...refuseLoss(preview.slotLoss, slotPermission),
    ...refuseLoss(preview.backupLoss, destroyPermission),
    ...refuseUnseenRole(plan.summary, {
      notObserved:
        database.kind === 'unobserved'
          ? database.notObserved
          : database.kind === 'steps' && database.observeAgain
            ? 'The nodes tell it once their servers run.'
            : null,
      permission: destroyPermission,
    }),
    ...volumes.refusals,
  ];
  if (refusals.length > 0) throw new UserError(refusals);
  const removed = [...plan.nodeChanges.destroy, ...findOrphanedVolumes(plan.summary)];
  // A former primary that is started before the others were observed may become a second primary, or serve old data.
  const stopped = findStopped(plan.existing, plan.summary).map(({ name }) => name);
  const running = plan.existing.nodes.length - plan.existing.notRunning.length;
  if (database.kind === 'unobserved' && stopped.length > 0 && running > 0) {
    throw new UserError(
      `${stopped.join(', ')} would be started, but the running nodes could not be looked at first, so the primary is unknown. Nothing was changed. ${database.notObserved}`,
    );
  }
  // The label does not allow removing nodes that could not be observed.
  if (database.kind === 'unobserved' && removed.length > 0) {
    throw new UserError(
      `${removed.join(', ')} would be removed, but the nodes could not be looked at first: ${database.notObserved}`,
    );
  }
}
