import { UserError } from '../messages/errors.ts';
import { type GitHubClient, isForbidden, type Repository } from './client.ts';
import { isUnknownCommit, type Sleep, sleepSeconds } from './commit-retry.ts';

/** Whether a pull request can be merged. */
export type TestMerge =
  /** `commit`: full SHA of the test merge. */
  | { readonly kind: 'merge'; readonly commit: string }
  | { readonly kind: 'conflict' }
  /** The pull request has a newer last commit. */
  | { readonly kind: 'overtaken'; readonly head: string }
  | { readonly kind: 'closed'; readonly merged: boolean }
  /** A sentence states what is not known. */
  | { readonly kind: 'unknown'; readonly why: string };

/** Seconds between the attempts. */
export const TEST_MERGE_RETRY_SECONDS = [2, 4, 8, 16] as const;

interface Subject {
  readonly repository: Repository;
  readonly number: number;
  /** Full SHA of the head to merge. */
  readonly headSha: string;
}

/**
 * Returns the commit by which GitHub tests whether a pull request can be merged. GitHub creates it in the background:
 * reading the pull request starts that, and `mergeable` is null until it ends (docs.github.com, "Get a pull request"
 * and "Using the REST API to interact with your Git database", Checking mergeability of pull requests). Meanwhile, and
 * for a pull request with conflicts, `merge_commit_sha` is null or an older test merge, so the parents are checked: the
 * base branch's commit, and this head. `mergeable` and the head can be older than a push as well, so a conflict or
 * another head counts once it is reported twice. Retries for at most 30 s.
 *
 * @throws UserError if the token lacks `pull-requests: read` or `contents: read`; the API's error for anything else,
 * 404 if the pull request does not exist
 */
export async function findTestMerge(
  client: GitHubClient,
  options: Subject & { readonly wait?: Sleep },
): Promise<TestMerge> {
  const { wait = sleepSeconds } = options;
  let found = await checkMerge(client, options);
  for (const seconds of TEST_MERGE_RETRY_SECONDS) {
    if (found.kind === 'merge' || found.kind === 'closed') return found;
    await wait(seconds);
    const next = await checkMerge(client, options);
    if (next.kind !== 'unknown' && next.kind === found.kind) return next;
    found = next;
  }
  return found;
}

async function checkMerge(
  client: GitHubClient,
  { repository, number, headSha }: Subject,
): Promise<TestMerge> {
  const { data: pull } = await explainRefusal('pull-requests: read', () =>
    client.request('GET /repos/{owner}/{repo}/pulls/{pull_number}', {
      ...repository,
      pull_number: number,
    }),
  );
  if (pull.state === 'closed') return { kind: 'closed', merged: pull.merged };
  if (pull.head.sha !== headSha) return { kind: 'overtaken', head: pull.head.sha };
  if (pull.mergeable === false) return { kind: 'conflict' };
  const commit = pull.merge_commit_sha;
  if (pull.mergeable === null || commit === null) {
    return { kind: 'unknown', why: 'GitHub has not tested yet whether it can be merged' };
  }
  const parents = await listParents(client, { repository, commit });
  if (parents === null) {
    return { kind: 'unknown', why: `GitHub does not know its own test merge ${commit}` };
  }
  const [, head, ...more] = parents;
  if (head !== headSha || more.length > 0) {
    return { kind: 'unknown', why: `GitHub's test merge ${commit} is not of commit ${headSha}` };
  }
  return { kind: 'merge', commit };
}

/** Returns the full SHAs in Git's order; null if GitHub does not know the commit (yet). */
async function listParents(
  client: GitHubClient,
  { repository, commit }: { repository: Repository; commit: string },
): Promise<string[] | null> {
  try {
    const { data } = await explainRefusal('contents: read', () =>
      client.request('GET /repos/{owner}/{repo}/git/commits/{commit_sha}', {
        ...repository,
        commit_sha: commit,
      }),
    );
    return data.parents.map(({ sha }) => sha);
  } catch (error) {
    if (isUnknownCommit(error)) return null;
    throw error;
  }
}

async function explainRefusal<T>(permission: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    throw new UserError(
      `github-token: may not find the pull request's test merge (${error.message}). Give the job the permission ${permission}.`,
      { cause: error },
    );
  }
}
