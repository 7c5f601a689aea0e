import { relative, resolve } from 'node:path';
import * as core from '@actions/core';
import { findBranchHead } from '../github/branch.ts';
import type { GitHubClient } from '../github/client.ts';
import { findPullRequest, type PullRequest, readPullRequest } from '../github/pull-request.ts';
import { readMessage } from '../messages/errors.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import type { Intent } from '../runner/intent.ts';
import { identifyComment } from './announcement.ts';

/**
 * Tells a cluster from every other of the repository, by its inputs alone: the runners of a review and of its merge may
 * keep their work folders in different places, behind links. Two files that describe the same cluster, by mistake or to
 * have one plan cover the other, are told apart as well.
 *
 * @param cluster.workingDirectory from the workspace on
 * @param cluster.clusterFile null: the inputs describe the cluster
 */
export function identifyCluster(
  { workspace }: Pick<RunnerEnvironment, 'workspace'>,
  cluster: { name: string; region: string; workingDirectory: string; clusterFile: string | null },
): string {
  const { name, region, workingDirectory, clusterFile: file } = cluster;
  const directory = relative(workspace, resolve(workspace, workingDirectory));
  return identifyComment({ name, region, directory, file });
}

/** The pull request that a run is about. */
export interface TargetPullRequest {
  /** Whose comment tells of it; null: nobody's. */
  readonly number: number | null;
  /** The pull request as it is when it is asked for; null where there is none, or it may not be read. */
  readonly read: () => Promise<PullRequest | null>;
}

/** The pull request behind a run: the event's, the one a merge queue merges, or the one that brought a push. */
export async function findTargetPullRequest(
  client: GitHubClient,
  { intent, environment }: { intent: Intent; environment: RunnerEnvironment },
): Promise<TargetPullRequest> {
  const { repository } = environment;
  const readByNumber = (number: number) => () =>
    attempt(`Pull request #${number} could not be read`, () =>
      readPullRequest(client, { repository, number, log: core.info }),
    );
  if (intent.kind === 'review') {
    const number = intent.pullRequest ?? intent.queued;
    const read = number === null ? async () => null : readByNumber(number);
    return { number: intent.pullRequest, read };
  }
  if (intent.kind === 'close' || intent.kind === 'await') {
    return { number: intent.pullRequest, read: readByNumber(intent.pullRequest) };
  }
  // A failover is nobody's pull request.
  if (intent.kind !== 'deploy') return { number: null, read: async () => null };
  if (intent.pullRequest !== null) {
    return { number: intent.pullRequest, read: readByNumber(intent.pullRequest) };
  }
  const found = await attempt(`The pull request behind ${intent.sha} could not be looked up`, () =>
    findPullRequest(client, {
      repository,
      sha: intent.sha,
      branch: intent.branch,
      log: core.info,
    }),
  );
  return { number: found?.number ?? null, read: async () => found };
}

/** The commit that the default branch has by now, where this is the rerun of an older one's job; else null. */
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

/** What cannot be asked of GitHub is not there: the job decides what it does without. */
async function attempt<Result>(
  failure: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    core.warning(`${failure} (${readMessage(error)}).`);
    return null;
  }
}
