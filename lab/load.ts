import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Server } from './client.ts';
import { type Gap, listMissing, measureGaps } from './load/ledger.ts';
import { Reader } from './load/reader.ts';
import { TABLE } from './load/row.ts';
import { Chronicle, type Sample, Sampler, type Sighting } from './load/sampler.ts';
import { Writer } from './load/writer.ts';

/** What a load saw. */
export interface LoadReport {
  /** How many commits were acknowledged. */
  readonly acknowledged: number;
  /** The longest time without an acknowledged commit, milliseconds. */
  readonly longestGapMs: number;
  /** How long this process itself was held up at most: a gap may be too long by that much. */
  readonly stallMs: number;
  /** All of them above 200 ms. */
  readonly gaps: readonly Gap[];
  /** Counters of rows whose acknowledgement was lost: they may be committed or not. */
  readonly unknown: readonly number[];
  /** What the writer met beside lost connections. */
  readonly writerProblems: readonly string[];
  /** What readers met beside lost connections: wrong rows, rows that vanished, refused reads. */
  readonly readerProblems: readonly string[];
  /** How many reads the replicas answered. */
  readonly reads: number;
  /** Replicas that were up with their replay paused. */
  readonly pausedReplays: readonly Sighting[];
  /** Replicas that were up and did not stream. That is wrong only while there is a primary. */
  readonly notStreaming: readonly Sighting[];
  /** Moments with two primaries. */
  readonly splitBrains: readonly string[];
  /** Moments with two nodes down, which had been up. */
  readonly downTogether: readonly string[];
  /** How many servers' lives were seen on each host: 2 means it was restarted once. */
  readonly lives: Readonly<Record<string, number>>;
}

/**
 * Writes that pause for longer waited for something that should not have been waited for, e.g. a timeout: a busy
 * machine makes seconds of the tenths that a switchover takes, not more. The goal of a second is bench/switchover.ts's.
 */
export const PAUSE_LIMIT_MS = 10_000;

/** A writer, a reader on every replica and somebody who watches; all go on until `stop`. */
export interface Load {
  /** The hosts that there are from now on. */
  setHosts(hosts: readonly string[]): void;
  /** The latest look at every host. */
  look(): readonly Sample[];
  /** What was seen so far. */
  report(): LoadReport;
  /** Waits until at least so many more commits are acknowledged; throws after 60 s. */
  awaitCommits(count: number): Promise<void>;
  /** Ends it all and gives the report; again gives the same. */
  stop(): Promise<LoadReport>;
  /**
   * The acknowledged rows that a node lacks, by counter. What was acknowledged before the call may still be
   * on its way to a replica, so the answer comes when none is missing, or after `waitMs` (default 15 s).
   */
  findMissing(server: Server, options?: { waitMs?: number }): Promise<number[]>;
}

/** How long somebody who needs commits waits for them, milliseconds. */
const PATIENCE_MS = 60_000;

/** Starts a load on a cluster; resolves with the first row acknowledged, and throws when there is none for 60 s. */
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
  if (!(await Promise.race([isStarted, sleep(PATIENCE_MS, false, { ref: false })]))) {
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
      const deadline = Date.now() + PATIENCE_MS;
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
