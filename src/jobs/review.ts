import * as core from '@actions/core';
import { findImageDigest } from '../cluster/image.ts';
import type { PullRequest } from '../github/pull-request.ts';
import { CancelledError, readMessage, UserError } from '../messages/errors.ts';
import { listEffects } from '../report/effects.ts';
import {
  type PlanReport,
  renderPlanComment,
  renderPlanShort,
  renderPlanTitle,
} from '../report/plan-comment.ts';
import { renderDeploySummary, renderPlanSummary } from '../report/summary.ts';
import type { ReviewOrigin } from '../review/record.ts';
import { explainFixedValues } from '../terraform/fixed-values.ts';
import { explainApplyRefusal } from '../terraform/permit.ts';
import type { EffectLabels } from './effect-labels.ts';
import type { Job } from './job.ts';
import { buildPermissions, nameAllowers, refuseLoss } from './losses.ts';
import { planCluster } from './plan-cluster.ts';
import { saveEnd, saveProgress } from './post-state.ts';
import { buildDatabasePlan, previewRollout } from './preview.ts';
import type { RunContext } from './run-context.ts';
import { beginReport, publishDeployReport, showDeployReport } from './run-report.ts';
import { checkVolumes } from './volume-check.ts';

/** The origin of a review; `ReviewStore.save` adds the time. */
type PlanOrigin = Omit<ReviewOrigin, 'time'>;

const RENDERERS = { body: renderPlanComment, short: renderPlanShort };

/** Reviews a pull request: plans, observes the nodes, publishes the report, and stores the review for the merge. */
export async function review(
  job: Job,
  context: RunContext,
  { labels, origin }: { labels: EffectLabels; origin: PlanOrigin },
): Promise<void> {
  const { announcement, commit, warnings, pullRequest } = context;
  const pull = await pullRequest.read();
  if (pull !== null && !pull.isOpen) {
    // The deploy's report stays, and no merge could use a plan any more.
    const state = pull.mergedAt === null ? 'closed' : 'merged';
    core.notice(
      `Nothing to do: pull request #${pull.number} is ${state}. To have a change planned, open another one.`,
    );
    return;
  }
  const blank = beginReport(job, { commit, warnings });
  let refusals: readonly string[];
  try {
    saveProgress({ ...blank, progress: { state: 'cancelled', phase: 'planning' } });
    showDeployReport(announcement, { ...blank, progress: { state: 'planning' } });
    const { report, problems, overtaken } = await preparePlan(job, context, origin);
    await announcement.summarize(report, renderPlanSummary);
    if (overtaken === null) {
      // The plan is stored for the merge, also if the job is killed while it reports.
      saveEnd({ undelivered: announcement.render(report, RENDERERS) });
      await Promise.all([
        announcement.publish(report, RENDERERS),
        labels.show(listEffects(report)),
      ]);
    } else {
      await publishDeployReport(announcement, {
        ...blank,
        progress: { state: 'superseded', by: overtaken },
      });
    }
    refusals = problems;
  } catch (error) {
    // The post step reports it, unless a newer run has written the comment by then.
    if (error instanceof CancelledError) throw error;
    // An older plan must not look like this commit's.
    const failed = {
      ...blank,
      progress: {
        state: 'failed',
        phase: 'planning',
        error: readMessage(error),
        nextStep: 'Nothing was changed. Fix the cause and push again.',
      },
    } as const;
    saveProgress(failed);
    await announcement.summarize(failed, renderDeploySummary);
    await Promise.all([publishDeployReport(announcement, failed), labels.show([])]);
    saveEnd(announcement);
    throw error;
  }
  saveEnd(announcement);
  // The comment has the refusals; a red check prevents the merge.
  if (refusals.length > 0) throw new UserError(refusals);
}

/**
 * Plans, and stores the plan for the merge. `problems`: why a merge is refused as things are; `overtaken`: why the plan is
 * out of date by now, as a sentence.
 */
async function preparePlan(
  job: Job,
  { reviewStore, commit, warnings, pullRequest }: RunContext,
  origin: PlanOrigin,
): Promise<{ report: PlanReport; problems: readonly string[]; overtaken: string | null }> {
  const { plan, tool } = await planCluster(job, { lock: false });
  const preview = await previewRollout(job, plan);
  const image = findImageDigest(preview.observed);
  const planRecord = reviewStore.buildRecord(plan.summary, {
    commit,
    image,
    providerLock: plan.providerLock,
  });
  core.setOutput('plan-digest', planRecord.digest);
  const [pull, volumes] = await Promise.all([pullRequest.read(), checkVolumes(job, plan)]);
  const described = buildDatabasePlan(job, { plan, preview });
  const permissions = await nameAllowers(
    {
      plan: plan.summary,
      slotLoss: described.slotLoss,
      backupLoss: described.backupLoss,
      permissions: buildPermissions(job.inputs, pull?.labels ?? null),
    },
    pullRequest.findLabelers,
  );
  const problems = [
    ...explainApplyRefusal(plan.summary, { kind: 'plan', ...permissions.destroy }),
    ...refuseLoss(preview.slotLoss, permissions.slotLoss),
    ...refuseLoss(preview.backupLoss, permissions.destroy),
    ...(preview.database.kind === 'refused' ? preview.database.refusals : []),
  ];
  const report: PlanReport = {
    ...described,
    cluster: job.inputs.spec.name,
    plan: plan.summary,
    refusals: explainFixedValues(plan.summary),
    permissions,
    warnings: [
      ...warnings,
      ...described.warnings,
      ...volumes.refusals.map((refusal) => `The merge would be refused now: ${refusal}`),
    ],
    volumeNotes: volumes.notes,
    run: { ...beginReport(job, { commit }).run, tool, planDigest: planRecord.digest },
  };
  // Stored before the comment shows the plan, so that every merge finds it.
  if (pull !== null && !pull.isOpen)
    core.warning(`Pull request #${pull.number} is closed: this plan is not stored for a merge.`);
  else
    await reviewStore.save(planRecord, {
      view: {
        report,
        title: renderPlanTitle,
        summary: renderPlanShort,
        section: renderPlanComment,
      },
      origin,
      refused: problems.length > 0,
    });
  const overtaken = pullRequest.number === null ? null : findOvertaking(pull, { commit, origin });
  return { report, problems, overtaken };
}

/** Returns what happened to a pull request while it was planned, as a sentence; null if the plan is up to date. */
function findOvertaking(
  pull: PullRequest | null,
  { commit, origin }: { commit: string; origin: PlanOrigin },
): string | null {
  if (pull === null) return null;
  if (!pull.isOpen) return `It was ${pull.mergedAt === null ? 'closed' : 'merged'} meanwhile.`;
  if (pull.headSha !== commit) {
    return `${pull.headSha.slice(0, 7)} was pushed meanwhile; its own run says what it would do.`;
  }
  if (pull.baseRef !== origin.base) {
    return `It is to be merged into ${pull.baseRef} by now; the run of that change says what it would do.`;
  }
  return null;
}
