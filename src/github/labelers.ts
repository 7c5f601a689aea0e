import { readMessage } from '../messages/errors.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { ONCE } from './action-comments.ts';
import type { GitHubClient, Repository } from './client.ts';

/** Logins by the names of labels in lower case. */
export type Labelers = ReadonlyMap<string, string>;

/**
 * Returns who put the labels of a pull request on it. Reads one page of its timeline ("List timeline events for an issue",
 * oldest first), once; where GitHub refuses, fails or has more than that page, nobody is named, and `log` gets a line.
 */
export async function findLabelers(
  client: GitHubClient,
  options: { repository: Repository; number: number; log: (line: string) => void },
): Promise<Labelers> {
  const { repository, number, log } = options;
  const unknown = (why: string): Labelers => {
    log(`Who put the labels on pull request #${number} is not known (${why}).`);
    return new Map();
  };
  try {
    const { data, headers } = await client.request(
      'GET /repos/{owner}/{repo}/issues/{issue_number}/timeline',
      { ...repository, issue_number: number, per_page: 100, ...ONCE },
    );
    // A later event may be another person's.
    if (/rel="next"/.test(headers.link ?? '')) return unknown('its timeline has over 100 events');
    const labelers = new Map<string, string>();
    for (const event of data) {
      if (!('label' in event) || !('actor' in event)) continue;
      const name = event.label.name.toLowerCase();
      // Null for an account that does not exist any more.
      const login = (event.actor as { login: string } | null)?.login;
      if (event.event === 'labeled' && login !== undefined) labelers.set(name, login);
      else labelers.delete(name);
    }
    return labelers;
  } catch (error) {
    // GitHub's answer, in which the runner must find no workflow command.
    return unknown(quoteValue(readMessage(error)));
  }
}
