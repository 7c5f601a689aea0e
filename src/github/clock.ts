import type { GitHubClient } from './client.ts';

/**
 * Returns a clock that shows GitHub's time, which orders the actions of different runners: the `Date` of its latest
 * response (RFC 9110) plus the time since. Before the first response it shows the runner's time.
 */
export function watchClock(client: GitHubClient): () => Date {
  let offset = 0;
  const adjust = (date: string | undefined) => {
    const answered = Date.parse(date ?? '');
    if (!Number.isNaN(answered)) offset = answered - Date.now();
  };
  client.hook.after('request', ({ headers }) => adjust(headers.date));
  client.hook.error('request', (error) => {
    if ('response' in error) adjust(error.response?.headers.date);
    throw error;
  });
  return () => new Date(Date.now() + offset);
}
