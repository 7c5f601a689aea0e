import { type GitHubClient, type Repository, readStatus } from './client.ts';

/**
 * Returns the SHA of the newest commit of a branch (short name, e.g. `main`); null if the branch does not exist.
 *
 * @throws the API's error, 403 if the token lacks `contents: read`
 */
export async function findBranchHead(
  client: GitHubClient,
  { repository, branch }: { repository: Repository; branch: string },
): Promise<string | null> {
  try {
    const { data } = await client.request('GET /repos/{owner}/{repo}/branches/{branch}', {
      ...repository,
      branch,
    });
    return data.commit.sha;
  } catch (error) {
    if (readStatus(error) === 404) return null;
    throw error;
  }
}
