import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSession, type Session } from '../../client.ts';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { LiveCluster } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '2' };
/** A transaction older than this keeps a switchover from beginning. */
const LONG_MS = 60_000;

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
  // The slots went along: a former primary that kept its own would keep WAL for ever.
  const slots = await cluster.askAll(
    "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots",
  );
  expect(slots).toEqual({ 'node-1': '', 'node-2': 'node_1 node_3', 'node-3': '' });
});

let begun: number;

test('and back, as the timeline shows', async () => {
  const { primary, restarted, report, result } = await cluster.change(
    'switchover to node-1',
    choose('node-1'),
    { again: false },
  );
  transaction = await openSession(cluster.server('node-1'), { timeoutMs: 5_000 });
  await transaction.query('BEGIN');
  await transaction.query('SELECT 1');
  begun = Date.now();
  expect(primary).toEqual({ before: 'node-2', after: 'node-1' });
  expect(restarted).toEqual(['node-2']);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
  expect(result.outputs['primary-host']).toBe(cluster.server('node-1').host);
  expect(await cluster.ask('node-1', 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)')).toBe(
    '00000003',
  );
});

test('a transaction that has been open for long is not cut off: the switchover is refused', async () => {
  const [backend] =
    (await transaction?.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')) ?? [];
  // While it grows old.
  await cluster.requireQuiet(choose('node-1'));
  await sleep(begun + LONG_MS + 3_000 - Date.now());
  await cluster.refuse('switchover past a long transaction', choose('node-3'), {
    reason: new RegExp(`${backend?.pid}`),
  });
  // It is still there, and once it has ended the way is free.
  await transaction?.query('COMMIT');
  const { primary } = await cluster.change('switchover to node-3', choose('node-3'), {
    again: false,
  });
  expect(primary.after).toBe('node-3');
});
