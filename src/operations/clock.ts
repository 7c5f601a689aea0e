import { setTimeout } from 'node:timers/promises';
import { CancelledError } from '../messages/errors.ts';
import { cancelSignal, isCancelled } from '../process/cancellation.ts';

/** Time, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * Waits for `ms`, or until `signal` aborts.
   *
   * @throws CancelledError if the job is cancelled meanwhile
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The runner's clock. */
export const CLOCK: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    const signals = signal === undefined ? [cancelSignal] : [cancelSignal, signal];
    await setTimeout(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => {});
    if (isCancelled()) throw new CancelledError('the watch over the nodes');
  },
};
