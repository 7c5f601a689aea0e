import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { SUBSTITUTE_KEY } from '../inputs/ssh-key.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import { writeResult } from '../operations/result.ts';
import { stopDatabases } from '../operations/stop-databases.ts';
import { type RemovalReport, renderRemovalSummary } from '../report/removal.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { type ExistingNodes, readExistingNodes } from '../terraform/existing-nodes.ts';
import { readStateBefore, refuseForeignState } from '../terraform/outputs.ts';
import { type Permit, permit } from '../terraform/permit.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { parsePlan } from '../terraform/plan-document.ts';
import { listDestroyed } from '../terraform/removal.ts';
import type { Announcement } from './announcement.ts';
import type { Job } from './job.ts';
import { buildNodeAccess } from './node-access.ts';
import { openTerraform, readTerraformState, refuseForeignCluster } from './open-terraform.ts';
import { survivorOptions } from './post-state.ts';
import { buildRunInfo } from './run-report.ts';
import { generateDirectory } from './terraform-directory.ts';

const NEXT_STEP =
  'Fix the cause and run this again: it continues with what is left. A deploy would build the cluster again.';

/**
 * Removes the cluster that a person named in the input `destroy`: stops the databases, then destroys everything that the
 * state has. Each data volume leaves a last snapshot. A node that cannot be reached does not hold the removal up.
 *
 * Nothing is remembered between runs: an interrupted removal continues when it is run again, and the removal of an empty
 * state succeeds.
 *
 * @throws UserError before anything is stopped if the state has anything but this cluster, or with Terraform's messages
 */
export async function destroyCluster(
  job: Job,
  { announcement, commit }: { announcement: Announcement; commit: string },
): Promise<void> {
  const { name, region } = job.inputs.spec;
  let report: RemovalReport = {
    ...{ cluster: name, region, nodes: [], resources: 0, volumes: [], warnings: [] },
    progress: { state: 'nothing' },
    run: buildRunInfo(job, commit),
  };
  const finish = (progress: RemovalReport['progress']) =>
    announcement.summarize(
      { ...report, progress, run: { ...report.run, time: new Date() } },
      renderRemovalSummary,
    );
  try {
    await generateDirectory(job);
    const { terraform, tool } = await openTerraform(job, { isRemoval: true });
    report = { ...report, run: { ...report.run, tool } };
    const { permitted, existing, endpointId } = await planRemoval(job, terraform);
    const { nodes, resources, volumes } = listDestroyed(permitted.summary);
    report = { ...report, nodes, resources: resources.length, volumes };
    core.setOutput('has-changes', permitted.summary.hasChanges);
    core.setOutput('to-destroy', resources.length);
    if (!permitted.summary.hasChanges) {
      core.notice(`There is nothing to destroy: the state of the cluster ${name} is empty.`);
      return await finish({ state: 'nothing' });
    }
    const access = buildNodeAccess(job, endpointId);
    const warnings = await stopDatabases(access, { existing, spec: job.inputs.spec });
    for (const warning of warnings) core.warning(warning);
    report = { ...report, warnings };
    await logGroup('Destroy', () => terraform.apply(permitted, survivorOptions(job.workspace)));
    const left = await terraform.listState();
    if (left.length > 0) {
      throw new UserError(`Terraform's state is not empty after the removal: ${left.join(', ')}.`);
    }
    const { directory } = job.workspace;
    const result = { counts: permitted.summary.counts, outputs: {}, removed: resources, volumes };
    core.setOutput('apply-json', await writeResult(directory, 'apply', result));
    core.notice(
      `The cluster ${name} is destroyed, and its state is empty. The last snapshots of ${volumes.length} ${volumes.length === 1 ? 'data volume' : 'data volumes'} are kept; the job summary says how to find and delete them. Remove the cluster's file and its job in the workflow: the next merge that is deployed would build the cluster again, without data.`,
    );
    await finish({ state: 'done' });
  } catch (error) {
    await finish({ state: 'failed', error: readMessage(error), nextStep: NEXT_STEP });
    throw error;
  }
}

/** Plans the removal of everything in the state, if all of it is this cluster's. */
async function planRemoval(
  job: Job,
  terraform: Terraform,
): Promise<{ permitted: Permit; existing: ExistingNodes; endpointId: string | null }> {
  const { workspace, keys, inputs } = job;
  const planFile = join(workspace.temporary, `${randomUUID()}.tfplan`);
  await readTerraformState(terraform);
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
  const permitted = permit({ planFile, summary }, { kind: 'removal', cluster: inputs.spec });
  core.setOutput('plan-json', await writeResult(workspace.directory, 'plan', document));
  const existing = readExistingNodes(parsePlan(document));
  return { permitted, existing, endpointId: state?.endpointId ?? null };
}
