import { isSameText } from './action-comments.ts';
import {
  catchForbidden,
  type Forbidden,
  type GitHubClient,
  isForbidden,
  type Repository,
  readStatus,
} from './client.ts';
import { findLogin } from './login.ts';
import { renderMarker } from './marker.ts';

/** The issue of a cluster on a topic, of which at most one is open. */
export interface IssueRef {
  readonly repository: Repository;
  readonly topic: 'drift' | 'rehearsal';
  /** Identifies the cluster in its repository; letters, digits and `. _ : / -`. */
  readonly identity: string;
}

/** The outcome of a write. */
export type IssueOutcome =
  | {
      readonly outcome: 'created' | 'updated' | 'unchanged';
      readonly number: number;
      readonly url: string;
    }
  /** The token lacks `issues: write`, or the repository has no issues. */
  | Forbidden;

/** The outcome of closing an issue; `none`: no issue was open. */
export type ClosingOutcome =
  | { readonly outcome: 'closed'; readonly number: number; readonly url: string }
  | { readonly outcome: 'none' }
  | Forbidden;

/**
 * Updates the cluster's open issue on the topic, or opens one. A closed issue stays closed.
 *
 * @throws the API's error for anything but missing permissions or issues
 */
export async function reportIssue(
  client: GitHubClient,
  options: IssueRef & { title: string; body: string },
): Promise<IssueOutcome> {
  const { repository, title } = options;
  const body = `${renderIssueMarker(options)}\n${options.body}`;
  return catchForbidden(async () => {
    const found = await findOpenIssues(client, options);
    if (found.length > 0) return updateIssue(client, { repository, found, title, body });
    const { data } = await client.request('POST /repos/{owner}/{repo}/issues', {
      ...repository,
      title,
      body,
    });
    // A concurrent run may have opened one as well: the oldest stays.
    const all = await findOpenIssues(client, options);
    if (all.some(({ number }) => number !== data.number)) {
      return updateIssue(client, { repository, found: all, title, body });
    }
    return { outcome: 'created', number: data.number, url: data.html_url };
  }, isRefusal);
}

/**
 * Comments on the cluster's open issue on the topic, which keeps its text, or opens one.
 *
 * @throws the API's error for anything but missing permissions or issues
 */
export async function remarkIssue(
  client: GitHubClient,
  options: IssueRef & { title: string; body: string },
): Promise<IssueOutcome> {
  const { repository, body } = options;
  const found = await catchForbidden(async () => {
    const [oldest] = await findOpenIssues(client, options);
    if (oldest === undefined) return null;
    await client.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...repository,
      issue_number: oldest.number,
      body,
    });
    return { outcome: 'updated', number: oldest.number, url: oldest.url } as const;
  }, isRefusal);
  return found ?? reportIssue(client, options);
}

/**
 * Closes the cluster's open issue on the topic as completed, after a last `comment` (Markdown).
 *
 * @throws the API's error for anything but missing permissions or issues
 */
export async function closeIssue(
  client: GitHubClient,
  options: IssueRef & { comment: string },
): Promise<ClosingOutcome> {
  const { repository, comment } = options;
  return catchForbidden(async () => {
    const [oldest, ...others] = await findOpenIssues(client, options);
    if (oldest === undefined) return { outcome: 'none' };
    const { number, url } = oldest;
    await client.request('POST /repos/{owner}/{repo}/issues/{issue_number}/comments', {
      ...repository,
      issue_number: number,
      body: comment,
    });
    await setClosed(client, { repository, number, reason: 'completed' });
    for (const other of others) {
      await setClosed(client, { repository, number: other.number, reason: 'completed' });
    }
    return { outcome: 'closed', number, url };
  }, isRefusal);
}

/**
 * Whether the cluster has an open issue on the topic; false if the token cannot tell.
 *
 * @throws the API's error for anything but missing permissions or issues
 */
export async function hasOpenIssue(client: GitHubClient, issue: IssueRef): Promise<boolean> {
  const found = await catchForbidden(async () => findOpenIssues(client, issue), isRefusal);
  return Array.isArray(found) && found.length > 0;
}

/** Returns the hidden first line that identifies a cluster's issue on a topic. */
export function renderIssueMarker({
  topic,
  identity,
}: Pick<IssueRef, 'topic' | 'identity'>): string {
  return renderMarker(`${topic}/${identity}`);
}

interface OpenIssue {
  readonly number: number;
  readonly url: string;
  readonly title: string;
  readonly body: string;
}

/** Finds the issues by marker *and* author, oldest first. */
async function findOpenIssues(client: GitHubClient, issue: IssueRef): Promise<OpenIssue[]> {
  const marker = renderIssueMarker(issue);
  const login = await findLogin(client);
  const issues = await client.paginate('GET /repos/{owner}/{repo}/issues', {
    ...issue.repository,
    creator: login,
    state: 'open',
    per_page: 100,
  });
  return issues
    .flatMap(({ number, html_url: url, title, body, user, pull_request }): OpenIssue[] => {
      // The API lists pull requests as issues.
      const isOwn = pull_request === undefined && user?.login.toLowerCase() === login;
      return isOwn && body?.startsWith(marker) ? [{ number, url, title, body }] : [];
    })
    .sort((a, b) => a.number - b.number);
}

async function updateIssue(
  client: GitHubClient,
  options: { repository: Repository; found: readonly OpenIssue[]; title: string; body: string },
): Promise<IssueOutcome> {
  const { repository, found, title, body } = options;
  const [oldest, ...others] = found;
  if (oldest === undefined) throw new Error('Called without an issue to update.');
  const { number, url } = oldest;
  for (const other of others) {
    await setClosed(client, { repository, number: other.number, reason: 'not_planned' });
  }
  if (oldest.title === title && isSameText(oldest.body, body)) {
    return { outcome: 'unchanged', number, url };
  }
  await client.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', {
    ...repository,
    issue_number: number,
    title,
    body,
  });
  return { outcome: 'updated', number, url };
}

async function setClosed(
  client: GitHubClient,
  options: { repository: Repository; number: number; reason: 'completed' | 'not_planned' },
): Promise<void> {
  const { repository, number, reason } = options;
  await client.request('PATCH /repos/{owner}/{repo}/issues/{issue_number}', {
    ...repository,
    issue_number: number,
    state: 'closed',
    state_reason: reason,
  });
}

/** Whether the token lacks the permission or (410) the repository has no issues. */
function isRefusal(error: unknown): error is Error {
  return isForbidden(error) || readStatus(error) === 410;
}
