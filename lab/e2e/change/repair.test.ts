import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../../client.ts';
import { nightlyTest } from '../../nightly.ts';
import type { JobResult } from '../../runner/job.ts';
import { deploy, readProof, requireSuccess } from '../stage.ts';
import { CONTAINER, LiveCluster, ROOT } from './cluster.ts';

const INPUTS = {
  'instance-type': 't3.small',
  'replica-count': '2',
  // Small enough for a test to lose a slot.
  settings: 'max_slot_wal_keep_size = 64MB\nwal_keep_size = 0',
};

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

/** Asserts that node-1 is still the primary, was not restarted, and has two streaming replicas. */
async function repair(name: string, before?: () => Promise<void>): Promise<JobResult> {
  const { result, restarted } = await cluster.change(name, INPUTS, before ? { before } : {});
  expect(restarted).not.toContain('node-1');
  expect(cluster.readRoles(result)).toEqual({
    'node-1': 'primary',
    'node-2': 'replica streaming',
    'node-3': 'replica streaming',
  });
  return result;
}

const shell = (node: string, script: string) => cluster.run(node, 'sh', '-euc', script);

test('a container that was removed by hand is created again', async () => {
  const result = await repair('a removed container', async () => {
    await cluster.run('node-2', 'docker', 'rm', '--force', CONTAINER);
  });
  expect(result.log).toMatch(/node-2/);
});

nightlyTest('a replica whose data is damaged is cloned again', async () => {
  const result = await repair('damaged data', async () => {
    await shell(
      'node-3',
      `docker kill ${CONTAINER}; rm -rf ${ROOT}/data/global/pg_control ${ROOT}/data/base/1; docker start ${CONTAINER}`,
    );
    await sleep(500);
  });
  expect(result.log).toMatch(/node-3/);
});

nightlyTest('an unfinished clone is repeated', async () => {
  await repair('half a clone', async () => {
    await shell(
      'node-2',
      `docker rm --force ${CONTAINER}; mv ${ROOT}/data ${ROOT}/data.partial; rm -rf ${ROOT}/data.partial/pg_wal`,
    );
  });
  expect(await shell('node-2', `ls ${ROOT}`)).not.toMatch(/data\.partial/);
});

nightlyTest('a replica whose slot is lost is cloned again', async () => {
  await repair('a lost slot', async () => {
    await cluster.run('node-3', 'docker', 'stop', '--time', '60', CONTAINER);
    const primary = cluster.server('node-1');
    // 160 MiB of WAL, and a checkpoint, which removes old segments.
    for (let round = 0; round < 10; round += 1) {
      await query(
        primary,
        "SELECT count(pg_logical_emit_message(false, 'lab', repeat('x', 1024 * 1024))) FROM generate_series(1, 16)",
      );
    }
    await query(primary, 'CHECKPOINT');
    expect(
      await query(
        primary,
        "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'node_3'",
      ),
    ).toBe('lost');
  });
  expect(
    await cluster.ask(
      'node-1',
      "SELECT string_agg(slot_name || ' ' || wal_status, ', ' ORDER BY slot_name) FROM pg_replication_slots",
    ),
  ).toBe('node_2 reserved, node_3 reserved');
});

test('an instance that was terminated comes back with its data', async () => {
  const { id, volumes } = cluster.instance('node-2');
  await repair('a terminated instance', () => cluster.world.aws.terminate(id));
  expect(cluster.instance('node-2').id).not.toBe(id);
  expect(cluster.instance('node-2').volumes).toEqual(volumes);
});

test('a replica promoted by hand is a second primary until it is stopped and its data moved away', async () => {
  await cluster.ask('node-3', 'SELECT pg_promote()');
  await cluster.ask('node-3', 'CREATE TABLE astray AS SELECT 1 AS one');
  await cluster.requireRefusal(INPUTS, { reason: [/node-1/, /node-3/, /both primary/] });
  await shell('node-3', `docker stop --time 60 ${CONTAINER}; mv ${ROOT}/data ${ROOT}/astray`);
  await repair('a diverged replica');
  expect(await cluster.ask('node-3', "SELECT to_regclass('astray') IS NULL")).toBe('t');
  // Data that a person moved away stays there.
  expect(await shell('node-3', `ls ${ROOT}/astray/PG_VERSION`)).toMatch(/PG_VERSION/);
});

