import * as core from '@actions/core';
import { readMessage, UserError } from '../messages/errors.ts';
import type { AbandonIntent } from '../runner/intent.ts';
import type { Announcement } from './announcement.ts';
import { explainAbandonment } from './find-cluster-file.ts';
import type { Job } from './job.ts';
import { openTerraform, readTerraformState } from './open-terraform.ts';
import { beginReport, publishDeployReport } from './run-report.ts';
import { generateDirectory } from './terraform-directory.ts';

/**
 * Checks a pull request that removes the cluster file, with the values of the default branch's file.
 *
 * @throws UserError unless the cluster's state is empty
 */
export async function reviewAbandonment(
  job: Job,
  { announcement, intent }: { announcement: Announcement; intent: AbandonIntent },
): Promise<void> {
  const blank = beginReport(job, { commit: intent.sha });
  const { name } = job.inputs.spec;
  if (await isGone(job)) {
    core.notice(
      `The state of ${name} is empty, so there is no cluster to plan. The merge of this pull request changes nothing.`,
    );
    return publishDeployReport(announcement, { ...blank, progress: { state: 'gone' } });
  }
  const error = explainAbandonment(intent);
  const nextStep = `Run the action with command: destroy and destroy: ${name}, or bring the file back.`;
  await publishDeployReport(announcement, {
    ...blank,
    progress: { state: 'failed', phase: 'checking the inputs', error, nextStep },
  });
  throw new UserError(error);
}

/** Whether the state is known to be empty. A state that cannot be read may have a cluster. */
async function isGone(job: Job): Promise<boolean> {
  try {
    await generateDirectory(job);
    const { terraform } = await openTerraform(job);
    await readTerraformState(terraform);
    return (await terraform.listState()).length === 0;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    core.warning(`The state could not be read, so the cluster may exist. ${readMessage(error)}`);
    return false;
  }
}
