import { type GitHubClient, type Repository, readStatus } from './client.ts';
import { findLogin } from './login.ts';

/** How often a request is tried. */
export type RequestOptions = { readonly request: { readonly retries: number } };

/** Without retries, and without a wait for a rate limit. */
export const ONCE: RequestOptions = { request: { retries: 0 } };

/** A comment of this action. */
export interface ActionComment {
  readonly id: number;
  readonly url: string;
  readonly body: string;
}

/**
 * Returns the comments of an issue or pull request that begin with `marker` *and* are written by the token's own login,
 * oldest first: a comment of another author with a copied marker is ignored.
 *
 * @throws the API's error
 */
export async function listActionComments(
  client: GitHubClient,
  issue: { repository: Repository; number: number; marker: string; attempt?: RequestOptions },
): Promise<ActionComment[]> {
  const { repository, number, marker, attempt } = issue;
  const [login, comments] = await Promise.all([
    findLogin(client),
    client.paginate('GET /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...repository,
      issue_number: number,
      per_page: 100,
      ...attempt,
    }),
  ]);
  return comments
    .filter(({ body, user }) => body?.startsWith(marker) && user?.login.toLowerCase() === login)
    .map(({ id, html_url: url, body = '' }) => ({ id: Number(id), url, body }))
    .sort((a, b) => a.id - b.id);
}

/** Reads a comment. @throws the API's error, 404 if it was deleted */
export async function readComment(
  client: GitHubClient,
  { repository, id, attempt }: { repository: Repository; id: number; attempt?: RequestOptions },
): Promise<ActionComment> {
  const { data } = await client.request('GET /repos/{owner}/{repo}/issues/comments/{comment_id}', {
    ...repository,
    comment_id: id,
    ...attempt,
  });
  return { id, url: data.html_url, body: data.body ?? '' };
}

/** Removes a comment, if it still exists. @throws the API's error */
export async function removeComment(
  client: GitHubClient,
  { repository, id }: { repository: Repository; id: number },
): Promise<void> {
  try {
    await client.request('DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}', {
      ...repository,
      comment_id: id,
    });
  } catch (error) {
    if (readStatus(error) !== 404) throw error;
  }
}

/** Whether two texts are the same but for line ends, which GitHub returns as the API or a browser last wrote them. */
export function isSameText(a: string, b: string): boolean {
  const normalize = (text: string) => text.replaceAll('\r\n', '\n').trimEnd();
  return normalize(a) === normalize(b);
}
