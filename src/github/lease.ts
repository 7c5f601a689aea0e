import { setTimeout as sleep } from 'node:timers/promises';
import { type GitHubClient, type Repository, readStatus } from './client.ts';

// GitHub has no conditional write for comments. But a user has each reaction to a comment at most once, and adding it
// returns 201 for a new reaction, 200 for an existing one. All jobs of a repository are the same user, so this is a
// test-and-set (docs.github.com, REST API, "Create reaction for an issue comment").

/** Durations in milliseconds. */
export interface LeaseTiming {
  /** Age from which a lease counts as that of a dead job. */
  readonly expiryMs: number;
  /** Delay before the first poll of another job's lease. */
  readonly pollMs: number;
  /** Longest wait for a lease. */
  readonly timeoutMs: number;
}

/** The durations of real jobs. */
export const LEASE_TIMING: LeaseTiming = { expiryMs: 30_000, pollMs: 500, timeoutMs: 120_000 };

/** The longest delay between two polls, as a multiple of the first. */
const MAX_POLL_FACTOR = 6;

/** A comment to lease. */
export interface LeasedComment {
  readonly repository: Repository;
  /** Id of the comment. */
  readonly commentId: number;
  readonly timing: LeaseTiming;
}

/** The exclusive right to write a comment. */
export interface Lease {
  /**
   * Whether a write sent now arrives before another job may take the lease. Half its time is for the work, the other
   * half for a request on its way, which GitHub aborts after 10 s.
   */
  isSafe(): boolean;
}

/**
 * Runs `work` while holding the lease of a comment, and returns its result.
 *
 * @throws the API's errors: 403 if the token may not add reactions, 404 if the comment was deleted; Error if other jobs
 * hold the lease for too long
 */
export async function holdLease<T>(
  client: GitHubClient,
  comment: LeasedComment,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const { id, deadline } = await takeLease(client, comment);
  try {
    return await work({ isSafe: () => performance.now() < deadline });
  } finally {
    // A lease that cannot be released expires.
    await dropReaction(client, comment, id).catch(() => {});
  }
}

async function takeLease(
  client: GitHubClient,
  comment: LeasedComment,
): Promise<{ id: number; deadline: number }> {
  const { repository, commentId, timing } = comment;
  const started = performance.now();
  for (;;) {
    const asked = performance.now();
    const { status, data, headers } = await client.request(
      'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
      { ...repository, comment_id: commentId, content: 'eyes' },
    );
    if (Number(status) === 201) return { id: data.id, deadline: asked + timing.expiryMs / 2 };
    if (isExpired(data, { date: headers.date, timing })) {
      // By its id, which leaves a lease alone that another job took in the meantime.
      await dropReaction(client, comment, data.id);
    } else {
      await waitForRelease(client, { comment, id: data.id, started });
    }
  }
}

/** Polls the lease `id`, with growing delays, until it is released or has expired. */
async function waitForRelease(
  client: GitHubClient,
  { comment, id, started }: { comment: LeasedComment; id: number; started: number },
): Promise<void> {
  const { repository, commentId, timing } = comment;
  for (let wait = timing.pollMs; ; wait = Math.min(wait * 1.5, timing.pollMs * MAX_POLL_FACTOR)) {
    if (performance.now() - started > timing.timeoutMs) {
      throw new Error(
        `Other jobs have been writing comment ${commentId} for ${Math.round(timing.timeoutMs / 1000)} s. Run the job again when they have ended.`,
      );
    }
    // Jitter, so that waiting jobs do not poll at the same time.
    await sleep(wait * (0.5 + Math.random()));
    const { data, headers } = await client.request(
      'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
      { ...repository, comment_id: commentId, content: 'eyes', per_page: 100 },
    );
    const held = data.find((reaction) => reaction.id === id);
    if (held === undefined || isExpired(held, { date: headers.date, timing })) return;
  }
}

/** Whether a lease has expired by GitHub's clock: a runner's own may be wrong. */
function isExpired(
  reaction: { created_at: string },
  { date, timing }: { date: string | undefined; timing: LeaseTiming },
): boolean {
  const now = date === undefined ? Date.now() : Date.parse(date);
  return now - Date.parse(reaction.created_at) > timing.expiryMs;
}

async function dropReaction(
  client: GitHubClient,
  comment: LeasedComment,
  id: number,
): Promise<void> {
  try {
    await client.request(
      'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}',
      { ...comment.repository, comment_id: comment.commentId, reaction_id: id },
    );
  } catch (error) {
    // Removed by another job, or with the comment.
    if (readStatus(error) !== 404) throw error;
  }
}
