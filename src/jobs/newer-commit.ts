import { findBranchHead } from '../github/branch.ts';
import type { GitHubClient } from '../github/client.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';

/** Returns the default branch's head if this is a rerun and the head is not `commit`; else null. */
export async function findNewerCommit(
  client: GitHubClient,
  { commit, environment }: { commit: string; environment: RunnerEnvironment },
): Promise<string | null> {
  const { event, repository, run } = environment;
  const branch = event.payload.repository?.default_branch;
  if (run.attempt === 1 || branch === undefined) return null;
  const head = await findBranchHead(client, { repository, branch });
  return head === commit ? null : head;
}
