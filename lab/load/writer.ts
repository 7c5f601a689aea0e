import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Server, type Session } from '../client.ts';
import { describeError, isLostConnection } from './connection.ts';
import { Ledger } from './ledger.ts';
import { makePayload, TABLE } from './row.ts';

const INTERVAL_MS = 40;
/** Long enough for a commit on a busy machine, short enough to detect a silent host. */
const TIMEOUT_MS = 2_000;
/** Delay between two attempts at the same host while the primary is searched for. */
const RETRY_MS = 20;
/** "read_only_sql_transaction": the row was not written, and this is a replica. */
const READ_ONLY = '25006';

/** Commits rows one by one on the current primary, and records which were acknowledged. */
export class Writer {
  readonly ledger = new Ledger();
  /** Errors other than lost connections. */
  readonly problems = new Set<string>();
  readonly #hosts: () => readonly Server[];
  #counter = 0;
  #stopped = false;
  #session: Session | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(hosts: () => readonly Server[]) {
    this.#hosts = hosts;
  }

  /** Finds the primary, creates the table and continues after the existing rows. */
  async start(): Promise<void> {
    const session = await this.#findPrimary();
    if (!session) return;
    await session.query(
      `CREATE TABLE IF NOT EXISTS ${TABLE} (id bigserial PRIMARY KEY, counter bigint NOT NULL UNIQUE, payload text NOT NULL)`,
    );
    const [last] = await session.query<{ counter: string | null }>(
      `SELECT max(counter) AS counter FROM ${TABLE}`,
    );
    this.#counter = Number(last?.counter ?? 0);
    this.#session = session;
    await this.#write(session);
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
    this.#session?.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const start = performance.now();
      this.#session ??= await this.#findPrimary();
      if (this.#session) await this.#write(this.#session);
      if (this.#session) await sleep(Math.max(0, INTERVAL_MS - (performance.now() - start)));
    }
  }

  async #write(session: Session): Promise<void> {
    this.#counter += 1;
    const counter = this.#counter;
    try {
      await session.query(`INSERT INTO ${TABLE} (counter, payload) VALUES ($1, $2)`, [
        counter,
        makePayload(counter),
      ]);
      this.ledger.acknowledge(counter, Date.now());
    } catch (error) {
      session.close();
      this.#session = null;
      const isReadOnly = (error as { code?: unknown }).code === READ_ONLY;
      if (!isReadOnly) this.ledger.unknown.push(counter);
      if (!isReadOnly && !isLostConnection(error)) this.problems.add(describeError(error));
    }
  }

  /**
   * The first host that accepts writes, as libpq finds it with target_session_attrs=read-write (PostgreSQL
   * manual, 34.1.2), but asking all hosts at once until one does. Null if the load was stopped meanwhile.
   */
  async #findPrimary(): Promise<Session | null> {
    const found: { session: Session | null } = { session: null };
    const isOver = () => this.#stopped || found.session !== null;
    const asked = new Set<string>();
    const hunts: Promise<void>[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    while (!isOver()) {
      // Hosts may be added and removed during the search.
      for (const server of this.#hosts()) {
        if (asked.has(server.host)) continue;
        asked.add(server.host);
        const isWanted = () => !isOver() && this.#hosts().some(({ host }) => host === server.host);
        const hunt = this.#askHost(server, isWanted).then((session) => {
          asked.delete(server.host);
          if (session === null) return;
          if (isOver()) session.close();
          else {
            found.session = session;
            resolve();
          }
        });
        hunts.push(hunt);
      }
      await Promise.race([promise, sleep(RETRY_MS)]);
    }
    return found.session;
  }

  /** Polls one host; returns the session once it accepts writes, null if the search has ended. */
  async #askHost(server: Server, isWanted: () => boolean): Promise<Session | null> {
    while (isWanted()) {
      let session: Session | null = null;
      try {
        session = await openSession(server, { timeoutMs: TIMEOUT_MS });
        while (isWanted()) {
          const [row] = await session.query<{ writable: boolean }>(
            "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off' AS writable",
          );
          if (row?.writable) return session;
          await sleep(RETRY_MS);
        }
      } catch (error) {
        if (!isLostConnection(error)) this.problems.add(`${server.host}: ${describeError(error)}`);
      }
      session?.close();
      await sleep(RETRY_MS);
    }
    return null;
  }
}
