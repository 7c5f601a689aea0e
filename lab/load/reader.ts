import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Server, type Session } from '../client.ts';
import { describeError, isLostConnection } from './connection.ts';
import type { Ledger } from './ledger.ts';
import { makePayload, TABLE } from './row.ts';

const INTERVAL_MS = 150;
const TIMEOUT_MS = 2_000;
/** The number of latest rows to check. */
const CHECKED_ROWS = 50;
/** "undefined_table": a replica that has not replayed the table's creation yet. */
const NO_TABLE = '42P01';

interface ReadRow {
  readonly counter: string;
  readonly payload: string;
}

/**
 * Checks the latest rows that a replica showed (in descending order) after it had shown the row `seen`:
 * reports a row that vanished, a hole among acknowledged rows, and a value that was never written.
 */
export function findReadProblems(
  rows: readonly { readonly counter: number; readonly payload: string }[],
  { seen, ledger }: { seen: number; ledger: Pick<Ledger, 'listBetween'> },
): string[] {
  const latest = rows[0]?.counter ?? 0;
  const oldest = rows.at(-1)?.counter ?? 0;
  const there = new Set(rows.map(({ counter }) => counter));
  const holes = ledger.listBetween(oldest, latest).filter((counter) => !there.has(counter));
  return [
    ...(latest < seen ? [`showed row ${seen} and later only up to ${latest}`] : []),
    ...(holes.length > 0 ? [`shows row ${latest} but not ${holes.join(', ')}`] : []),
    ...rows
      .filter(({ counter, payload }) => payload !== makePayload(counter))
      .map(({ counter }) => `shows a wrong row ${counter}`),
  ];
}

/** Reads continuously from one host while it is a replica. */
export class Reader {
  readonly problems = new Set<string>();
  /** The number of successful reads. */
  reads = 0;
  readonly host: string;
  readonly #server: Server;
  readonly #ledger: Ledger;
  #seen = 0;
  #stopped = false;
  readonly #work: Promise<void>;

  constructor(server: Server, ledger: Ledger) {
    this.host = server.host;
    this.#server = server;
    this.#ledger = ledger;
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    let session: Session | null = null;
    while (!this.#stopped) {
      try {
        session ??= await openSession(this.#server, { timeoutMs: TIMEOUT_MS });
        await this.#read(session);
      } catch (error) {
        session?.close();
        session = null;
        this.#judge(error);
      }
      await sleep(INTERVAL_MS);
    }
    session?.close();
  }

  async #read(session: Session): Promise<void> {
    // Rows acknowledged after the read may be missing from it, so only rows up to the latest one count.
    const rows = await session.query<ReadRow & { replica: boolean }>(
      `SELECT counter, payload, pg_is_in_recovery() AS replica FROM ${TABLE} ORDER BY counter DESC LIMIT ${CHECKED_ROWS}`,
    );
    this.reads += 1;
    // A former primary may lose rows that it never sent, so what it showed as a primary does not count.
    if (rows[0]?.replica === false) return;
    const read = rows.map(({ counter, payload }) => ({ counter: Number(counter), payload }));
    const found = findReadProblems(read, { seen: this.#seen, ledger: this.#ledger });
    for (const problem of found) this.problems.add(problem);
    this.#seen = Math.max(this.#seen, read[0]?.counter ?? 0);
  }

  #judge(error: unknown): void {
    const isEarly = (error as { code?: unknown }).code === NO_TABLE && this.#seen === 0;
    if (!isEarly && !isLostConnection(error)) this.problems.add(describeError(error));
  }
}
