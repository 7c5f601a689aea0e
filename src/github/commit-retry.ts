import { setTimeout as sleep } from 'node:timers/promises';
import { readStatus } from './client.ts';

/** Seconds between the attempts: some of GitHub's servers know a pushed commit only seconds after the push. */
export const COMMIT_RETRY_SECONDS = [1, 2, 4, 8] as const;

/** Waits for a number of seconds. */
export type Sleep = (seconds: number) => Promise<unknown>;

/** Waits in real time. */
export const sleepSeconds: Sleep = (seconds) => sleep(seconds * 1000);

/**
 * Whether GitHub does not know a commit, which also happens for a moment after the push: 422 "No commit found for SHA",
 * or 404.
 */
export function isUnknownCommit(error: unknown): boolean {
  const status = readStatus(error);
  return status === 404 || (status === 422 && /no commit found/i.test((error as Error).message));
}

/**
 * Returns the result of `ask`, a request about a commit. Retries it for at most 15 s while GitHub does not know the
 * commit.
 *
 * @throws the error of the last attempt
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
