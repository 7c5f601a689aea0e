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

test('Never two primaries: one on sick hardware is stopped by force and promoted past, then replaced', async () => {
  const before = cluster.instance('node-3').id;
  const { promoted, result } = await failOver('failover from a host on sick hardware', {
    async breakPrimary(primary) {
      await cluster.makeSick(primary);
      await cluster.freeze(primary);
    },
  });
  // Writes come back first: another instance takes its time.
  const steps = [
    'Stop the instance of node-3 by force',
    'Promote the replica',
    'Replace the instance of node-3',
  ];
  const places = steps.map((step) => result.log.indexOf(step));
  expect(places, result.log).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  // Nobody can wake up the old one any more, and the node is back.
  expect(cluster.instance('node-3').id).not.toBe(before);
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
  const { primary } = await cluster.change('after the replacement', INPUTS);
  expect(primary.after).toBe(promoted);
});

test('a person who says that a node is down is believed only when EC2 says so too', async () => {
  const old = await cluster.findPrimary();
  const { id } = cluster.instance(old);
  await failOver('failover from a primary that a person stopped', {
    async breakPrimary(primary) {
      await cluster.freeze(primary);
      const refused = await cluster.failOver({ ...INPUTS, fenced: primary });
      expect(refused.conclusion, refused.log).toBe('failure');
      const messages = refused.annotations.map(({ message }) => message).join('\n');
      expect(messages).toContain(`EC2 says that its instance ${id} is running`);
      expect(messages).toContain(`aws ec2 stop-instances --force --instance-ids ${id}`);
      await cluster.world.aws.stopInstance(id, { force: true });
    },
    inputs: (primary) => ({ fenced: primary }),
  });
  expect(cluster.instance(old)).toMatchObject({ id, state: 'stopped' });
});

test('Never two primaries: an instance that EC2 starts again asks its peers before its PostgreSQL comes up', async () => {
  const promoted = await cluster.findPrimary();
  const old = cluster.world.aws.listInstances().find(({ state }) => state === 'stopped');
  const node = /node-\d+$/.exec(old?.name ?? '')?.[0] ?? 'none';
  // The load's watch sees it if two nodes take writes at any moment.
  const { result, primary } = await cluster.change('after an instance came back', INPUTS, {
    async before() {
      await cluster.world.aws.startInstance(old?.id ?? '');
      await expect
        .poll(() => cluster.ask(node, 'SELECT pg_is_in_recovery()').catch(() => null), {
          timeout: 60_000,
        })
        .toBe('t');
      const said = await cluster.run(
        node,
        'journalctl',
        '--unit=postgres-cluster-guard',
        '-o',
        'cat',
      );
      expect(said).toContain('comes up as a replica');
    },
  });
  expect(primary).toEqual({ before: promoted, after: promoted });
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
  expect(cluster.readRoles(result)[node]).toBe('replica streaming');
});

test('a primary that reboots asks its peers as well, and is the primary again at once', async () => {
  const primary = await cluster.findPrimary();
  const { report } = await cluster.underLoad(async (running) => {
    await cluster.world.aws.reboot(cluster.instance(primary).id);
    await running.awaitCommits(20);
  });
  cluster.tell('reboot of the primary', report);
  cluster.requireCalm(report);
  expect(await cluster.findPrimary()).toBe(primary);
  expect(
    await cluster.run(primary, 'journalctl', '--unit=postgres-cluster-guard', '-o', 'cat'),
  ).toContain("this node's data may come up as the primary's");
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
