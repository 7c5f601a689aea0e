import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StepOf } from '../../../src/cluster/rollout/step.ts';
import { type Load, PAUSE_LIMIT_MS, startLoad } from '../../load.ts';
import { nightlyTest } from '../../nightly.ts';
import { ROOT, startTestbed, type Testbed } from '../../playbooks/testbed.ts';
import { LANE } from '../lane.ts';

/** Marks data that may contain rows of its own: layout.py. */
const FORMER_PRIMARY = 'postgres-cluster.former-primary';

let testbed: Testbed;
beforeAll(async () => {
  // An existing cluster: all of its nodes have Debian 12.
  testbed = await startTestbed({
    ...LANE,
    count: 3,
    tags: ['17'],
    image: 'postgres:17',
    release: () => '12',
  });
});
afterAll(async () => {
  await testbed?.close();
});

/** Runs work under load, requires that no acknowledged row is lost, and returns the longest pause of writes. */
async function underLoad(what: string, work: (load: Load) => Promise<void>): Promise<number> {
  const load = await startLoad({ hosts: testbed.addresses, password: 'postgres' });
  try {
    await load.awaitCommits(50);
    await work(load);
    await load.awaitCommits(50);
    const { acknowledged, longestGapMs, splitBrains, readerProblems } = await load.stop();
    console.log(`${what}: writes paused for ${longestGapMs} ms at most, ${acknowledged} rows`);
    expect(splitBrains).toEqual([]);
    expect(readerProblems).toEqual([]);
    for (const host of testbed.addresses) {
      expect(await load.findMissing({ host, password: 'postgres' })).toEqual([]);
    }
    return longestGapMs;
  } finally {
    await load.stop();
  }
}

/** The steps of the rollout after a switchover: the others follow the new primary. */
function rejoin({ nodes: [from, to] }: StepOf<'switchover'>) {
  const others = testbed.names.filter((name) => name !== from && name !== to);
  return [
    { kind: 'reload', nodes: others, ...testbed.configure(to) },
    { kind: 'start', nodes: [from], ...testbed.configure(to) },
    { kind: 'reload', nodes: testbed.names, ...testbed.configure(to) },
  ] as const;
}

async function requireRoles(primary: string): Promise<void> {
  const observed = await testbed.observe();
  const running = observed.filter(({ postgres }) => postgres?.inRecovery === false);
  expect(running.map(({ name }) => name)).toEqual([primary]);
  for (const { name, standby, postgres } of observed) {
    expect({ name, standby }).toEqual({ name, standby: name !== primary });
    const slots = postgres?.slots.map((slot) => slot.name).filter((slot) => /^node_/.test(slot));
    expect(slots).toEqual(name === primary ? testbed.slotsBeside(primary) : []);
  }
  for (const name of testbed.names) {
    expect(await testbed.hosts.run(name, `ls ${ROOT}/data | grep former || true`)).toBe('');
  }
}

test('a switchover goes to another node and back, and a repeated one changes nothing', async () => {
  const step = testbed.switchOver('node-1', 'node-2');
  const gap = await underLoad('switchover to node-2', async () => {
    const done = await testbed.change([step]);
    expect(done).toContain('node-2 switchover');
    const [before] = await testbed.observe();
    expect(before).toMatchObject({
      standby: true,
      postgres: null,
      control: { state: 'shut down' },
    });
    expect(await testbed.change([step])).toEqual([]);
    await testbed.change(rejoin(step));
    expect(await testbed.change([step, ...rejoin(step)])).toEqual([]);
  });
  expect(gap).toBeLessThan(PAUSE_LIMIT_MS);
  await requireRoles('node-2');
  await testbed.prove('node-2');

  const back = testbed.switchOver('node-2', 'node-1');
  await testbed.change([back, ...rejoin(back)]);
  await requireRoles('node-1');
  await testbed.prove('node-1');
  const { history, timeline } = (await testbed.observe())[0]?.postgres ?? {};
  expect(timeline).toBe(3);
  expect(history?.map((ended) => ended.timeline)).toEqual([1, 2]);
});

/** The connections from node-2 to PostgreSQL's port on node-1. */
const questions = `INPUT -s ${LANE.prefix}.1.2 -p tcp --dport 5432 --syn`;

