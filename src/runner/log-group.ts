import { randomUUID } from 'node:crypto';
import * as core from '@actions/core';

/**
 * Runs `work` in a foldable group of the log. Output of child processes may look like a workflow command (a resource
 * named `::set-env…`), so the runner ignores commands until the group ends.
 */
export async function logGroup<Result>(
  title: string,
  work: () => Promise<Result>,
): Promise<Result> {
  core.startGroup(title);
  const resume = randomUUID();
  core.info(`::stop-commands::${resume}`);
  try {
    return await work();
  } finally {
    core.info(`::${resume}::`);
    core.endGroup();
  }
}
