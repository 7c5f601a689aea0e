import { afterAll, beforeAll, expect, test } from 'vitest';
import { requireSuccess } from '../stage.ts';
import { CONTAINER, LiveCluster } from './cluster.ts';

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

test('one replica lost does not stop writes', async () => {
  const [replica] = await cluster.listReplicas();
  const { report } = await cluster.underLoad(async (load) => {
    await cluster.run(replica as string, 'docker', 'stop', '--time', '60', CONTAINER);
    await load.awaitCommits(100);
    await cluster.run(replica as string, 'docker', 'start', CONTAINER);
    await load.awaitCommits(100);
  });
  cluster.tell('a replica stops and starts', report);
  cluster.requireCalm(report);
});

test('a failover loses no acknowledged row at all', async () => {
  const old = await cluster.findPrimary();
  const { load, report } = await cluster.underLoad(async (running) => {
    await cluster.run(old, 'docker', 'kill', CONTAINER);
    requireSuccess(await cluster.failOver(SYNCHRONOUS));
    await running.awaitCommits(50);
  });
  cluster.tell('failover with a synchronous replica', report);
  expect(await cluster.findPrimary()).not.toBe(old);
  cluster.requireCalm(report);
  await cluster.requireRows(load);
  const { result } = await cluster.change('after the failover', SYNCHRONOUS);
  expect(cluster.readRoles(result)[old]).toBe('replica streaming');
  expect(await listSyncStates()).toBe('quorum');
});

test('and back to asynchronous, without a restart', async () => {
  const { restarted } = await cluster.change('1 → 0 synchronous replicas', INPUTS);
  expect(restarted).toEqual([]);
  expect(await listSyncStates()).toBe('async');
});
