import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Server, type Session } from '../client.ts';
import { describeError, isLostConnection } from './connection.ts';

const INTERVAL_MS = 150;
const TIMEOUT_MS = 2_000;

/** The result of one query to a host. */
export interface Sample {
  readonly host: string;
  /** When the query was sent and when it was answered, in milliseconds since 1970. */
  readonly asked: number;
  readonly answered: number;
  /** `pg_postmaster_start_time()`: identifies one lifetime of a server. */
  readonly life: string;
  readonly inRecovery: boolean;
  /** `pg_get_wal_replay_pause_state()`; null on a primary. */
  readonly replay: string | null;
  /** Whether the WAL receiver of a replica streams; null on a primary. */
  readonly streaming: boolean | null;
  /** Replicas that stream from this host, by `application_name`, with their `sync_state`. */
  readonly senders: Readonly<Record<string, string>>;
}

/** A time in which a host was certainly a primary. */
interface PrimarySpan {
  readonly host: string;
  readonly life: string;
  readonly from: number;
  to: number;
}

/** A time in which a forbidden condition was seen, e.g. a replica that was up with its replay paused. */
export interface Sighting {
  readonly host: string;
  /** ISO 8601. */
  readonly from: string;
  readonly ms: number;
  readonly what: string;
}

/** Combines samples and derives what was true between them. */
export class Chronicle {
  readonly #primarySpans: PrimarySpan[] = [];
  readonly #sightings: { host: string; what: string; from: number; to: number }[] = [];
  /** Ongoing sightings, by host and kind. */
  readonly #open = new Map<string, { to: number }>();
  /** The latest answer of each host. */
  readonly latest = new Map<string, Sample>();
  /** The server lifetimes seen on each host. */
  readonly #lives = new Map<string, Set<string>>();

  add(sample: Sample): void {
    const { host, inRecovery, answered } = sample;
    this.latest.set(host, sample);
    this.#lives.set(host, (this.#lives.get(host) ?? new Set()).add(sample.life));
    if (!inRecovery) this.#extendPrimarySpan(sample);
    this.#note(false, { host, what: 'down', key: 'down', at: answered });
    const isPaused = sample.replay !== null && sample.replay !== 'not paused';
    this.#note(isPaused, { host, what: `replay ${sample.replay}`, key: 'paused', at: answered });
    const isIdle = inRecovery && sample.streaming === false;
    this.#note(isIdle, { host, what: 'not streaming', key: 'idle', at: answered });
  }

  /** Records that a host did not answer at `at`: its other conditions are unknown from then on. */
  lose(host: string, at: number): void {
    for (const key of ['paused', 'idle']) this.#open.delete(`${host} ${key}`);
    // A host that is still being created is not down.
    if (this.latest.has(host)) this.#note(true, { host, what: 'down', key: 'down', at });
  }

