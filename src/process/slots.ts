/** A fixed number of slots, given out in the order in which they were asked for. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a slot. Returns the function that gives it back, or null if `signal` aborts first. */
  async take(signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    if (this.#free === 0) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const enter = () => resolve(true);
      const leave = () => {
        this.#waiting.delete(enter);
        resolve(false);
      };
      this.#waiting.add(enter);
      signal.addEventListener('abort', leave, { once: true });
      const isMine = await promise;
      signal.removeEventListener('abort', leave);
      if (!isMine) return null;
    } else {
      this.#free -= 1;
    }
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#pass();
    };
  }

  /** Gives a slot to the first who waits. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
