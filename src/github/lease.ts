import { setTimeout as sleep } from 'node:timers/promises';
import { type GitHubClient, type Repository, readStatus } from './client.ts';

// GitHub has no conditional write for comments, but a user has each reaction to a comment at most once, and
// whoever adds it is told whether it was there: 201 for a new one, 200 for one that exists. All jobs of a
// repository are the same user, so that is a test-and-set (docs.github.com, REST API, "Create reaction for
// an issue comment").

/** How long things take, in milliseconds. */
export interface LeaseTiming {
  /** A lease as old as this is that of a job that died. */
  readonly expiryMs: number;
  /** Between the first two looks at another job's lease. */
  readonly pollMs: number;
  /** How long to wait for a lease. */
  readonly timeoutMs: number;
}

/** Of a job. */
export const LEASE_TIMING: LeaseTiming = { expiryMs: 30_000, pollMs: 500, timeoutMs: 120_000 };

/** The longest wait between two looks, in first waits. */
const MAX_POLL_FACTOR = 6;

/** The comment that is held. */
export interface LeasedComment {
  readonly repository: Repository;
  /** Id of the comment. */
  readonly commentId: number;
  readonly timing: LeaseTiming;
}

/** The right to write a comment. */
export interface Lease {
  /**
   * Whether a write that is sent now arrives before anybody else may take the lease: half its time is for
   * the work, the other half for a request on its way, of which GitHub gives up after 10 s.
   */
  isSafe(): boolean;
}

/**
 * Does `work` while no other job does the same to this comment, and gives what it gives.
 *
 * @throws the API's errors: 403 where the token may not react, 404 where the comment is gone; Error when
 * other jobs do not let go of it in time
 */
export async function holdLease<T>(
  client: GitHubClient,
  place: LeasedComment,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const { id, deadline } = await takeLease(client, place);
  try {
    return await work({ isSafe: () => performance.now() < deadline });
  } finally {
    // What cannot be given back expires.
    await dropReaction(client, place, id).catch(() => {});
  }
}

async function takeLease(
  client: GitHubClient,
  place: LeasedComment,
): Promise<{ id: number; deadline: number }> {
  const { repository, commentId, timing } = place;
  const started = performance.now();
  for (;;) {
    const asked = performance.now();
    const { status, data, headers } = await client.request(
      'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
      { ...repository, comment_id: commentId, content: 'eyes' },
    );
    if (Number(status) === 201) return { id: data.id, deadline: asked + timing.expiryMs / 2 };
    if (isExpired(data, { date: headers.date, timing })) {
      // By its id: a lease that somebody else took in the meantime is not touched.
      await dropReaction(client, place, data.id);
    } else {
      await waitForRelease(client, { place, id: data.id, started });
    }
  }
}

/** Looks at the lease `id`, ever more seldom, until it is gone or has expired. */
async function waitForRelease(
  client: GitHubClient,
  { place, id, started }: { place: LeasedComment; id: number; started: number },
): Promise<void> {
  const { repository, commentId, timing } = place;
  for (let wait = timing.pollMs; ; wait = Math.min(wait * 1.5, timing.pollMs * MAX_POLL_FACTOR)) {
    if (performance.now() - started > timing.timeoutMs) {
      throw new Error(
        `Comment ${commentId} is being written by other jobs for ${Math.round(timing.timeoutMs / 1000)} s. Run the job again when they have ended.`,
      );
    }
    // Those who wait shall not all come at once.
    await sleep(wait * (0.5 + Math.random()));
    const { data, headers } = await client.request(
      'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions',
      { ...repository, comment_id: commentId, content: 'eyes', per_page: 100 },
    );
    const held = data.find((reaction) => reaction.id === id);
    if (held === undefined || isExpired(held, { date: headers.date, timing })) return;
  }
}

/** By GitHub's clock, which both times are of: a runner's own may be wrong. */
function isExpired(
  reaction: { created_at: string },
  { date, timing }: { date: string | undefined; timing: LeaseTiming },
): boolean {
  const now = date === undefined ? Date.now() : Date.parse(date);
  return now - Date.parse(reaction.created_at) > timing.expiryMs;
}

async function dropReaction(client: GitHubClient, place: LeasedComment, id: number): Promise<void> {
  try {
    await client.request(
      'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}',
      { ...place.repository, comment_id: place.commentId, reaction_id: id },
    );
  } catch (error) {
    // Another job took it away, or the comment with it.
    if (readStatus(error) !== 404) throw error;
  }
}
