import type { GitHubClient } from './client.ts';

const logins = new WeakMap<GitHubClient, Promise<string>>();

/**
 * Returns the login behind the client's token, in lower case; those of apps end in `[bot]`. It asks once per client,
 * and by GraphQL, as `GET /user` refuses the tokens of jobs and apps.
 *
 * @throws the API's error
 */
export function findLogin(client: GitHubClient): Promise<string> {
  const known = logins.get(client);
  if (known !== undefined) return known;
  const login = askLogin(client);
  logins.set(client, login);
  // A failure is not cached.
  login.catch(() => logins.delete(client));
  return login;
}

async function askLogin(client: GitHubClient): Promise<string> {
  const { viewer } = await client.graphql<{ viewer: { login: string } }>(
    'query { viewer { login } }',
  );
  return viewer.login.toLowerCase();
}
