import * as core from '@actions/core';
import { planBackup } from '../cluster/rollout/back-up-now.ts';
import type { Announcement } from './announcement.ts';
import { configureNodes } from './configure-nodes.ts';
import type { Job } from './job.ts';
import { openTerraform, refuseForeignCluster } from './open-terraform.ts';
import { refreshNodes } from './refresh-nodes.ts';
import { summarizeRun } from './summarize-run.ts';
import { ensureDirectory } from './terraform-directory.ts';

/**
 * Makes a backup on the primary and proves replication. The infrastructure and the other nodes stay as they are.
 *
 * @throws UserError with the reason of a refusal, or what failed on which node
 * @throws ContinuingError if the backup is not done after `wait-minutes`; it goes on without the run
 */
export async function backUp(
  given: Job,
  { announcement, commit }: { announcement: Announcement; commit: string },
): Promise<void> {
  const { backupType: type } = given.inputs;
  // The next deploy moves the primary to where the inputs want it.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  const nextStep = () => 'Fix the cause and run this again: it looks at every node first.';
  await summarizeRun(
    job,
    { announcement, commit, nextStep, run: 'backup' },
    async (_, listeners) => {
      await ensureDirectory(job);
      const { terraform } = await openTerraform(job);
      await refuseForeignCluster(job, terraform);
      const found = await refreshNodes(job, terraform);
      const result = await configureNodes(job, {
        ...found,
        instanceType: null,
        memoryMib: null,
        infrastructure: null,
        decide: ({ observed }, { reachable }) => planBackup(observed, { desired: reachable, type }),
        ...listeners,
      });
      core.notice(`A backup was made on ${result.primary}.`);
      return result;
    },
  );
}
