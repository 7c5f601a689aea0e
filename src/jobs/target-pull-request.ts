import * as core from '@actions/core';
import type { GitHubClient } from '../github/client.ts';
import { findLabelers, type Labelers } from '../github/labelers.ts';
import { findPullRequest, type PullRequest, readPullRequest } from '../github/pull-request.ts';
import { readMessage } from '../messages/errors.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import type { AbandonIntent, Intent } from '../runner/intent.ts';

/** The pull request that a run is about. */
export interface TargetPullRequest {
  /** The pull request whose comment reports the run; null: no comment. */
  readonly number: number | null;
  /** Reads the pull request again; null if there is none, or the token may not read it. */
  readonly read: () => Promise<PullRequest | null>;
  /** Asks who put its labels on; empty if that is not known. */
  readonly findLabelers: () => Promise<Labelers>;
}

/** Finds the pull request of a run: the event's, the one in a merge queue, or the one behind a push. */
export async function findTargetPullRequest(
  client: GitHubClient,
  { intent, environment }: { intent: Intent | AbandonIntent; environment: RunnerEnvironment },
): Promise<TargetPullRequest> {
  const { repository } = environment;
  const none = { read: async () => null, findLabelers: async () => new Map() };
  const askLabelers = (number: number) => () =>
    findLabelers(client, { repository, number, log: core.info });
  const byNumber = (number: number) => ({
    read: () =>
      attempt(`Pull request #${number} could not be read`, () =>
        readPullRequest(client, { repository, number, log: core.info }),
      ),
    findLabelers: askLabelers(number),
  });
  if (intent.kind === 'review') {
    const number = intent.pullRequest ?? intent.queued;
    return { number: intent.pullRequest, ...(number === null ? none : byNumber(number)) };
  }
  if (intent.kind === 'close' || intent.kind === 'await' || intent.kind === 'abandon') {
    return { number: intent.pullRequest, ...byNumber(intent.pullRequest) };
  }
  // A failover belongs to no pull request.
  if (intent.kind !== 'deploy') return { number: null, ...none };
  if (intent.pullRequest !== null) {
    return { number: intent.pullRequest, ...byNumber(intent.pullRequest) };
  }
  const found = await attempt(`The pull request behind ${intent.sha} could not be looked up`, () =>
    findPullRequest(client, {
      repository,
      sha: intent.sha,
      branch: intent.branch,
      log: core.info,
    }),
  );
  if (found === null) return { number: null, ...none };
  const { number } = found;
  return { number, read: async () => found, findLabelers: askLabelers(number) };
}

/** Returns null with a warning if GitHub does not answer: the job decides how to continue without. */
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
