import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Server } from './client.ts';
import { type Gap, listMissing, measureGaps } from './load/ledger.ts';
import { Reader } from './load/reader.ts';
import { TABLE } from './load/row.ts';
import { Chronicle, type Sample, Sampler, type Sighting } from './load/sampler.ts';
import { Writer } from './load/writer.ts';

/** The results of a load. */
export interface LoadReport {
  /** How many commits were acknowledged. */
  readonly acknowledged: number;
  /** The longest time without an acknowledged commit, in milliseconds. */
  readonly longestGapMs: number;
  /** The longest delay of this process itself: a gap may be too long by this much. */
  readonly stallMs: number;
  /** All gaps above 200 ms. */
  readonly gaps: readonly Gap[];
  /** Counters of rows whose acknowledgement was lost: they may be committed or not. */
  readonly unknown: readonly number[];
  /** The writer's errors other than lost connections. */
  readonly writerProblems: readonly string[];
  /** The readers' errors other than lost connections: wrong rows, rows that vanished, refused reads. */
  readonly readerProblems: readonly string[];
  /** The number of reads that the replicas answered. */
  readonly reads: number;
  /** Replicas that were up with their replay paused. */
  readonly pausedReplays: readonly Sighting[];
  /** Replicas that were up and did not stream. This is an error only while there is a primary. */
  readonly notStreaming: readonly Sighting[];
  /** Moments with two primaries. */
  readonly splitBrains: readonly string[];
  /** Moments with two nodes down that had been up. */
  readonly downTogether: readonly string[];
  /** The number of server lifetimes seen on each host: 2 means one restart. */
  readonly lives: Readonly<Record<string, number>>;
}

/**
 * A longer pause of writes means that something waited without need, e.g. for a timeout: a busy machine turns
 * the tenths of a switchover into seconds, not more. The target of one second belongs to bench/switchover.ts.
 */
export const PAUSE_LIMIT_MS = 10_000;

/** A writer, a reader on every replica and a sampler; all run until `stop`. */
export interface Load {
  /** Replaces the list of hosts. */
  setHosts(hosts: readonly string[]): void;
  /** The latest sample of every host. */
  look(): readonly Sample[];
  /** The results so far. */
  report(): LoadReport;
  /** Waits until this many more commits are acknowledged; throws after 60 s. */
  awaitCommits(count: number): Promise<void>;
  /** Ends the load and returns the report; further calls return the same. */
  stop(): Promise<LoadReport>;
  /**
   * The acknowledged rows that a node lacks, by counter. Rows acknowledged before the call may still be on
   * their way to a replica, so it returns when no row is missing, or after `waitMs` (default 15 s).
   */
  findMissing(server: Server, options?: { waitMs?: number }): Promise<number[]>;
}

/** Timeout of a wait for commits, in milliseconds. */
const TIMEOUT_MS = 60_000;

/** Starts a load on a cluster; resolves when the first row is acknowledged, and throws if that takes 60 s. */
export async function startLoad(options: {
  hosts: readonly string[];
  password: string;
}): Promise<Load> {
  const { password } = options;
  let servers: readonly Server[] = [];
  const stalls = monitorEventLoopDelay({ resolution: 5 });
  stalls.enable();
  const chronicle = new Chronicle();
  const writer = new Writer(() => servers);
  const watchers = new Map<string, { reader: Reader; sampler: Sampler }>();
  const retired: { reader: Reader; sampler: Sampler; ended: Promise<unknown> }[] = [];

  let final: Promise<LoadReport> | null = null;

  function setHosts(hosts: readonly string[]): void {
    if (hosts.length > 0 && final !== null) return;
    servers = hosts.map((host) => ({ host, password }));
    for (const [host, { reader, sampler }] of watchers) {
      if (hosts.includes(host)) continue;
      watchers.delete(host);
      const ended = Promise.all([reader.stop(), sampler.stop()]);
      retired.push({ reader, sampler, ended });
    }
    for (const server of servers) {
      if (watchers.has(server.host)) continue;
      watchers.set(server.host, {
        reader: new Reader(server, writer.ledger),
        sampler: new Sampler(server, chronicle),
      });
    }
  }

  const report = (): LoadReport => {
    const { acknowledged, unknown } = writer.ledger;
    const all = [...watchers.values(), ...retired];
    return {
      acknowledged: acknowledged.length,
      ...measureGaps(acknowledged, Date.now()),
      stallMs: Math.round(stalls.max / 1e6),
      unknown: [...unknown],
      writerProblems: [...writer.problems],
      readerProblems: all
        .flatMap(({ reader, sampler }) => [reader, sampler])
        .flatMap(({ host, problems }) => [...problems].map((problem) => `${host} ${problem}`)),
      reads: all.reduce((sum, { reader }) => sum + reader.reads, 0),
      pausedReplays: chronicle.listPaused(),
      notStreaming: chronicle.listNotStreaming(),
      splitBrains: chronicle.listSplitBrains(),
      downTogether: chronicle.listDownTogether(),
      lives: chronicle.countLives(),
    };
  };

  async function end(): Promise<LoadReport> {
    await writer.stop();
    const last = report();
    stalls.disable();
    setHosts([]);
    await Promise.all(retired.map(({ ended }) => ended));
    return last;
  }

  setHosts(options.hosts);
  const isStarted = writer.start().then(() => true);
  if (!(await Promise.race([isStarted, sleep(TIMEOUT_MS, false, { ref: false })]))) {
    await end();
    throw new Error(`None of ${options.hosts.join(', ')} takes writes for 60 s.`);
  }
  return {
    setHosts,
    report,
    look: () => [...watchers.keys()].flatMap((host) => chronicle.latest.get(host) ?? []),
    async awaitCommits(count) {
      const { acknowledged } = writer.ledger;
      const target = acknowledged.length + count;
      const deadline = Date.now() + TIMEOUT_MS;
      while (acknowledged.length < target) {
        if (Date.now() > deadline) {
          throw new Error(
            `${target - acknowledged.length} of ${count} commits are not acknowledged after 60 s.`,
          );
        }
        await sleep(10);
      }
    },
    stop: () => {
      final ??= end();
      return final;
    },
    async findMissing(server, { waitMs = 15_000 } = {}) {
      const acknowledged = [...writer.ledger.acknowledged];
      const deadline = Date.now() + waitMs;
      for (;;) {
        const missing = listMissing(acknowledged, await readCounters(server));
        if (missing.length === 0 || Date.now() > deadline) return missing;
        await sleep(100);
      }
    },
  };
}

async function readCounters(server: Server): Promise<number[]> {
  const session = await openSession(server, { timeoutMs: 10_000 });
  try {
    const rows = await session.query<{ counter: string }>(`SELECT counter FROM ${TABLE}`);
    return rows.map(({ counter }) => Number(counter));
  } finally {
    session.close();
  }
}
