import { rm } from 'node:fs/promises';
import * as core from '@actions/core';
import { readEnvironment } from './environment.ts';
import { createClient } from './github/client.ts';
import { recallAfterwards } from './jobs/afterwards.ts';
import { Announcement } from './jobs/announcement.ts';
import { renderDeployComment } from './report/deploy-comment.ts';
import { createRedactor, listSecrets, SECRET_INPUTS } from './secrets.ts';

/**
 * After the job, however it ended: removes keys and plan files, and finishes a comment that still says
 * that something is running.
 */
async function cleanUp(): Promise<void> {
  const { temporary, place, progress } = recallAfterwards();
  if (temporary !== null) await rm(temporary, { recursive: true, force: true });
  if (place === null || progress === null) return;
  const { apiUrl } = await readEnvironment(process.env);
  const client = createClient({ token: core.getInput('github-token'), apiUrl, log: core.info });
  const secrets = SECRET_INPUTS.map((name) => [name, core.getInput(name)] as const);
  const redact = createRedactor(listSecrets(Object.fromEntries(secrets)));
  await new Announcement({ client, place, redact }).publish(renderDeployComment(progress));
}

try {
  await cleanUp();
} catch (error) {
  // The job's own outcome stands; what could not be cleaned is said.
  core.warning(`After the job: ${error instanceof Error ? error.message : String(error)}`);
}
