/** A commit the server has acknowledged. */
export interface Acknowledgement {
  readonly counter: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A time without acknowledgements. */
export interface Gap {
  /** ISO 8601. */
  readonly from: string;
  readonly ms: number;
}

/** Gaps longer than this are listed. */
const MIN_LISTED_MS = 200;

/** The writer's record of its commits. Counters only grow. */
export class Ledger {
  readonly acknowledged: Acknowledgement[] = [];
  /** Sent, but the connection was lost before an answer: committed or not. */
  readonly unknown: number[] = [];

  acknowledge(counter: number, at: number): void {
    this.acknowledged.push({ counter, at });
  }

  /** The acknowledged counters from `first` to `last`. */
  listBetween(first: number, last: number): number[] {
    const { acknowledged } = this;
    const found: number[] = [];
    // Readers ask for the latest rows: searching from the end takes a few steps.
    for (let index = acknowledged.length - 1; index >= 0; index -= 1) {
      const { counter } = acknowledged[index] as Acknowledgement;
      if (counter < first) break;
      if (counter <= last) found.push(counter);
    }
    return found.reverse();
  }
}

/** The times between consecutive acknowledgements, from the writer's start to `end`. */
export function measureGaps(
  acknowledged: readonly Acknowledgement[],
  end: number,
): { longestGapMs: number; gaps: Gap[] } {
  const moments = [...acknowledged.map(({ at }) => at), end];
  let longestGapMs = 0;
  const gaps: Gap[] = [];
  for (const [index, moment] of moments.entries()) {
    const before = moments[index - 1];
    if (before === undefined) continue;
    const ms = Math.round(moment - before);
    longestGapMs = Math.max(longestGapMs, ms);
    if (ms > MIN_LISTED_MS) gaps.push({ from: new Date(before).toISOString(), ms });
  }
  return { longestGapMs, gaps };
}

/** The acknowledged rows that are not in `present`. */
export function listMissing(
  acknowledged: readonly Acknowledgement[],
  present: Iterable<number>,
): number[] {
  const there = new Set(present);
  return acknowledged.map(({ counter }) => counter).filter((counter) => !there.has(counter));
}
