import * as core from '@actions/core';
import { nameRehearsal } from '../cluster/rehearsal.ts';
import { UserError } from '../messages/errors.ts';
import { renderRehearsalGone } from '../report/rehearsal-remark.ts';
import type { Job } from './job.ts';
import { openRehearsal, removeRehearsal } from './rehearsal-state.ts';
import { closeRehearsalIssue, type RehearsalDesk } from './report-rehearsal.ts';
import { buildRunInfo } from './run-report.ts';

/**
 * Removes what is left of the last rehearsal of a cluster that has no backups any more, and closes the issue.
 *
 * @throws UserError if nothing is left: there is nothing to do
 */
export async function endRehearsals(given: Job, desk: RehearsalDesk): Promise<void> {
  const { name } = given.inputs.spec;
  const state = await openRehearsal(given);
  if (state.isLeft) await removeRehearsal(state);
  const run = buildRunInfo(given, desk.commit);
  await closeRehearsalIssue(renderRehearsalGone({ cluster: name, run }, 'unbacked'), {
    ...desk,
    job: given,
  });
  if (!state.isLeft) {
    throw new UserError(
      `backup: missing. ${name} has no backups, so there is nothing to rehearse, and an earlier rehearsal left nothing. Set backup and deploy first.`,
    );
  }
  core.notice(
    `${nameRehearsal(name)}, which an earlier rehearsal had left, is removed. ${name} has no backup any more, so there is nothing to rehearse.`,
  );
}
