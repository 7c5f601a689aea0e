import type { GitHubClient } from './client.ts';

/**
 * GitHub's time, by which what different runners did can be put in order: the `Date` of its latest answer (RFC 9110)
 * and what has passed since. Before the first answer, the runner's own time.
 */
export function watchClock(client: GitHubClient): () => Date {
  let offset = 0;
  const learn = (date: string | undefined) => {
    const answered = Date.parse(date ?? '');
    if (!Number.isNaN(answered)) offset = answered - Date.now();
  };
  client.hook.after('request', ({ headers }) => learn(headers.date));
  client.hook.error('request', (error) => {
    if ('response' in error) learn(error.response?.headers.date);
    throw error;
  });
  return () => new Date(Date.now() + offset);
}