describe('a switchover is refused and stops nothing', () => {
  nightlyTest('while a transaction is open for long', async () => {
    const report = testbed
      .query('node-1', `SET application_name = 'report'; BEGIN; SELECT pg_sleep(600)`)
      .catch(() => 'ended');
    await sleep(62_000);
    const run = await testbed.run([testbed.switchOver('node-1', 'node-2')]);
    expect(run.failures[0]?.message).toMatch(
      /process \d+ of postgres \(report\), \d+ s.*nothing was stopped/,
    );
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'report'`;
    expect(await testbed.query('node-1', end)).toBe('t');
    expect(await report).toBe('ended');
    // A reload removes what the check prepared on the other node.
    await testbed.change(rejoin(testbed.switchOver('node-2', 'node-1')));
    await requireRoles('node-1');
  });

  test('while the new primary does not replay', async () => {
    await testbed.query('node-2', 'SELECT pg_wal_replay_pause()');
    const run = await testbed.run([testbed.switchOver('node-1', 'node-2')]);
    expect(run.failures[0]?.message).toMatch(/node-2 does not receive and replay/);
    await testbed.query('node-2', 'SELECT pg_wal_replay_resume()');
    await testbed.change(rejoin(testbed.switchOver('node-2', 'node-1')));
    await requireRoles('node-1');
  });

  test('while the new primary cannot open a new connection to the old one', async () => {
    const gap = await underLoad('a switchover that does not begin', async () => {
      await testbed.hosts.run('node-1', `iptables -I ${questions} -j DROP`);
      const run = await testbed.run([testbed.switchOver('node-1', 'node-2')]);
      await testbed.hosts.run('node-1', `iptables -D ${questions} -j DROP`);
      expect(run.failures[0]?.message).toMatch(
        /node-1 is still the primary: node-2 cannot connect to port 5432 .*nothing was stopped/,
      );
    });
    expect(gap).toBeLessThan(PAUSE_LIMIT_MS);
    await testbed.change(rejoin(testbed.switchOver('node-2', 'node-1')));
    await requireRoles('node-1');
  });
});

describe('a switchover that fails in the middle', () => {
  const step = () => testbed.switchOver('node-1', 'node-2');
  // The first of them says that node-2 is ready, the others ask where the changes end.
  const first = `${questions} -m limit --limit 1/hour --limit-burst 1 -j ACCEPT`;
  const later = `${questions} -j DROP`;
  /** Lets node-2 report that it is ready, and then blocks its questions; open connections, as for streaming, stay. */
  const blockQuestions = () =>
    testbed.hosts.run('node-1', `iptables -I ${later} && iptables -I ${first}`);
  const stopKeeping = () =>
    testbed.hosts.run('node-1', `iptables -D ${first} && iptables -D ${later}`);

  test('is undone if the new primary is not told where the changes end', async () => {
    const gap = await underLoad('an undone switchover', async () => {
      await blockQuestions();
      const { failures, exitCode } = await testbed.run([step()]);
      expect(exitCode).not.toBe(0);
      expect(failures[0]?.message).toContain('was undone, and node-1 is still the primary');
      console.log(failures[0]?.message);
      await stopKeeping();
    });
    expect(gap).toBeGreaterThan(1500);
    await testbed.change(rejoin(testbed.switchOver('node-2', 'node-1')));
    await requireRoles('node-1');
  });

  test('is undone if the new primary dies before its promotion', async () => {
    // Its question is delayed, so that it is not promoted before it dies.
    await blockQuestions();
    const run = testbed.run([step()]);
    await testbed.waitOn('node-1', `[ -e ${ROOT}/data/standby.signal ]`);
    await testbed.hosts.run('node-2', 'docker kill postgres-orders');
    const { failures } = await run;
    expect(failures[0]?.message).toContain('was undone, and node-1 is still the primary');
    await stopKeeping();
    await testbed.change([{ kind: 'start', nodes: ['node-2'], ...testbed.configure('node-1') }]);
    await testbed.change(rejoin(testbed.switchOver('node-2', 'node-1')));
    await requireRoles('node-1');
    await testbed.prove('node-1');
  });
});

test('a switchover whose new primary dies during its promotion leaves the old one down, and is finished', async () => {
  const step = testbed.switchOver('node-1', 'node-2');
  // Docker is slow on a busy machine: it must not be asked while the promotion is awaited.
  const pid = await testbed.hosts.run(
    'node-2',
    `docker update --restart no postgres-orders > /dev/null
    docker inspect --format '{{.State.Pid}}' postgres-orders`,
  );
  const kill = testbed.hosts.run(
    'node-2',
    `timeout 60 bash -c 'while [ -e ${ROOT}/data/standby.signal ]; do :; done'
    kill -9 ${Number(pid)}`,
  );
  const { failures } = await testbed.run([step]);
  await kill;
  console.log(failures[0]?.message);
  expect(failures[0]?.message).toMatch(
    /nobody knows whether node-2 was promoted|node-2 is the primary now, but the rest was not done/,
  );
  // It may have accepted writes: the old primary stays down until it has been observed.
  const [node1] = (await testbed.observe()).filter(({ name }) => name === 'node-1');
  expect(node1).toMatchObject({ postgres: null, standby: true });
  const { slots } = step;
  await testbed.change([
    { kind: 'promote', nodes: ['node-2'], ...testbed.configure('node-2'), slots },
    ...rejoin(step),
  ]);
  await requireRoles('node-2');
  const back = testbed.switchOver('node-2', 'node-1');
  await testbed.change([back, ...rejoin(back)]);
  await requireRoles('node-1');
  await testbed.prove('node-1');
});

nightlyTest(
  'a switchover whose run is cancelled in the middle is finished by the next run',
  async () => {
    const step = testbed.switchOver('node-1', 'node-2');
    const gap = await underLoad('a cancelled switchover', async () => {
      const cancel = new AbortController();
      const cut = testbed.run([step], { signal: cancel.signal });
      await testbed.waitOn('node-1', `[ -e ${ROOT}/data/standby.signal ]`);
      cancel.abort();
      await cut;
      // On the nodes both halves continue to their end.
      await testbed.change([step]);
      expect(await testbed.change([step])).toEqual([]);
      await testbed.change(rejoin(step));
    });
    console.log(gap);
    await requireRoles('node-2');
    const back = testbed.switchOver('node-2', 'node-1');
    await testbed.change([back, ...rejoin(back)]);
  },
);

describe('after the primary is lost', () => {
  nightlyTest(
    'soon after a switchover, the others report which timeline they received',
    async () => {
      const step = testbed.switchOver('node-1', 'node-2');
      await testbed.change([step, ...rejoin(step)]);
      const timeline = (await testbed.observe())[1]?.postgres?.timeline;
      await testbed.hosts.run('node-2', 'docker kill postgres-orders');
      await testbed.hosts.run('node-1', 'docker kill postgres-orders');
      const position = { state: 'in archive recovery', timeline };
      await expect.poll(testbed.observe).toMatchObject([
        { postgres: null, control: position },
        { postgres: null, control: { state: 'in production', timeline } },
        { postgres: { inRecovery: true, timeline, receiver: null }, control: null },
      ]);
      await testbed.change([
        { kind: 'start', nodes: ['node-2'], ...testbed.configure('node-2') },
        { kind: 'start', nodes: ['node-1'], ...testbed.configure('node-2') },
      ]);
      const back = testbed.switchOver('node-2', 'node-1');
      await testbed.change([back, ...rejoin(back)]);
      await requireRoles('node-1');
    },
  );

  test('a replica is promoted and the old one, fenced, follows it with its own data', async () => {
    const [observed] = await testbed.observe();
    const fence = { kind: 'fence', nodes: ['node-1'] } as const;
    expect(await testbed.change([fence])).toEqual(['node-1 fence']);
    expect(await testbed.change([fence])).toEqual([]);
    expect((await testbed.observe())[0]).toMatchObject({
      standby: true,
      postgres: null,
      control: { state: 'shut down', timeline: observed?.postgres?.timeline },
      container: { state: 'exited' },
    });
    const common = testbed.configure('node-2');
    const promote = {
      kind: 'promote',
      nodes: ['node-2'],
      ...common,
      slots: testbed.slotsBeside('node-2'),
    } as const;
    expect(await testbed.change([promote])).toEqual(['node-2 promote']);
    expect(await testbed.change([promote])).toEqual([]);
    const done = await testbed.run([...rejoin(testbed.switchOver('node-1', 'node-2'))]);
    expect(done.failures, done.output).toEqual([]);
    expect(done.notes).toEqual([]);
    await requireRoles('node-2');
    await testbed.prove('node-2');
  });

  test('a replica that lags behind is promoted, and the old primary, which has diverged, is cloned', async () => {
    // A test before this one may have left some: a server killed during its promotion can keep the history file of
    // a timeline that never existed, and then no other data matches its own.
    const listKept = async () =>
      (
        await testbed.hosts.run('node-2', `ls -d ${ROOT}/data.old-*/${FORMER_PRIMARY} || true`)
      ).split('\n');
    const before = await listKept();
    // Rows that reach no replica, then a crash. The rule stays, because buffered data outlives the server.
    const rule = '! -o lo -p tcp --sport 5432 -j DROP';
    await testbed.query('node-2', 'CREATE TABLE lonely (n int)');
    await testbed.hosts.run('node-2', `iptables -I OUTPUT ${rule}`);
    await testbed.query('node-2', 'INSERT INTO lonely SELECT generate_series(1, 1000)');
    await testbed.hosts.run('node-2', 'docker rm -f postgres-orders');
    await testbed.change([{ kind: 'fence', nodes: ['node-2'] }]);
    await testbed.change([{ kind: 'stop', nodes: ['node-1'], primary: 'node-2' }]);

    const common = testbed.configure('node-1');
    const slots = testbed.slotsBeside('node-1');
    await testbed.change([{ kind: 'promote', nodes: ['node-1'], ...common, slots }]);
    const done = await testbed.run([...rejoin(testbed.switchOver('node-2', 'node-1'))]);
    expect(done.failures, done.output).toEqual([]);
    console.log(done.notes);
    await testbed.hosts.run('node-2', `iptables -D OUTPUT ${rule}`);
    expect(done.notes).toContainEqual({
      node: 'node-2',
      note: expect.stringMatching(/did not follow node-1 .*cloned again/),
    });
    expect(done.notes).toContainEqual({
      node: 'node-2',
      note: expect.stringMatching(/data\.old-.* may hold rows that no other node has/),
    });
    // Later clones keep it as well.
    await testbed.change([{ kind: 'clone', nodes: ['node-2'], ...common }]);
    const kept = (await listKept()).filter((path) => path !== '' && !before.includes(path));
    expect(kept).toHaveLength(1);
    expect(await testbed.query('node-2', 'SELECT count(*) FROM lonely')).toBe('0');
    await requireRoles('node-1');
    await testbed.prove('node-1');
  });

  test('Data is never deleted by surprise: what was kept goes when a person says so, and data in use stays', async () => {
    const listKept = async () => (await testbed.observe())[1]?.storage.kept ?? [];
    const directories = await listKept();
    expect(directories).toContainEqual({
      name: expect.stringMatching(/^data\.old-\d{8}T\d{6}Z$/),
      bytes: expect.toSatisfy((bytes: number) => bytes > 2 ** 24),
      formerPrimary: true,
    });
    const discard = {
      kind: 'discard',
      nodes: ['node-2'],
      primary: 'node-1',
      directories,
      data: false,
    } as const;
    const refused = await testbed.run([{ ...discard, data: true }]);
    expect(refused.failures).toMatchObject([
      {
        message: expect.stringMatching(/node-2 follows node-1 by now, so its data was not deleted/),
      },
    ]);
    expect(await listKept()).toEqual(directories);
    expect(await testbed.change([discard])).toEqual(['node-2 discard']);
    expect(await testbed.change([discard])).toEqual([]);
    expect(await listKept()).toEqual([]);
    expect(await testbed.hosts.run('node-2', `ls ${ROOT} | grep data`)).toBe('data');
    const proof = await testbed.prove('node-1');
    for (const { storage } of proof) {
      expect(storage?.usedBytes).toBeGreaterThan(0);
      expect(storage?.capacityBytes).toBeGreaterThan(storage?.usedBytes ?? 0);
    }
  });

  test('a replica that was down during the failover follows the new primary without a copy', async () => {
    await testbed.change([{ kind: 'stop', nodes: ['node-3'], primary: 'node-1' }]);
    // Four segments that no replica needs for itself: a restartpoint of node-2 would remove them.
    for (let segment = 0; segment < 4; segment += 1) {
      const end = await testbed.query(
        'node-1',
        'SELECT pg_logical_emit_message(false, $$$$, $$row$$) IS NULL; CHECKPOINT; SELECT pg_switch_wal()',
      );
      const lsn = end.trim().split('\n').at(-1);
      await expect
        .poll(() => testbed.query('node-2', `SELECT pg_last_wal_replay_lsn() >= '${lsn}'`))
        .toBe('t');
      await testbed.query('node-2', 'CHECKPOINT');
    }
    await testbed.change([{ kind: 'fence', nodes: ['node-1'] }]);
    const slots = testbed.slotsBeside('node-2');
    await testbed.change([
      { kind: 'promote', nodes: ['node-2'], ...testbed.configure('node-2'), slots },
    ]);
    const away = ['node-1', 'node-3'];
    const done = await testbed.run([
      { kind: 'start', nodes: away, ...testbed.configure('node-2') },
    ]);
    expect(done.failures, done.output).toEqual([]);
    expect(done.notes).toEqual([]);
    const back = testbed.switchOver('node-2', 'node-1');
    await testbed.change([back, ...rejoin(back)]);
    await requireRoles('node-1');
  });
});
