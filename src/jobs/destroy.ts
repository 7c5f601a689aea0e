import * as core from '@actions/core';
import { nameRehearsal } from '../cluster/rehearsal.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import { writeResult } from '../operations/result.ts';
import { renderRehearsalGone } from '../report/rehearsal-remark.ts';
import { type RemovalReport, renderRemovalSummary } from '../report/removal.ts';
import type { Job } from './job.ts';
import { openTerraform } from './open-terraform.ts';
import { findLeftRehearsal, type RehearsalState, removeRehearsal } from './rehearsal-state.ts';
import { removeEverything } from './remove-everything.ts';
import { closeRehearsalIssue, type RehearsalDesk } from './report-rehearsal.ts';
import { buildRunInfo } from './run-report.ts';
import { generateDirectory } from './terraform-directory.ts';

const NEXT_STEP =
  'Fix the cause and run this again: it continues with what is left. A deploy would build the cluster again.';

/**
 * Removes the cluster that a person named in the input `destroy`: stops the databases, then destroys everything that the
 * state has, and what a rehearsal of it left. Each data volume of the cluster leaves a last snapshot. A node that cannot be
 * reached does not hold the removal up.
 *
 * Nothing is remembered between runs: an interrupted removal continues when it is run again, and the removal of an empty
 * state succeeds.
 *
 * @throws UserError before anything is stopped if the state has anything but this cluster, or with Terraform's messages
 */
export async function destroyCluster(job: Job, desk: RehearsalDesk): Promise<void> {
  const { announcement, commit } = desk;
  const { name, region } = job.inputs.spec;
  const { directory } = job.workspace;
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
    // Looked for first, and removed last: the cluster does not wait for it.
    const rehearsal = await findLeftRehearsal(job);
    await generateDirectory(job);
    const { terraform, tool } = await openTerraform(job, { isRemoval: true });
    report = { ...report, run: { ...report.run, tool } };
    const { hasChanges, counts, resources, volumes } = await removeEverything(job, {
      terraform,
      isRehearsal: false,
      onPlanned: async (removal, document) => {
        const { nodes, resources, volumes } = removal;
        report = { ...report, nodes, resources: resources.length, volumes };
        core.setOutput('plan-json', await writeResult(directory, 'plan', document));
        core.setOutput('has-changes', removal.hasChanges);
        core.setOutput('to-destroy', resources.length);
      },
      onStopped: (warnings) => {
        report = { ...report, warnings };
      },
    });
    const result = { counts, outputs: {}, removed: resources, volumes };
    if (hasChanges) core.setOutput('apply-json', await writeResult(directory, 'apply', result));
    if (rehearsal !== null) await removeLeft(job, { rehearsal, ...desk });
    if (!hasChanges) {
      core.notice(`There is nothing to destroy: the state of the cluster ${name} is empty.`);
      return await finish({ state: 'nothing' });
    }
    core.notice(
      `The cluster ${name} is destroyed, and its state is empty. The last snapshots of ${volumes.length} ${volumes.length === 1 ? 'data volume' : 'data volumes'} are kept; the job summary says how to find and delete them. Remove the cluster's file and its job in the workflow: the next merge that is deployed would build the cluster again, without data.`,
    );
    await finish({ state: 'done' });
  } catch (error) {
    await finish({ state: 'failed', error: readMessage(error), nextStep: NEXT_STEP });
    throw error;
  }
}

/** Removes what a rehearsal left of a cluster that is destroyed, and closes the issue that says so. */
async function removeLeft(
  job: Job,
  { rehearsal, ...desk }: RehearsalDesk & { rehearsal: RehearsalState },
): Promise<void> {
  const { name } = job.inputs.spec;
  const left = nameRehearsal(name);
  try {
    await removeRehearsal(rehearsal);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const what = `${name} is destroyed, and ${left}, which a rehearsal had left, is not`;
    throw new UserError([`${what}: ${error.problems[0]}`, ...error.problems.slice(1)], {
      cause: error,
    });
  }
  core.notice(`${left}, which a rehearsal had left, is destroyed as well.`);
  const run = buildRunInfo(job, desk.commit);
  const comment = renderRehearsalGone({ cluster: name, run }, 'destroyed');
  // The cluster is gone, whatever GitHub answers.
  await closeRehearsalIssue(comment, { ...desk, job }).catch((cause: unknown) => {
    core.warning(`The issue of the rehearsal could not be closed: ${readMessage(cause)}`);
  });
}
