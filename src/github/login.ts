import type { GitHubClient } from './client.ts';

const logins = new WeakMap<GitHubClient, Promise<string>>();

/**
 * Who the client's token is, in lower case; apps end in `[bot]`. `GET /user` refuses the tokens that jobs
 * and apps get; this answers for all, and asks once a client.
 *
 * @throws the API's error
 */
export function findLogin(client: GitHubClient): Promise<string> {
  const known = logins.get(client);
  if (known !== undefined) return known;
  const login = askLogin(client);
  logins.set(client, login);
  // What failed once may work the next time.
  login.catch(() => logins.delete(client));
  return login;
}

async function askLogin(client: GitHubClient): Promise<string> {
  const { viewer } = await client.graphql<{ viewer: { login: string } }>(
    'query { viewer { login } }',
  );
  return viewer.login.toLowerCase();
}
