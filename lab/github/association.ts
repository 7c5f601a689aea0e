import type { PullRecord, State } from './state.ts';

/**
 * Finds the pull requests behind a commit, as "List pull requests associated with a commit" does:
 * for a commit on the default branch the merged pull request that introduced it, for any other commit
 * the open and merged pull requests that contain it.
 * @param state the repository
 * @param sha an existing commit
 * @returns pull requests, newest first
 * Source: docs.github.com, REST API, commits.
 */
export function findPulls(state: State, sha: string): PullRecord[] {
  const pulls = Object.values(state.pulls);
  const found = state.main.includes(sha)
    ? pulls.filter((pull) => pull.introduced.includes(sha))
    : pulls.filter(
        (pull) =>
          pull.commits.includes(sha) &&
          (pull.mergedAt !== null || state.issues[pull.number]?.state === 'open'),
      );
  return found.sort((a, b) => b.number - a.number);
}
