import type { components } from '@octokit/openapi-types';
import { type GitHubClient, isForbidden, type Repository } from './client.ts';
import { COMMIT_RETRY_SECONDS, isUnknownCommit, type Sleep, sleepSeconds } from './commit-retry.ts';

/** A pull request. */
export interface PullRequest {
  readonly number: number;
  readonly url: string;
  /** Last commit of its branch, which is the reviewed one. */
  readonly headSha: string;
  /** Names as people wrote them; GitHub ignores case. */
  readonly labels: readonly string[];
  readonly isOpen: boolean;
  /** Short name of the target branch. */
  readonly baseRef: string;
  /** Time of the merge in ISO 8601; null if it was not merged. */
  readonly mergedAt: string | null;
  /** The commit that its base branch moved to by the merge. */
  readonly mergeCommitSha: string | null;
}

type Candidate = components['schemas']['pull-request-simple'];

/**
 * Returns the merged pull request behind `sha`, the last commit of a push to `branch`, for every method of merging.
 * Null for a push without a pull request, which is legitimate, and, with a line to `log`, if the token may not read
 * pull requests.
 *
 * Retries for at most 15 s while GitHub does not link the commit to a pull request, or does not know it yet.
 *
 * @throws the API's error for anything but a lack of permission
 */
export async function findPullRequest(
  client: GitHubClient,
  options: {
    repository: Repository;
    sha: string;
    /** Short name, e.g. `main`. */
    branch: string;
    log: (line: string) => void;
    wait?: Sleep;
  },
): Promise<PullRequest | null> {
  const { sha, branch, log, wait = sleepSeconds } = options;
  for (const seconds of [...COMMIT_RETRY_SECONDS, null]) {
    try {
      const found = choosePullRequest(await listCandidates(client, options), { sha, branch });
      if (found !== undefined) return buildPullRequest(found);
    } catch (error) {
      if (seconds !== null && isUnknownCommit(error)) {
        await wait(seconds);
        continue;
      }
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

/**
 * Reads a pull request; null, with a line to `log`, if the token may not read it.
 *
 * @throws the API's error for anything else, 404 if it does not exist
 */
export async function readPullRequest(
  client: GitHubClient,
  options: { repository: Repository; number: number; log: (line: string) => void },
): Promise<PullRequest | null> {
  const { repository, number, log } = options;
  try {
    const { data } = await client.request('GET /repos/{owner}/{repo}/pulls/{pull_number}', {
      ...repository,
      pull_number: number,
    });
    return buildPullRequest(data);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    log(
      `The token may not read pull request #${number} (${error.message}). Give the job the permission pull-requests: write.`,
    );
    return null;
  }
}

function buildPullRequest(
  pull: Pick<Candidate, 'number' | 'html_url' | 'state' | 'merged_at' | 'merge_commit_sha'> & {
    head: { sha: string };
    base: { ref: string };
    labels: readonly { name: string }[];
  },
): PullRequest {
  return {
    number: pull.number,
    url: pull.html_url,
    headSha: pull.head.sha,
    labels: pull.labels.map(({ name }) => name),
    isOpen: pull.state === 'open',
    baseRef: pull.base.ref,
    mergedAt: pull.merged_at,
    mergeCommitSha: pull.merge_commit_sha,
  };
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

/** Chooses among several: a commit can be in a stack of branches, or be merged into another branch again. */
function choosePullRequest(
  candidates: readonly Candidate[],
  { sha, branch }: { sha: string; branch: string },
): Candidate | undefined {
  const merged = candidates
    .filter((candidate) => candidate.merged_at !== null && candidate.base.ref === branch)
    .sort((a, b) => Date.parse(b.merged_at ?? '') - Date.parse(a.merged_at ?? ''));
  return merged.find((candidate) => candidate.merge_commit_sha === sha) ?? merged[0];
}
