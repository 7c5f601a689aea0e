import { randomUUID } from 'node:crypto';
import * as core from '@actions/core';

/**
 * A foldable part of the log in which children speak. What they print could look like a workflow command
 * (a resource named `::set-env…`), so the runner is told not to listen until it ends.
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
