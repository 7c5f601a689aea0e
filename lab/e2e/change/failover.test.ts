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
  // EC2 is asked about nodes that no tunnel reaches.
  cluster = await LiveCluster.create(INPUTS, { sshVia: 'instance-connect-endpoint' });
});
afterAll(() => cluster?.close());

interface Failover {
  readonly result: JobResult;
  readonly report: LoadReport;
  /** The primary before and after. */
  readonly old: string;
  readonly promoted: string;
  /** Acknowledged rows that were lost. */
  readonly lost: readonly number[];
}

/**
 * Breaks the primary under load and fails over. Then the replica that had received most must be the primary, and
 * all rows that it had received must be on every node. Asynchronous replication may lose rows that never left the
 * old primary, and no others.
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
    // Waits for data in transit.
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
  requireOnlyGaps(report, lost);
  return { result: value.result, report, old, promoted, lost };
}

/** Asserts that every node that answers lacks exactly the lost rows. */
async function requireOnlyLost(load: Load, lost: readonly number[]): Promise<void> {
  for (const [node, missing] of Object.entries(await cluster.findMissing(load))) {
    expect([node, missing]).toEqual([node, lost]);
  }
}

/** Asserts that the readers found only the gaps of the lost rows. */
function requireOnlyGaps(report: LoadReport, lost: readonly number[]): void {
  const readerProblems = report.readerProblems.filter((problem) => {
    const holes = /but not ([\d, ]+)$/.exec(problem)?.[1]?.split(', ').map(Number);
    return !holes?.every((counter) => lost.includes(counter));
  });
  cluster.requireNoProblems({ ...report, readerProblems });
}

test('a failover is refused while the primary answers: use a switchover', async () => {
  const starts = await cluster.readStarts();
  const result = await cluster.failOver(INPUTS);
  expect(result.conclusion, result.log).toBe('failure');
  const messages = result.annotations.map(({ message }) => message).join('\n');
  expect(messages).toMatch(/node-1 answers/);
  expect(await cluster.readStarts()).toEqual(starts);
});

test('if the container of the primary died, the replica that received most is promoted', async () => {
  const behind = 'node-2';
  const source = cluster.instance('node-1').privateIp;
  const rule = ['INPUT', '--source', source, '--jump', 'DROP'];
  const { old, promoted, lost } = await failOver('failover from a dead container', {
    async breakPrimary(primary) {
      // node-2 is cut off from it, so node-3 receives more from now on.
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

test('Never two primaries: one on broken hardware is stopped by force and replaced after the promotion', async () => {
  const before = cluster.instance('node-3').id;
  const { promoted, result } = await failOver('failover from a host on broken hardware', {
    async breakPrimary(primary) {
      await cluster.breakHardware(primary);
      await cluster.freeze(primary);
    },
  });
  // Writes resume first: another instance takes time.
  const steps = [
    'Stop the instance of node-3 by force',
    'Promote the replica',
    'Replace the instance of node-3',
  ];
  const places = steps.map((step) => result.log.indexOf(step));
  expect(places, result.log).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  // The old instance cannot be started any more, and the node is back.
  expect(cluster.instance('node-3').id).not.toBe(before);
  expect(Object.values(cluster.readRoles(result)).sort()).toEqual(ALL);
  const { primary } = await cluster.change('after the replacement', INPUTS);
  expect(primary.after).toBe(promoted);
});

test('a request that declares a node down is accepted only if EC2 confirms it', async () => {
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

test('Never two primaries: an instance started again by EC2 asks its peers before its PostgreSQL starts', async () => {
  const promoted = await cluster.findPrimary();
  const old = cluster.world.aws.listInstances().find(({ state }) => state === 'stopped');
  const node = /node-\d+$/.exec(old?.name ?? '')?.[0] ?? 'none';
  // The load's sampler detects two nodes that accept writes at any moment.
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

test('a primary that reboots asks its peers, too, and becomes the primary again immediately', async () => {
  const primary = await cluster.findPrimary();
  const { report } = await cluster.underLoad(async (running) => {
    await cluster.world.aws.reboot(cluster.instance(primary).id);
    await running.awaitCommits(20);
  });
  cluster.tell('reboot of the primary', report);
  cluster.requireNoProblems(report);
  expect(await cluster.findPrimary()).toBe(primary);
  expect(
    await cluster.run(primary, 'journalctl', '--unit=postgres-cluster-guard', '-o', 'cat'),
  ).toContain("this node's data may come up as the primary's");
});

/** Of the replicas that answer, returns the one that received most; the lowest number in a tie. */
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