  /** The number of server lifetimes seen on each host: 2 means one restart. */
  countLives(): Record<string, number> {
    return Object.fromEntries([...this.#lives].map(([host, lives]) => [host, lives.size]));
  }

  /** Hosts that stopped answering, from the first failed attempt to the last one. */
  listDown(): Sighting[] {
    return this.#list(({ what }) => what === 'down');
  }

  /**
   * Pairs of hosts that were certainly down at the same moment. A single failed attempt may be due to the busy
   * machine; a server that restarts misses several.
   */
  listDownTogether(): string[] {
    const down = this.#sightings.filter(({ what, from, to }) => what === 'down' && to > from);
    return listOverlaps(down).map(
      ({ hosts, from, ms }) =>
        `${hosts} were both down at ${new Date(from).toISOString()} for at least ${ms} ms`,
    );
  }

  /** Replicas that were up with their replay paused. */
  listPaused(): Sighting[] {
    return this.#list(({ what }) => what.startsWith('replay '));
  }

  /** Replicas that were up and did not stream, e.g. because their primary was down. */
  listNotStreaming(): Sighting[] {
    return this.#list(({ what }) => what === 'not streaming');
  }

  /**
   * Pairs of hosts that were primary at the same moment. A server that has left recovery stays out of it for
   * its lifetime, so it was primary between any two samples that say so. Two overlapping times prove two
   * primaries, however late an answer came.
   */
  listSplitBrains(): string[] {
    return listOverlaps(this.#primarySpans).map(
      ({ hosts, from, ms }) =>
        `${hosts} were both primary at ${new Date(from).toISOString()} for at least ${ms} ms`,
    );
  }

  #extendPrimarySpan({ host, life, asked, answered }: Sample): void {
    const span = this.#primarySpans.findLast((one) => one.host === host && one.life === life);
    if (!span) this.#primarySpans.push({ host, life, from: answered, to: answered });
    else span.to = Math.max(span.to, asked);
  }

  #note(is: boolean, sighting: { host: string; what: string; key: string; at: number }): void {
    const { host, what, key, at } = sighting;
    const open = this.#open.get(`${host} ${key}`);
    if (!is) this.#open.delete(`${host} ${key}`);
    else if (open) open.to = at;
    else {
      const found = { host, what, from: at, to: at };
      this.#sightings.push(found);
      this.#open.set(`${host} ${key}`, found);
    }
  }

  #list(filter: (sighting: { what: string }) => boolean): Sighting[] {
    return this.#sightings.filter(filter).map(({ host, what, from, to }) => ({
      host,
      what,
      from: new Date(from).toISOString(),
      ms: to - from,
    }));
  }
}

interface Span {
  readonly host: string;
  readonly from: number;
  readonly to: number;
}

/** Pairs of spans of different hosts that overlap. */
function listOverlaps(spans: readonly Span[]): { hosts: string; from: number; ms: number }[] {
  return spans.flatMap((one, index) =>
    spans
      .slice(index + 1)
      .filter(({ host, from, to }) => host !== one.host && from <= one.to && one.from <= to)
      .map(({ host, from, to }) => {
        const start = Math.max(from, one.from);
        return { hosts: `${one.host} and ${host}`, from: start, ms: Math.min(to, one.to) - start };
      }),
  );
}

// pg_stat_wal_receiver and pg_stat_replication: PostgreSQL manual, 27.2.
const QUERY = `SELECT pg_postmaster_start_time()::text AS life, pg_is_in_recovery() AS "inRecovery",
  CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END AS replay,
  CASE WHEN pg_is_in_recovery() THEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') END AS streaming,
  coalesce((SELECT json_object_agg(application_name, sync_state) FROM pg_stat_replication WHERE state = 'streaming'), '{}') AS senders`;

/** Samples one host ten times per second and feeds a chronicle. */
export class Sampler {
  readonly host: string;
  readonly problems = new Set<string>();
  readonly #server: Server;
  readonly #chronicle: Chronicle;
  #stopped = false;
  readonly #work: Promise<void>;

  constructor(server: Server, chronicle: Chronicle) {
    this.host = server.host;
    this.#server = server;
    this.#chronicle = chronicle;
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    const { host } = this;
    let session: Session | null = null;
    while (!this.#stopped) {
      try {
        session ??= await openSession(this.#server, { timeoutMs: TIMEOUT_MS });
        const asked = Date.now();
        const [found] = await session.query<Omit<Sample, 'host' | 'asked' | 'answered'>>(QUERY);
        if (found) this.#chronicle.add({ ...found, host, asked, answered: Date.now() });
      } catch (error) {
        session?.close();
        session = null;
        // A promotion between two parts of the statement: pg_get_wal_replay_pause_state() requires a replica.
        const isPromotion = (error as { code?: unknown }).code === '55000';
        if (isLostConnection(error)) this.#chronicle.lose(host, Date.now());
        else if (!isPromotion) this.problems.add(describeError(error));
      }
      await sleep(INTERVAL_MS);
    }
    session?.close();
  }
}
