import { afterEach, expect } from 'vitest';
import { PAUSE_LIMIT_MS, startLoad } from '../../load.ts';
import { nightlyTest } from '../../nightly.ts';
import { startTestbed, type Testbed } from '../../playbooks/testbed.ts';
import { LANE } from '../lane.ts';

// The oldest and the newest PostgreSQL: different control files, and an image with another C library.

/** The option with which replicas of 17 and later keep copies of slots. */
const COPY_SLOTS = { sync_replication_slots: 'on', hot_standby_feedback: 'on' };
const LIST_SLOTS = `SELECT coalesce(string_agg(slot_name, ' '), '') FROM pg_replication_slots WHERE slot_type = 'logical'`;

/** Consumes changes from the slot until the replica has a complete copy of it. */
async function copySlot(cluster: Testbed, primary: string, replica: string): Promise<void> {
  const read = `SELECT pg_log_standby_snapshot();
    SELECT pg_replication_slot_advance('moves', pg_current_wal_lsn())`;
  const isReady = `SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = 'moves'`;
  await expect
    .poll(
      async () => {
        const answer = await cluster.query(replica, isReady);
        if (answer !== 't') await cluster.query(primary, read);
        return answer;
      },
      { timeout: 60_000, interval: 300 },
    )
    .toBe('t');
}

let testbed: Testbed | undefined;
afterEach(async () => {
  await testbed?.close();
  testbed = undefined;
});

nightlyTest.each(['14-alpine', '18'] as const)(
  'PostgreSQL %s passes the check and switches over',
  async (tag) => {
    const cluster = await startTestbed({
      ...LANE,
      count: 2,
      tags: [tag],
      image: `postgres:${tag}`,
      settings: { wal_level: 'logical', ...(tag === '18' ? COPY_SLOTS : {}) },
    });
    testbed = cluster;
    const { settings } = cluster.configure('node-1');
    const wrong = { ...settings, shared_preload_libraries: 'nobody' };
    const check = { kind: 'check', nodes: ['node-2'], primary: 'node-1', settings } as const;
    expect(await cluster.change([check])).toEqual([]);
    const refused = await cluster.run([{ ...check, settings: wrong }]);
    expect(refused.failures[0]?.message).toMatch(/"nobody".*nothing was changed/);

    // A consumer's slot moves along, or the switchover does not begin.
    await cluster.query('node-1', `SELECT pg_create_logical_replication_slot('stays', 'pgoutput')`);
    const refusal = await cluster.run([cluster.switchOver('node-1', 'node-2')]);
    expect(refusal.failures[0]?.message).toMatch(
      /node-1 has logical slots that node-2 has no copy of \(stays\).*nothing was stopped/,
    );
    if (tag === '18') {
      await cluster.query('node-1', `SELECT pg_drop_replication_slot('stays')`);
      await cluster.query(
        'node-1',
        `SELECT pg_create_logical_replication_slot('moves', 'pgoutput', false, false, true)`,
      );
    }

    const load = await startLoad({ hosts: cluster.addresses, password: 'postgres' });
    try {
      // The way back is that of the slots, which only 17 and later copy.
      for (const [from, to] of [
        ['node-1', 'node-2'] as const,
        ...(tag === '18' ? [['node-2', 'node-1'] as const] : []),
      ]) {
        const step = cluster.switchOver(from, to);
        await load.awaitCommits(20);
        if (tag === '18') await Promise.all([cluster.change([step]), copySlot(cluster, from, to)]);
        else await cluster.change([{ ...step, losesSlots: true }]);
        const stopped = (await cluster.observe()).find(({ name }) => name === from);
        expect(stopped).toMatchObject({ control: { state: 'shut down' }, standby: true });
        expect(await cluster.change([step])).toEqual([]);
        const started = await cluster.run([
          { kind: 'start', nodes: [from], ...cluster.configure(to) },
        ]);
        expect(started.failures, started.output).toEqual([]);
        // Its slots from its time as primary hold no WAL on the replica that it is now.
        if (from === 'node-1') {
          expect(started.notes).toContainEqual({
            node: from,
            note: expect.stringMatching(
              tag === '18' ? /were dropped: moves\./ : /were dropped: stays\./,
            ),
          });
        }
        const left = await cluster.query(from, LIST_SLOTS);
        if (tag === '18') {
          await copySlot(cluster, to, from);
          expect(await cluster.query(from, LIST_SLOTS)).toBe('moves');
        } else expect(left).toBe('');
        await cluster.prove(to);
      }
      await load.awaitCommits(20);
      const { longestGapMs, splitBrains } = await load.stop();
      console.log(`PostgreSQL ${tag}: writes paused for ${longestGapMs} ms at most`);
      expect(longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
      expect(splitBrains).toEqual([]);
      for (const host of cluster.addresses) {
        expect(await load.findMissing({ host, password: 'postgres' })).toEqual([]);
      }
    } finally {
      await load.stop();
    }
  },
);
