import { setTimeout as sleep } from 'node:timers/promises';
import type { components } from '@octokit/openapi-types';
import { type GitHubClient, isForbidden, type Repository } from './client.ts';

/** The pull request that brought a commit. */
export interface PullRequest {
  readonly number: number;
  readonly url: string;
  /** Last commit of its branch: the one that was reviewed. */
  readonly headSha: string;
}

type Candidate = components['schemas']['pull-request-simple'];

/** Seconds between the tries: a pushed commit is indexed some seconds later. */
const WAITS = [1, 2, 4, 8];

/**
 * The merged pull request behind `sha`, the commit a push to `branch` ended with, whichever way it was
 * merged. Null when there is none, which is legitimate: somebody pushed without one; also null, with a
 * word to `log`, when the token may not read pull requests.
 *
 * `wait` waits some seconds.
 */
export async function findPullRequest(
  client: GitHubClient,
  options: {
    repository: Repository;
    sha: string;
    /** Short name, e.g. `main`. */
    branch: string;
    log: (line: string) => void;
    wait?: (seconds: number) => Promise<unknown>;
  },
): Promise<PullRequest | null> {
  const { sha, branch, log, wait = (seconds: number) => sleep(seconds * 1000) } = options;
  for (const seconds of [...WAITS, null]) {
    try {
      const found = choosePullRequest(await listCandidates(client, options), { sha, branch });
      if (found !== undefined) {
        return { number: found.number, url: found.html_url, headSha: found.head.sha };
      }
    } catch (error) {
      if (!isForbidden(error)) throw error;
      log(
        `The token may not look for the pull request behind ${sha} (${error.message}). Give the job the permission pull-requests: write.`,
      );
      return null;
    }
    if (seconds !== null) await wait(seconds);
  }
  return null;
}

async function listCandidates(
  client: GitHubClient,
  { repository, sha }: { repository: Repository; sha: string },
): Promise<Candidate[]> {
  const { data } = await client.request('GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls', {
    ...repository,
    commit_sha: sha,
    per_page: 100,
  });
  return data;
}

/** Several are possible: a commit can be in a stack of branches, or be merged again into another one. */
function choosePullRequest(
  candidates: readonly Candidate[],
  { sha, branch }: { sha: string; branch: string },
): Candidate | undefined {
  const merged = candidates
    .filter((candidate) => candidate.merged_at !== null && candidate.base.ref === branch)
    .sort((a, b) => Date.parse(b.merged_at ?? '') - Date.parse(a.merged_at ?? ''));
  return merged.find((candidate) => candidate.merge_commit_sha === sha) ?? merged[0];
}
