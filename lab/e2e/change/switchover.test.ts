import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSession, type Session } from '../../client.ts';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { findPublicHost } from '../../public-host.ts';
import { LiveCluster } from './cluster.ts';

const INPUTS = {
  'instance-type': 't3.small',
  'replica-count': '2',
  settings: 'wal_level = logical',
};
/** An open transaction of this age prevents a switchover. */
const OLD_TRANSACTION_MS = 60_000;

let cluster: LiveCluster;
let transaction: Session | undefined;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(async () => {
  transaction?.close();
  await cluster?.close();
});

const choose = (primary: string) => ({ ...INPUTS, primary });

test('node-2 becomes primary, node-1 its replica, and no other server is restarted', async () => {
  const { primary, restarted, report, result } = await cluster.change(
    'switchover to node-2',
    choose('node-2'),
  );
  expect(primary).toEqual({ before: 'node-1', after: 'node-2' });
  expect(restarted).toEqual(['node-1']);
  expect(cluster.readRoles(result)).toEqual({
    'node-1': 'replica streaming',
    'node-2': 'primary',
    'node-3': 'replica streaming',
  });
  expect(report.downTogether).toEqual([]);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
  // The slots moved, too: a slot left on the former primary would keep WAL forever.
  const slots = await cluster.askAll(
    "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots",
  );
  expect(slots).toEqual({ 'node-1': '', 'node-2': 'node_1 node_3', 'node-3': '' });
});

let begun: number;

test('node-1 becomes primary again, as the timeline shows', async () => {
  const { primary, restarted, report, result } = await cluster.change(
    'switchover to node-1',
    choose('node-1'),
  );
  transaction = await openSession(cluster.server('node-1'), { timeoutMs: 5_000 });
  await transaction.query('BEGIN');
  await transaction.query('SELECT 1');
  begun = Date.now();
  expect(primary).toEqual({ before: 'node-2', after: 'node-1' });
  expect(restarted).toEqual(['node-2']);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
  expect(findPublicHost(cluster.world, result.outputs['primary-host'] ?? '')).toBe(
    cluster.server('node-1').host,
  );
  expect(await cluster.ask('node-1', 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)')).toBe(
    '00000003',
  );
});

test('a switchover is refused while a transaction is open for long, and does not end it', async () => {
  const [backend] =
    (await transaction?.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')) ?? [];
  // Waits until it is old enough.
  await sleep(begun + OLD_TRANSACTION_MS + 3_000 - Date.now());
  await cluster.refuse('switchover past a long transaction', choose('node-3'), {
    reason: new RegExp(`${backend?.pid}`),
  });
  // The transaction still exists, and after its end the switchover is possible.
  await transaction?.query('COMMIT');
  const { primary } = await cluster.change('switchover to node-3', choose('node-3'));
  expect(primary.after).toBe('node-3');
});

test('a slot without a copy prevents a switchover, a slot with failover moves along', async () => {
  const create = (failover: boolean) =>
    cluster.ask(
      'node-3',
      `SELECT pg_create_logical_replication_slot('cdc', 'pgoutput', false, false, ${failover})`,
    );
  await create(false);
  await cluster.refuse('switchover that would lose a slot', choose('node-1'), {
    reason: /logical slot cdc would be lost with the switchover to node-1/,
  });
  await cluster.ask('node-3', `SELECT pg_drop_replication_slot('cdc')`);
  await create(true);
  const listCopies = `SELECT coalesce(string_agg(slot_name, ' '), '') FROM pg_replication_slots WHERE synced AND NOT temporary`;
  /** Consumes changes until the replica has a complete copy. */
  const copy = (from: string, to: string) =>
    expect
      .poll(
        async () => {
          await cluster.ask(from, 'SELECT pg_log_standby_snapshot()');
          await cluster.ask(
            from,
            `SELECT pg_replication_slot_advance('cdc', pg_current_wal_lsn())`,
          );
          return cluster.ask(to, listCopies);
        },
        { timeout: 60_000, interval: 500 },
      )
      .toBe('cdc');
  await copy('node-3', 'node-1');
  const { primary } = await cluster.change('switchover with a slot', choose('node-1'));
  expect(primary.after).toBe('node-1');
  // The former primary has dropped its own, and has a copy of the one that moved.
  await copy('node-1', 'node-3');
});
