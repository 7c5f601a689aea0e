import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { SUBSTITUTE_KEY } from '../inputs/ssh-key.ts';
import { UserError } from '../messages/errors.ts';
import { stopDatabases } from '../operations/stop-databases.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { type ExistingNodes, readExistingNodes } from '../terraform/existing-nodes.ts';
import { readStateBefore, refuseForeignState } from '../terraform/outputs.ts';
import { type Permit, permit } from '../terraform/permit.ts';
import { type PlanSummary, summarizePlan } from '../terraform/plan.ts';
import { parsePlan } from '../terraform/plan-document.ts';
import { type Destroyed, listDestroyed } from '../terraform/removal.ts';
import type { Job } from './job.ts';
import { buildNodeAccess } from './node-access.ts';
import { readTerraformState, refuseForeignCluster } from './open-terraform.ts';
import { survivorOptions } from './post-state.ts';

/** What was, or is to be, destroyed. */
export interface Removal extends Destroyed {
  readonly counts: PlanSummary['counts'];
  /** False: the state is empty. */
  readonly hasChanges: boolean;
}

/** The removal that is planned and permitted. */
interface PlannedRemoval {
  readonly permitted: Permit;
  /** The plan as JSON. */
  readonly document: unknown;
  readonly existing: ExistingNodes;
  readonly endpointId: string | null;
}

/** How everything is removed, and who is told. */
export interface RemovalOptions {
  readonly terraform: Terraform;
  /**
   * Whether the state may only be a rehearsal's. Its data volumes leave no snapshot, so its databases are not stopped first,
   * and a state with a volume that leaves one is refused.
   */
  readonly isRehearsal: boolean;
  /** Called once the removal is permitted, before anything is stopped. */
  readonly onPlanned?: (removal: Removal, document: unknown) => Promise<void>;
  /** Called with what could not be stopped, before anything is destroyed. */
  readonly onStopped?: (warnings: readonly string[]) => void;
}

/**
 * Destroys everything that the state has, if all of it is this cluster's. Nothing is remembered between runs: an interrupted
 * removal continues when it is called again, and the removal of an empty state succeeds. The job's Terraform directory must
 * have been generated.
 *
 * @throws UserError before anything is stopped if the state has anything but this cluster, or with Terraform's messages
 */
export async function removeEverything(
  job: Job,
  { terraform, isRehearsal, onPlanned, onStopped }: RemovalOptions,
): Promise<Removal> {
  const planned = await planRemoval(job, { terraform, isRehearsal });
  const { permitted, document, existing, endpointId } = planned;
  const { counts, hasChanges } = permitted.summary;
  const removal = { ...listDestroyed(permitted.summary), counts, hasChanges };
  await onPlanned?.(removal, document);
  if (!hasChanges) return removal;
  if (!isRehearsal) {
    const access = buildNodeAccess(job, endpointId);
    const warnings = await stopDatabases(access, { existing, spec: job.inputs.spec });
    for (const warning of warnings) core.warning(warning);
    onStopped?.(warnings);
  }
  await logGroup('Destroy', () => terraform.apply(permitted, survivorOptions(job.workspace)));
  const left = await terraform.listState();
  if (left.length > 0) {
    throw new UserError(`Terraform's state is not empty after the removal: ${left.join(', ')}.`);
  }
  return removal;
}

async function planRemoval(
  job: Job,
  { terraform, isRehearsal }: Pick<RemovalOptions, 'terraform' | 'isRehearsal'>,
): Promise<PlannedRemoval> {
  const { workspace, keys, inputs } = job;
  const planFile = join(workspace.temporary, `${randomUUID()}.tfplan`);
  await readTerraformState(terraform);
  // What is only in that file would stay, and the removal would look complete.
  await terraform.refuseUnsavedState();
  try {
    await logGroup('Plan the removal', () =>
      // No key is made any more, but the variable must have a value.
      terraform.plan(planFile, {
        publicKey: keys?.current ?? SUBSTITUTE_KEY,
        lock: true,
        mode: 'destroy',
      }),
    );
  } catch (error) {
    // The state of another cluster may be why there is no plan, and Terraform does not say so.
    if (error instanceof UserError) await refuseForeignCluster(job, terraform);
    throw error;
  }
  const document: unknown = JSON.parse(await terraform.showJson(planFile));
  const state = readStateBefore(document);
  if (state !== null) refuseForeignState(state, inputs.spec);
  const summary = summarizePlan(document);
  const permitted = permit(
    { planFile, summary },
    { kind: 'removal', cluster: inputs.spec, isRehearsal },
  );
  const existing = readExistingNodes(parsePlan(document));
  return { permitted, document, existing, endpointId: state?.endpointId ?? null };
}
