import { setTimeout as sleep } from 'node:timers/promises';
import { readStatus } from './client.ts';

/** Seconds between the tries: GitHub knows a pushed commit everywhere only some seconds after the push. */
export const COMMIT_RETRY_SECONDS = [1, 2, 4, 8] as const;

/** Waits some seconds. */
export type Sleep = (seconds: number) => Promise<unknown>;

/** Waits for real. */
export const sleepSeconds: Sleep = (seconds) => sleep(seconds * 1000);

/**
 * Whether GitHub does not know a commit, which it says for a moment after the push as well: 422 "No commit found for
 * SHA", or 404.
 */
export function isUnknownCommit(error: unknown): boolean {
  const status = readStatus(error);
  return status === 404 || (status === 422 && /no commit found/i.test((error as Error).message));
}

/**
 * Asks GitHub about a commit, again while it does not know the commit, for 15 s at most.
 *
 * @throws what `ask` throws
 */
export async function retryUnknownCommit<T>(
  ask: () => Promise<T>,
  wait: Sleep = sleepSeconds,
): Promise<T> {
  for (const seconds of COMMIT_RETRY_SECONDS) {
    try {
      return await ask();
    } catch (error) {
      if (!isUnknownCommit(error)) throw error;
    }
    await wait(seconds);
  }
  return ask();
}
