import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Load, LoadReport } from '../../load.ts';
import type { JobResult } from '../../runner/job.ts';
import { requireSuccess } from '../stage.ts';
import { CONTAINER, LiveCluster } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '2' };
const ALL = ['primary', 'replica streaming', 'replica streaming'];

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

interface Failover {
  readonly result: JobResult;
  readonly report: LoadReport;
  /** Before and after. */
  readonly old: string;
  readonly promoted: string;
  /** Acknowledged rows that did not survive. */
  readonly lost: readonly number[];
}

/**
 * Breaks the primary under load and fails over. The replica that had received most must be the primary then, and
 * all that it had received be everywhere. Asynchronous replication may lose what never left the old primary,
 * and nothing else.
 */
async function failOver(
  name: string,
  options: {
    breakPrimary: (primary: string) => Promise<void>;
    inputs?: (primary: string) => Record<string, string>;
  },
): Promise<Failover> {
  const { breakPrimary, inputs = () => ({}) } = options;
  const old = await cluster.findPrimary();
  const { value, load, report } = await cluster.underLoad(async (running) => {
    await breakPrimary(old);
    // Whatever is on its way arrives.
    await sleep(300);
    const survivor = await findMostAdvanced(old);
    const received = await cluster.readLatest(survivor);
    const result = requireSuccess(await cluster.failOver({ ...INPUTS, ...inputs(old) }));
    await running.awaitCommits(50);
    return { result, received, survivor };
  });
  cluster.tell(name, report);
  const promoted = await cluster.findPrimary();
  expect(promoted).toBe(value.survivor);
  const lost = (await cluster.findMissing(load))[promoted] ?? [];
  expect(lost.filter((counter) => counter <= value.received)).toEqual([]);
  await requireOnlyLost(load, lost);
  requireCalmBut(report, lost);
  return { result: value.result, report, old, promoted, lost };
}

/** Every node that answers lacks the rows that were lost, and no other. */
async function requireOnlyLost(load: Load, lost: readonly number[]): Promise<void> {
  for (const [node, missing] of Object.entries(await cluster.findMissing(load))) {
    expect([node, missing]).toEqual([node, lost]);
  }
}

/** Readers must have met nothing but the holes that the lost rows leave. */
function requireCalmBut(report: LoadReport, lost: readonly number[]): void {
  const readerProblems = report.readerProblems.filter((problem) => {
    const holes = /but not ([\d, ]+)$/.exec(problem)?.[1]?.split(', ').map(Number);
    return !holes?.every((counter) => lost.includes(counter));
  });
  cluster.requireCalm({ ...report, readerProblems });
}

test('a primary that answers is not failed over: that is what a switchover is for', async () => {
  const starts = await cluster.readStarts();
  const result = await cluster.failOver(INPUTS);
  expect(result.conclusion, result.log).toBe('failure');
  const messages = result.annotations.map(({ message }) => message).join('\n');
  expect(messages).toMatch(/node-1 answers/);
  expect(await cluster.readStarts()).toEqual(starts);
});

test('a primary whose container died: the replica that has most is promoted', async () => {
  const behind = 'node-2';
  const source = cluster.instance('node-1').privateIp;
  const rule = ['INPUT', '--source', source, '--jump', 'DROP'];
  const { old, promoted, lost } = await failOver('failover from a dead container', {
    async breakPrimary(primary) {
      // node-2 hears no more of it, so node-3 knows more from now on.
      await cluster.run(behind, 'iptables', '--insert', ...rule);
      await sleep(1_000);
      await cluster.run(primary, 'docker', 'kill', CONTAINER);
    },
  });
  await cluster.run(behind, 'iptables', '--delete', ...rule);
  expect([old, promoted]).toEqual(['node-1', 'node-3']);
  console.log(`rows that never left the old primary: ${lost.length}`);
});

test('the next deploy brings the old primary back as a replica', async () => {
  const { result, primary } = await cluster.change('after the failover', INPUTS);
  expect(primary.after).toBe('node-3');
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
  expect(cluster.readRoles(result)['node-1']).toBe('replica streaming');
});

test('a primary whose host hangs is fenced by replacing its instance', async () => {
  const before = cluster.instance('node-3').id;
  const { promoted } = await failOver('failover from a host that hangs', {
    breakPrimary: (primary) => cluster.freeze(primary),
  });
  // Nobody can wake up the old one any more.
  expect(cluster.instance('node-3').id).not.toBe(before);
  const { result, primary } = await cluster.change('after the replacement', INPUTS);
  expect(primary.after).toBe(promoted);
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
});

test('a primary that a person has fenced is left alone', async () => {
  const old = await cluster.findPrimary();
  const { id } = cluster.instance(old);
  const { lost } = await failOver('failover from a primary fenced by hand', {
    async breakPrimary(primary) {
      // Stopped for good: it does not come back with its host.
      await cluster.run(primary, 'docker', 'stop', '--time', '60', CONTAINER);
      await cluster.freeze(primary);
    },
    inputs: (primary) => ({ fenced: primary }),
  });
  // A clean shutdown sends everything first.
  expect(lost).toEqual([]);
  expect(cluster.instance(old).id).toBe(id);
  await cluster.thaw(old);
  const { result } = await cluster.change('after the fence is lifted', INPUTS);
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
  expect(cluster.readRoles(result)[old]).toBe('replica streaming');
});

/** Of the replicas that answer, the one that received most; the lowest number where several did. */
async function findMostAdvanced(old: string): Promise<string> {
  const positions = Object.keys(cluster.listServers())
    .filter((node) => node !== old)
    .map(async (node) => {
      const bytes = await cluster.ask(
        node,
        "SELECT pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')",
      );
      return { node, bytes: Number(bytes) };
    });
  const [best] = (await Promise.all(positions)).sort(
    (a, b) => b.bytes - a.bytes || a.node.localeCompare(b.node),
  );
  if (!best) throw new Error('No replica answers.');
  return best.node;
}
