import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy, requireSuccess } from '../stage.ts';
import { CONTAINER, LiveCluster, ROOT } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '2' };
const SYNCHRONOUS = { ...INPUTS, 'synchronous-replicas': '1' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

const listSyncStates = async () =>
  cluster.ask(
    await cluster.findPrimary(),
    "SELECT string_agg(DISTINCT sync_state, ' ') FROM pg_stat_replication",
  );

test('commits wait for one replica, without a restart', async () => {
  expect(await listSyncStates()).toBe('async');
  const { restarted } = await cluster.change('0 → 1 synchronous replicas', SYNCHRONOUS);
  expect(restarted).toEqual([]);
  expect(await listSyncStates()).toBe('quorum');
  expect(await cluster.ask(await cluster.findPrimary(), 'SHOW synchronous_standby_names')).toMatch(
    /^ANY 1 \(/,
  );
});

test('a copy in progress acknowledges no commit', async () => {
  const primary = await cluster.findPrimary();
  const [copied = '', other = ''] = await cluster.listReplicas();
  const shell = (script: string) => cluster.run(copied, 'bash', '-euc', script);
  await cluster.ask(
    primary,
    'CREATE TABLE ballast AS SELECT n, repeat(md5(n::text), 8) FROM generate_series(1, 400000) n',
  );
  await shell(`docker rm --force ${CONTAINER}; mv ${ROOT}/data ${ROOT}/data.partial`);
  const deployed = deploy(cluster.world, 'copy-again', SYNCHRONOUS);
  // The copy of the data is paused; its second process continues to receive WAL.
  const isCopying = `[ -e ${ROOT}/data.partial/backup_label ] && pid=$(pgrep -o -x pg_basebackup)`;
  const find = `rm -rf ${ROOT}/data.partial; until ${isCopying}; do sleep 0.01; done`;
  const copy = await shell(`${find}; kill -STOP $pid; echo $pid`);
  await cluster.run(other, 'docker', 'stop', '--time', '60', CONTAINER);
  const senders = `SELECT coalesce(string_agg(application_name || ' ' || sync_state, ', '), 'nobody') FROM pg_stat_replication WHERE state = 'streaming'`;
  await expect
    .poll(() => cluster.ask(primary, senders), { timeout: 30_000 })
    .toBe(`clone of ${copied.replace('-', '_')} async`);

  let isAcknowledged = false;
  const inserted = cluster.ask(primary, 'INSERT INTO ballast VALUES (0)').then(() => {
    isAcknowledged = true;
  });
  const waiting = `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT INTO ballast%'`;
  await expect.poll(() => cluster.ask(primary, waiting), { timeout: 30_000 }).toBe('1');
  // pg_basebackup flushes whole segments, and reports its position every ten seconds.
  await cluster.ask(primary, 'SELECT pg_switch_wal()');
  await sleep(12_000);
  expect(await cluster.ask(primary, waiting)).toBe('1');
  expect(isAcknowledged).toBe(false);

  await cluster.run(other, 'docker', 'start', CONTAINER);
  await inserted;
  await shell(`kill -CONT ${copy.trim()}`);
  requireSuccess((await deployed).result);
  expect(await listSyncStates()).toBe('quorum');
});

test('the loss of one replica does not stop writes', async () => {
  const [replica] = await cluster.listReplicas();
  const { report } = await cluster.underLoad(async (load) => {
    await cluster.run(replica as string, 'docker', 'stop', '--time', '60', CONTAINER);
    await load.awaitCommits(100);
    await cluster.run(replica as string, 'docker', 'start', CONTAINER);
    await load.awaitCommits(100);
  });
  cluster.tell('a replica stops and starts', report);
  cluster.requireNoProblems(report);
});

// Invariant 8, with one writer from the first row to the last.
test('clone, switchover and failover lose no acknowledged row', async () => {
  const first = await cluster.findPrimary();
  const [copied = '', second = ''] = await cluster.listReplicas();
  const {
    value: old,
    load,
    report,
  } = await cluster.underLoad(async (running) => {
    await cluster.run(
      copied,
      'bash',
      '-euc',
      `docker rm --force ${CONTAINER}; mv ${ROOT}/data ${ROOT}/data.partial`,
    );
    await running.awaitCommits(20);
    const moved = await deploy(cluster.world, 'copy-and-move', { ...SYNCHRONOUS, primary: second });
    requireSuccess(moved.result);
    expect(moved.result.log).toMatch(new RegExp(`Clone ${copied} from ${first}`));
    expect(await cluster.findPrimary()).toBe(second);
    await running.awaitCommits(50);

    await cluster.run(second, 'docker', 'kill', CONTAINER);
    requireSuccess(await cluster.failOver(SYNCHRONOUS));
    await running.awaitCommits(50);
    return second;
  });
  cluster.tell('clone, switchover and failover with a synchronous replica', report);
  expect(await cluster.findPrimary()).not.toBe(old);
  cluster.requireNoProblems(report);
  // On every node that answers, including the clone.
  await cluster.requireRows(load);
  const { result } = await cluster.change('after the failover', SYNCHRONOUS);
  expect(cluster.readRoles(result)[old]).toBe('replica streaming');
  expect(await listSyncStates()).toBe('quorum');
});

test('replication becomes asynchronous again, without a restart', async () => {
  const { restarted } = await cluster.change('1 → 0 synchronous replicas', INPUTS);
  expect(restarted).toEqual([]);
  expect(await listSyncStates()).toBe('async');
});