test('a replica whose host hangs does not block a deploy: changes without downtime are made', async () => {
  const starts = await cluster.readStarts();
  await cluster.freeze('node-3');
  const settings = `${INPUTS.settings}\nwork_mem = 5MB\nmax_connections = 90`;
  const { result, number } = await deploy(cluster.world, 'around', { ...INPUTS, settings });
  await cluster.thaw('node-3');
  // The node's part waits.
  expect(result.conclusion, result.log).toBe('failure');
  expect(readProof(result).map(({ name, state }) => [name, state])).toEqual([
    ['node-1', 'running'],
    ['node-2', 'streaming'],
    ['node-3', 'not proved: cannot be reached'],
  ]);
  const comment = cluster.world.github.listComments(number)[0]?.body ?? '';
  expect(comment.replaceAll('\\', '')).toMatch(
    /done in part · the rest waits for node-3[\s\S]*Left out: node-3[\s\S]*EC2 says: running[\s\S]*restart of node-1, node-2 \(max_connections\)/,
  );
  for (const node of ['node-1', 'node-2']) {
    expect(await cluster.ask(node, 'SHOW work_mem')).toBe('5MB');
    expect(await cluster.ask(node, 'SHOW max_connections')).toBe('100');
  }
  expect(await cluster.readStarts()).toEqual(starts);
  const slots = "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots";
  expect(await cluster.ask('node-1', slots)).toBe('node_2 node_3');
});

test('a replica that stays away gets another instance, and with the label another volume', async () => {
  const { id, volumes } = cluster.instance('node-3');
  await cluster.freeze('node-3');
  const replace = async (payload: Readonly<Record<string, unknown>>) => {
    const event = cluster.world.github.dispatch('replace', payload);
    const result = requireSuccess(await cluster.world.run(event, INPUTS));
    expect(cluster.readRoles(result)).toEqual({
      'node-1': 'primary',
      'node-2': 'replica streaming',
      'node-3': 'replica streaming',
    });
  };
  await replace({ replace: 'node-3' });
  const second = cluster.instance('node-3');
  expect(second.id).not.toBe(id);
  expect(second.volumes).toEqual(volumes);
  await replace({ replace: 'node-3', replace_volume: true });
  expect(cluster.instance('node-3').volumes).not.toEqual(volumes);
});

test('a request deletes what was kept on a node, and data for which there is no room beside a copy', async () => {
  const kept = 'data.old-20260101T000000Z';
  await shell('node-2', `docker stop --time 60 ${CONTAINER}; cp -a ${ROOT}/data ${ROOT}/${kept}`);
  const discard = async (payload: Readonly<Record<string, unknown>>) =>
    cluster.world.run(cluster.world.github.dispatch('discard', payload), INPUTS);
  const refused = await discard({ discard: 'node-1', discard_data: true });
  expect(refused.conclusion, refused.log).toBe('failure');
  expect(refused.log).toMatch(/node-1 is the primary, so its data stays/);
  const result = requireSuccess(await discard({ discard: 'node-2', discard_data: true }));
  expect(result.log).toMatch(
    /Deleted on node-2: data\.old-20260101T000000Z \(\d.*\), its former data/,
  );
  expect(result.summary).toMatch(/\*\*Delete\*\* on `node-2`: `data\.old-20260101T000000Z`/);
  expect(result.summary).toMatch(/#### Data volumes[\s\S]*`node-2` \| \d.* of .*GiB/);
  expect(cluster.readRoles(result)).toEqual({
    'node-1': 'primary',
    'node-2': 'replica streaming',
    'node-3': 'replica streaming',
  });
  expect((await shell('node-2', `ls -d ${ROOT}/data*`)).trim()).toBe(`${ROOT}/data`);
});
