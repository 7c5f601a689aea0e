import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { UserError } from '../messages/errors.ts';
import { type PlanResult, plan } from '../operations/plan.ts';
import type { Tool } from '../report/footer.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { refuseForeignState } from '../terraform/outputs.ts';
import { requireFittingEndpoint } from './given-endpoint.ts';
import type { Job } from './job.ts';
import { openTerraform, readTerraformState, refuseForeignCluster } from './open-terraform.ts';
import { generateDirectory } from './terraform-directory.ts';

/** A plan of the cluster, and the Terraform that made it. */
interface PlannedCluster {
  readonly plan: PlanResult;
  readonly terraform: Terraform;
  readonly tool: Tool;
}

/**
 * Generates the Terraform files from the inputs and plans them against the cluster's state.
 *
 * @param options.lock whether the plan locks the state; see `planDirectory`
 * @param options.providerLock see `openTerraform`
 * @throws UserError if the state is of another cluster, or with Terraform's messages
 */
export async function planCluster(
  job: Job,
  { lock, providerLock = null }: { lock: boolean; providerLock?: string | null },
): Promise<PlannedCluster> {
  await generateDirectory(job);
  const { terraform, tool } = await openTerraform(job, { providerLock });
  await readTerraformState(terraform);
  return { plan: await planOwnCluster(job, terraform, { lock }), terraform, tool };
}

/**
 * Plans the generated directory, and refuses the state of another cluster. The plan tells whose it is: no command reads the
 * state just for that.
 *
 * @throws UserError if the state is of another cluster, or with Terraform's messages
 */
export async function planOwnCluster(
  job: Job,
  terraform: Terraform,
  { lock }: { lock: boolean },
): Promise<PlanResult> {
  let plan: PlanResult;
  try {
    plan = await planDirectory(job, terraform, { lock });
  } catch (error) {
    // The state of another cluster may be why there is no plan, and Terraform does not say so.
    if (error instanceof UserError) await refuseForeignCluster(job, terraform);
    throw error;
  }
  if (plan.state !== null) refuseForeignState(plan.state, job.inputs.spec);
  return plan;
}

/**
 * Plans the generated directory and sets the outputs that describe the plan. A plan that will not be applied takes no
 * lock: it neither waits for a deploy nor delays one.
 */
export async function planDirectory(
  job: Job,
  terraform: Terraform,
  { lock }: { lock: boolean },
): Promise<PlanResult> {
  const result = await logGroup('Plan', () =>
    plan(terraform, {
      directory: job.workspace.directory,
      planFile: join(job.workspace.temporary, `${randomUUID()}.tfplan`),
      publicKey: job.keys?.current ?? null,
      lock,
    }),
  );
  requireFittingEndpoint(job, result);
  const { counts, hasChanges } = result.summary;
  core.setOutput('has-changes', hasChanges);
  core.setOutput('to-add', counts.add);
  core.setOutput('to-change', counts.change);
  core.setOutput('to-replace', counts.replace);
  core.setOutput('to-destroy', counts.destroy);
  core.setOutput('plan-digest', result.digest);
  core.setOutput('plan-json', result.jsonFile);
  return result;
}
