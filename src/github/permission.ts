import { UserError } from '../messages/errors.ts';
import { type GitHubClient, isForbidden, type Repository, readStatus } from './client.ts';

/**
 * Whether a user has write access to the repository now. GitHub reports the roles admin, maintain and write as `admin`
 * or `write`, triage and read as `read` (docs.github.com, "Get repository permissions for a user"), and a custom role
 * as the one that it is based on. Apps, which are not users to GitHub, and unknown users have no write access.
 *
 * @throws UserError if the token lacks the permission; the API's error for anything else
 */
export async function mayWrite(
  client: GitHubClient,
  { repository, login }: { repository: Repository; login: string },
): Promise<boolean> {
  try {
    const { data } = await client.request(
      'GET /repos/{owner}/{repo}/collaborators/{username}/permission',
      { ...repository, username: login },
    );
    return data.permission === 'admin' || data.permission === 'write';
  } catch (error) {
    if (readStatus(error) === 404) return false;
    if (!isForbidden(error)) throw error;
    throw new UserError(
      `github-token: may not ask what ${login} may do in this repository (${error.message}). The token of a job always may; another one needs the repository permission metadata: read and write access of its owner.`,
      { cause: error },
    );
  }
}
