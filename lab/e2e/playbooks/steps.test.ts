import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Nodes } from '../../../src/ansible/nodes.ts';
import type { NodeWork } from '../../../src/cluster/progress.ts';
import type { StepOf } from '../../../src/cluster/rollout/step.ts';
import type { Settings } from '../../../src/cluster/settings/settings.ts';
import { performSteps } from '../../../src/operations/perform-steps.ts';
import { compareVersions } from '../../../src/process/version.ts';
import { chooseRows, nightlyTest } from '../../nightly.ts';
import { openAccess } from '../../playbooks/access.ts';
import { ROOT, startTestbed, type Testbed } from '../../playbooks/testbed.ts';
import { readAnsibleVersion } from '../../tools/ansible.ts';
import { LANE } from '../lane.ts';

// Every step runs alone, and twice: the second time it finds nothing to do. The primary is a node from before Debian 13,
// its replicas are new ones.

let testbed: Testbed;
beforeAll(async () => {
  testbed = await startTestbed({
    ...LANE,
    count: 3,
    tags: ['17', '15'],
    image: 'postgres:17',
    release: (number) => (number === 1 ? '12' : '13'),
  });
});
afterAll(async () => {
  await testbed?.close();
});

test('nodes with Debian 12 and 13 replicate, with the same image', async () => {
  const read = (command: string) =>
    Promise.all(testbed.names.map((name) => testbed.hosts.run(name, command)));
  expect(await read('. /etc/os-release && echo $VERSION_ID')).toEqual(['12', '13', '13']);
  const hosts = (await testbed.observe()).map(({ host }) => host);
  expect(new Set(hosts.map(({ imageDigest }) => imageDigest)).size).toBe(1);
  // 20.10 and 26.1.
  expect(new Set(hosts.map(({ dockerVersion }) => dockerVersion)).size).toBe(2);
  const proof = await testbed.prove('node-1');
  expect(proof.map(({ state }) => state)).toEqual(['running', 'streaming', 'streaming']);
});

// Later versions support the Python of Debian 13: see python_support.py.
test.skipIf(compareVersions(readAnsibleVersion(process.env.PATH ?? ''), '2.18.0') >= 0)(
  'a module that crashes on a Python that Ansible does not support yet says what to install',
  async () => {
    // Stands in for whatever an old version may import that a newer Python no longer has.
    const breaking = '/usr/local/lib/python3.13/dist-packages/breaking.pth';
    const line = "import sys; sys.modules['ansible.module_utils.basic'] = None";
    await testbed.hosts.run('node-2', `echo "${line}" >${breaking}`);
    const reload = { kind: 'reload', nodes: ['node-2'], ...testbed.configure('node-1') } as const;
    const { failures } = await testbed
      .run([reload])
      .finally(() => testbed.hosts.run('node-2', `rm ${breaking}`));
    expect(failures).toEqual([
      expect.objectContaining({
        node: 'node-2',
        message: expect.stringMatching(
          /^cluster_postgres crashed on this node's Python 3\.13, and ansible-core 2\.1\d\.\d+ on the runner supports nodes up to Python 3\.1\d\. Install ansible-core 2\.18 or later on the runner/,
        ),
        log: '',
      }),
    ]);
  },
);

describe('observe', () => {
  test('reports the state of a running node', async () => {
    const [primary, replica] = await testbed.observe();
    expect(primary).toMatchObject({
      data: 'complete',
      standby: false,
      control: null,
      host: { imageReady: true, memoryMib: expect.any(Number) },
      postgres: { inRecovery: false, timeline: 1, history: [], filesLoaded: true },
    });
    expect(primary?.host.memoryMib).toBeGreaterThan(256);
    expect(primary?.postgres?.oldestLsn).toMatch(/^0\/\d000000$/);
    expect(primary?.postgres?.settings.shared_buffers).toMatchObject({
      setting: '8192',
      unit: '8kB',
      context: 'postmaster',
      type: 'integer',
      min: '16',
      default: '16384',
      fromFile: true,
    });
    expect(primary?.postgres?.settings.wal_level?.words).toContain('logical');
    expect(primary?.postgres?.settings.work_mem).toBeUndefined();
    expect(replica?.postgres?.receiver).toMatchObject({
      senderHost: testbed.addresses[0],
      slotName: 'node_2',
    });
  });

  test('names roles and databases with a weaker synchronous_commit', async () => {
    await testbed.query(
      'node-1',
      `CREATE ROLE "bätch" LOGIN; ALTER ROLE "bätch" IN DATABASE postgres SET synchronous_commit = 'Off'; ALTER ROLE postgres SET synchronous_commit = on; ALTER DATABASE template1 SET synchronous_commit = local`,
    );
    expect((await testbed.observe())[0]?.postgres?.weakCommits).toEqual([
      { role: 'b\\303\\244tch', database: 'postgres', value: 'off' },
      { role: null, database: 'template1', value: 'local' },
    ]);
    await testbed.query(
      'node-1',
      'DROP ROLE "bätch"; ALTER ROLE postgres RESET ALL; ALTER DATABASE template1 RESET ALL',
    );
  });

  test('reports whether the files were read, and settings of ALTER SYSTEM', async () => {
    await testbed.query('node-3', `ALTER SYSTEM SET work_mem = '5MB'`);
    // The node that it would follow after its next start.
    await testbed.query('node-3', `ALTER SYSTEM SET primary_conninfo = 'host=x password=hidden'`);
    await testbed.hosts.run('node-3', `cd ${ROOT}/etc && cp pg_hba.conf x && mv x pg_hba.conf`);
    const unread = (await testbed.observe())[2];
    expect(unread?.postgres?.filesLoaded).toBe(false);

    expect(unread?.overrides).toEqual({ work_mem: '5MB', primary_conninfo: '' });
    expect(JSON.stringify(unread)).not.toContain('hidden');
    await testbed.query('node-3', 'ALTER SYSTEM RESET primary_conninfo');

    const common = testbed.configure('node-1');
    const reload = { kind: 'reload', nodes: ['node-3'], ...common } as const;
    expect(await testbed.change([reload])).toEqual(['node-3 reload']);
    expect(await testbed.change([reload])).toEqual([]);
    const read = (await testbed.observe())[2];
    expect(read?.postgres?.filesLoaded).toBe(true);
    expect(read?.postgres?.settings.work_mem).toMatchObject({ setting: '5120' });
    expect(read?.overrides).toEqual({ work_mem: '5MB' });
    await testbed.query('node-3', 'ALTER SYSTEM RESET work_mem; SELECT pg_reload_conf()');
  });
});

describe('check', () => {
  const tryOut = (wrong: Settings) => {
    const { primary, settings } = testbed.configure('node-1');
    return testbed.run([
      { kind: 'check', nodes: ['node-2'], primary, settings: { ...settings, ...wrong } },
    ]);
  };
  const look = () =>
    Promise.all(
      testbed.names.map((name) =>
        testbed.hosts.run(
          name,
          `docker ps -a --format '{{.ID}} {{.Names}} {{.CreatedAt}}'; find ${ROOT}/etc ${ROOT} -maxdepth 1 -printf '%p %T@\n'; ls -d /tmp/postgres-cluster-check-* 2>&1 || true`,
        ),
      ),
    );

  test('accepts settings that PostgreSQL starts with', async () => {
    const run = await tryOut({
      max_connections: '300',
      synchronous_standby_names: 'ANY 1 (node_3)',
    });
    expect(run.failures, run.output).toEqual([]);
    expect(run.changes).toEqual([]);
    console.log(/Try the settings.*/.exec(run.output)?.[0]);
  });

  test.each(
    chooseRows<[string, Settings, RegExp]>(
      [
        [
          'a missing library',
          { shared_preload_libraries: 'nobody' },
          /"nobody".*\(shared_preload_libraries\)/,
        ],
        ['huge pages that the host does not have', { huge_pages: 'on' }, /huge pages/],
        ['a language that the image lacks', { lc_messages: 'de_DE.UTF-8' }, /lc_messages/],
      ],
      [
        ['more memory than the host has', { shared_buffers: '100TB' }, /shared_buffers|memory/],
        ['an unknown name', { no_such_setting: '1' }, /no_such_setting/],
        ['nonsense', { work_mem: 'much' }, /work_mem/],
        ['contradictory settings', { wal_level: 'minimal' }, /wal_level/],
        [
          'a log that is not writable',
          { logging_collector: 'on', log_directory: '/logs' },
          /"\/logs\/.*\(log_directory\)/,
        ],
      ],
    ),
  )('refuses %s and changes nothing', async (_, wrong, reason) => {
    const before = await look();
    const run = await tryOut(wrong);
    expect(run.exitCode).not.toBe(0);
    const message = run.failures[0]?.message ?? '';
    console.log(message);
    expect(message).toMatch(
      /^PostgreSQL 17 does not start with these settings: .*nothing was changed$/,
    );
    expect(message).toMatch(reason);
    expect(message).not.toContain('postgresql-cluster-check');
    expect(run.changes).toEqual([]);
    expect(await look()).toEqual(before);
  });

  test('accepts a log in the data directory, wherever the messages go', async () => {
    const log_directory = `${ROOT}/data/log`;
    const run = await tryOut({ logging_collector: 'on', log_directory, log_destination: 'csvlog' });
    expect(run.failures, run.output).toEqual([]);
  });
});

describe('an image whose libraries have another sort order', () => {
  const check = (labels: string[] = []) => {
    const { primary, settings } = testbed.configure('node-1');
    const step = { kind: 'check', nodes: ['node-2'], primary, settings } as const;
    return testbed.run([step], { labels }, { image: 'postgres:17-moved' });
  };
  const database = 'CREATE DATABASE "two words" TEMPLATE template0 LOCALE_PROVIDER libc LOCALE';

  beforeAll(async () => {
    // The version that the C library reports (gnu_get_libc_version); the names of its symbols have GLIBC_ in front.
    await testbed.hosts.run(
      'node-2',
      `docker run --name moved --user 0 --entrypoint sed $(docker inspect --format '{{.Config.Image}}' postgres-orders) \
        -i 's/\\([^_]\\)2\\.41\\x00/\\12.99\\x00/g' /lib/x86_64-linux-gnu/libc.so.6
       docker commit moved postgres:17-moved; docker rm moved`,
    );
  });

  test('is accepted if all stored data is sorted by code point, as in a new cluster', async () => {
    expect(
      await testbed.query(
        'node-1',
        `SELECT datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = 'postgres'`,
      ),
    ).toBe('b|C.UTF-8|C.UTF-8');
    const [, replica] = await testbed.observe();
    expect(replica?.record?.locale).toBe('C.UTF-8');
    const run = await check();
    expect(run.failures, run.output).toEqual([]);
    expect(run.notes).toEqual([]);
  });

  test('is refused if an index is sorted otherwise, before anything stops, unless a label allows it', async () => {
    await testbed.query('node-1', `${database} 'en_US.utf8'`);
    await testbed.query(
      'node-1',
      `\\c "two words"\nCREATE TABLE words (word text UNIQUE, place text COLLATE "C" UNIQUE)`,
    );
    await expect
      .poll(() => testbed.query('node-2', `\\c "two words"\nSELECT count(*) FROM words`), {
        timeout: 30_000,
      })
      .toContain('0');
    const refused = await check(['allow-destroy']);
    expect(refused.failures[0]?.message).toMatch(
      /"two words": glibc 2\.99 instead of 2\.41 \(en_US\.utf8\), 1 to rebuild; nothing was changed.*label the pull request allow-collation-change/s,
    );
    expect(refused.changes).toEqual([]);
    const allowed = await check(['allow-collation-change']);
    expect(allowed.failures, allowed.output).toEqual([]);
    expect(allowed.notes).toEqual([
      {
        node: 'node-2',
        note: 'Database `"two words"` sorts by glibc 2.99 instead of 2.41 (en_US.utf8): rebuild `public.words_word_key` (indexes with `REINDEX INDEX CONCURRENTLY`, tables partitioned by range by moving their rows). Then `ALTER DATABASE "two words" REFRESH COLLATION VERSION`.',
      },
    ]);
    await testbed.query('node-1', 'DROP DATABASE "two words"');
  });
});

describe('a replica', () => {
  test('follows another primary after a reload, and drops the slots of its time as primary', async () => {
    await testbed.query('node-2', `SELECT pg_create_physical_replication_slot('node_3', true)`);
    await testbed.query('node-2', `SELECT pg_create_physical_replication_slot('backup', true)`);
    await testbed.query('node-2', `SELECT pg_create_physical_replication_slot('node_1', true)`);
    const common = testbed.configure('node-2');
    // Behind node-2, which itself is a replica.
    const cascade = { kind: 'reload', nodes: ['node-3'], ...common } as const;
    expect(await testbed.change([cascade])).toEqual(['node-3 reload']);
    expect(await testbed.change([cascade])).toEqual([]);

    const back = {
      kind: 'reload',
      nodes: ['node-2', 'node-3'],
      ...testbed.configure('node-1'),
    } as const;
    expect(await testbed.change([back])).toHaveLength(2);
    expect(await testbed.change([back])).toEqual([]);
    const slots = await testbed.query('node-2', 'SELECT slot_name FROM pg_replication_slots');
    expect(slots.replace('node_3', '').trim()).toBe('backup');
    await testbed.prove('node-1');
    await testbed.query('node-2', `SELECT pg_drop_replication_slot('backup')`);
    await testbed.change([back]);
  });

  test('is stopped with its container, and started again', async () => {
    const stop = { kind: 'stop', nodes: ['node-3'], primary: 'node-1' } as const;
    expect(await testbed.change([stop])).toEqual(['node-3 stop']);
    expect(await testbed.change([stop])).toEqual([]);
    const stopped = (await testbed.observe())[2];
    expect(stopped).toMatchObject({
      container: null,
      postgres: null,
      standby: true,
      control: { state: 'shut down in recovery', timeline: 1 },
    });
    const start = { kind: 'start', nodes: ['node-3'], ...testbed.configure('node-1') } as const;
    expect(await testbed.change([start])).toEqual(['node-3 start']);
    expect(await testbed.change([start])).toEqual([]);
    await testbed.prove('node-1');
  });

  test('whose start was interrupted starts the next time', async () => {
    await testbed.change([{ kind: 'stop', nodes: ['node-3'], primary: 'node-1' }]);
    const start = { kind: 'start', nodes: ['node-3'], ...testbed.configure('node-1') } as const;
    const cancel = new AbortController();
    const cut = testbed.run([start], { signal: cancel.signal });
    await testbed.waitOn('node-3', '[ -n "$(docker ps -q)" ]');
    cancel.abort();
    await cut;
    await testbed.hosts.reboot('node-3');
    await testbed.change([start]);
    expect(await testbed.change([start])).toEqual([]);
    await testbed.prove('node-1');
  });

  test('is cleared of a clone left by an interruption', async () => {
    await testbed.hosts.run(
      'node-3',
      `mkdir -m 700 ${ROOT}/data.old-20260101T000000Z && touch ${ROOT}/data.old-20260101T000000Z/standby.signal`,
    );
    const clone = { kind: 'clone', nodes: ['node-3'], ...testbed.configure('node-1') } as const;
    expect(await testbed.change([clone])).toEqual(['node-3 clone']);
    expect(await testbed.change([clone])).toEqual([]);
    expect(await testbed.hosts.run('node-3', `ls -d ${ROOT}/data*`)).toBe(`${ROOT}/data`);
  });

  test('that accepts its own writes is neither cloned nor started over', async () => {
    const clone = { kind: 'clone', nodes: ['node-1'], ...testbed.configure('node-2') } as const;
    for (const kind of ['clone', 'start', 'restart', 'reload'] as const) {
      const run = await testbed.run([{ ...clone, kind, nodes: ['node-1'] }]);
      expect(run.failures[0]?.message).toContain('takes writes of its own');
    }
    await testbed.prove('node-1');
  });
});

test('a fenced primary that was never stopped is restarted as primary, and warns that it archives nothing', async () => {
  const fence = `touch ${ROOT}/data/standby.signal && chown 999:999 ${ROOT}/data/standby.signal`;
  const common = testbed.configure('node-1');
  await testbed.hosts.run('node-1', fence);
  expect((await testbed.observe())[0]).toMatchObject({
    standby: true,
    postgres: { inRecovery: false },
  });
  const reload = { kind: 'reload', nodes: ['node-1'], ...common } as const;
  expect(await testbed.change([reload])).toEqual(['node-1 reload']);
  expect(await testbed.change([reload])).toEqual([]);

  await testbed.hosts.run('node-1', fence);
  const archive = { archive_mode: 'on', archive_command: 'exit 1' };
  const settings = { ...common.settings, ...archive, shared_buffers: '72MB' };
  await testbed.change([{ kind: 'restart', nodes: ['node-1'], primary: 'node-1', settings }]);
  expect(await testbed.query('node-1', 'SHOW shared_buffers; SELECT pg_is_in_recovery()')).toBe(
    '72MB\nf',
  );
  await testbed.query('node-1', 'SELECT pg_switch_wal()');
  await expect
    .poll(() => testbed.query('node-1', 'SELECT failed_count > 0 FROM pg_stat_archiver'))
    .toBe('t');
  // Replication still works, and the replica leaves archiving to its primary.
  const [primary, replica] = await testbed.prove('node-1');
  const failing = {
    state: 'failing',
    failed: expect.any(Number),
    lastFailed: expect.stringMatching(/^[0-9A-F]{24}$/),
    waiting: 1,
    waitingBytes: 16_777_216,
    waitingSince: expect.any(Number),
  };
  expect(primary).toMatchObject({ archiver: failing, problem: null });
  expect(replica?.archiver).toBeNull();
  expect((await testbed.observe())[0]?.postgres?.archiver).toEqual(failing);
});

test('a primary that was down starts with the old configuration if it does not start with the new one', async () => {
  const { primary, settings } = testbed.configure('node-1');
  await testbed.hosts.run('node-1', 'docker stop postgres-orders');
  const start = { kind: 'start', nodes: ['node-1'], primary } as const;
  const wrong = { ...settings, shared_preload_libraries: 'nobody' };
  const run = await testbed.run([{ ...start, settings: wrong }]);
  expect(run.failures[0]?.message).toBe(
    'PostgreSQL on node-1 does not start with the new configuration; it runs with the old one again',
  );
  expect(run.failures[0]?.log).toContain('nobody');
  expect(await testbed.query('node-1', 'SHOW shared_preload_libraries')).toBe('');
  await testbed.change([{ ...start, settings }]);
  expect(await testbed.change([{ ...start, settings }])).toEqual([]);
  await testbed.prove('node-1');
});

test('a replica whose replay waits for a query is told apart from a diverged one', async () => {
  const { primary, settings } = testbed.configure('node-1');
  const patient = { ...settings, max_standby_streaming_delay: '-1' };
  const reload = { kind: 'reload', nodes: ['node-3'], primary } as const;
  await testbed.query('node-1', 'CREATE TABLE conflict AS SELECT generate_series(1, 100) AS id');
  await testbed.change([{ ...reload, settings: patient }]);
  const becomes = (sql: string, answer: string | RegExp) =>
    expect.poll(() => testbed.query('node-3', sql), { timeout: 60_000 }).toMatch(answer);
  await becomes('SELECT count(*) FROM conflict', '100');
  await testbed.hosts.run(
    'node-3',
    `nohup docker exec -i postgres-orders psql -XAtq -U postgres >/dev/null 2>&1 <<'SQL' &
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM conflict; SELECT pg_sleep(300);
SQL`,
  );
  const sleepers = `FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
  await becomes(`SELECT count(*) ${sleepers}`, '1');
  await testbed.query('node-1', 'DELETE FROM conflict');
  await testbed.query('node-1', 'VACUUM conflict');
  await becomes(
    `SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'`,
    /Conflict/,
  );
  // As after any interruption: replay requests another receiver only after it has replayed the existing WAL.
  const senders = `FROM pg_stat_replication WHERE application_name = 'node_3'`;
  await testbed.query('node-1', `SELECT pg_terminate_backend(pid) ${senders}`);

  const run = await testbed.run([{ kind: 'start', nodes: ['node-3'], primary, settings: patient }]);
  expect(run.failures[0]?.message).toMatch(
    /^replay on node-3 waits for queries there \(the oldest runs for \d+ s, pid \d+\)/,
  );
  expect(await testbed.hosts.run('node-3', `ls -d ${ROOT}/data*`)).toBe(`${ROOT}/data`);
  expect(await testbed.query('node-3', `SELECT pg_terminate_backend(pid) ${sleepers}`)).toBe('t');
  await testbed.change([{ kind: 'start', nodes: ['node-3'], primary, settings }]);
  await testbed.prove('node-1');
});

test('a replica whose replay hangs is not changed, and continues where it was', async () => {
  const start = { kind: 'start', nodes: ['node-3'], ...testbed.configure('node-1') } as const;
  const look = () =>
    testbed.hosts.run('node-3', `docker ps -aq --no-trunc; stat -c '%i %n' ${ROOT}/data*`);
  const before = await look();
  const signal = (name: string) =>
    testbed.hosts.run('node-3', `pkill --signal ${name} -f '^postgres: .*startup'`);
  await signal('STOP');
  const senders = `FROM pg_stat_replication WHERE application_name = 'node_3'`;
  await testbed.query('node-1', `SELECT pg_terminate_backend(pid) ${senders}`);

  const run = await testbed.run([start]);
  expect(run.failures[0]?.message, run.output).toMatch(
    /^replay on node-3 hangs: its startup process was stopped by a signal, and nothing has moved for 30 s/,
  );
  expect(await look()).toBe(before);
  await signal('CONT');
  await testbed.change([start]);
  expect(await look()).toBe(before);
  await testbed.prove('node-1');
});

describe('a long copy', () => {
  const clone = (more: { source?: string; maxRate?: number } = {}) =>
    ({ kind: 'clone', nodes: ['node-3'], ...testbed.configure('node-1'), ...more }) as const;
  const slow = () => clone({ maxRate: 512 });
  const onNode3 = (command: string) => testbed.hosts.run('node-3', command);
  const lose = () =>
    onNode3(`docker rm --force postgres-orders; rm -r ${ROOT}/data ${ROOT}/record.json`);
  const startSlowly = async () => {
    const run = await testbed.run([slow()], { once: true, callSeconds: 1 });
    expect(run.failures, run.output).toEqual([]);
    expect(run.pending, run.output).toEqual([{ node: 'node-3', step: 'clone' }]);
  };

  beforeAll(async () => {
    // No compression shortens it.
    await testbed.query(
      'node-1',
      `CREATE TABLE ballast AS SELECT sha512(n::text::bytea) FROM generate_series(1, 200000) n; CHECKPOINT`,
    );
  });

  nightlyTest('outlives its connection, and the next call finishes it', async () => {
    await lose();
    const cancel = new AbortController();
    const cut = testbed.run([slow()], { signal: cancel.signal });
    await testbed.waitOn('node-3', `[ -e ${ROOT}/data.partial/backup_label ]`);
    cancel.abort();
    await cut;
    const copy = await onNode3(`stat -c %i ${ROOT}/data.partial/backup_label`);
    const next = { kind: 'stop', nodes: ['node-2'], primary: 'node-1' } as const;
    const run = await testbed.run([slow(), next], { once: true, callSeconds: 1 });
    expect(run.failures, run.output).toEqual([]);
    expect(run.pending, run.output).toEqual([{ node: 'node-3', step: 'clone' }]);
    // Nothing comes after work that goes on.
    expect(run.changes).toEqual([]);
    const [, , node3] = await testbed.observe();
    expect(node3).toMatchObject({
      data: 'partial',
      work: { state: 'running', source: testbed.addresses[0], problem: null },
    });
    expect(JSON.parse(await onNode3('cat /run/postgres-cluster/progress.json'))).toMatchObject({
      step: 'clone',
      kind: 'copy',
      working: true,
    });
    expect(node3?.work?.totalBytes).toBeGreaterThan(16 * 1024 ** 2);
    expect(await testbed.change([clone()])).toEqual(['node-3 clone']);
    // The same copy: the server has renamed the file.
    expect(await onNode3(`stat -c %i ${ROOT}/data/backup_label.old`)).toBe(copy);
    expect((await testbed.observe())[2]?.work).toBeNull();
    await testbed.prove('node-1');
  });

  test('that a reboot cut starts again, from a replica', async () => {
    await lose();
    await startSlowly();
    await testbed.hosts.reboot('node-3');
    expect((await testbed.observe())[2]?.work).toMatchObject({ state: 'failed' });
    const run = await testbed.run([clone({ source: 'node-2' })]);
    expect(run.failures, run.output).toEqual([]);
    expect(run.changes).toHaveLength(1);
    await testbed.prove('node-1');
  });

  nightlyTest('is ended by a step that needs the node, and by another source', async () => {
    await lose();
    await startSlowly();
    const stop = { kind: 'stop', nodes: ['node-3'], primary: 'node-1' } as const;
    await testbed.change([stop]);
    expect((await testbed.observe())[2]).toMatchObject({ data: 'absent', work: null });
    await startSlowly();
    const other = { ...slow(), source: 'node-2' };
    const run = await testbed.run([other], { once: true, callSeconds: 1 });
    expect(run.pending, run.output).toHaveLength(1);
    expect((await testbed.observe())[2]?.work?.source).toBe(testbed.addresses[1]);
    await testbed.change([stop]);
    expect(await testbed.change([clone()])).toEqual(['node-3 clone']);
    await testbed.prove('node-1');
  });

  test('that fills the volume is deleted, and the old data starts again', async () => {
    await testbed.query('node-3', 'SELECT pg_wal_replay_pause()');
    await onNode3(
      `fallocate -l $(($(df --output=avail -B1 ${ROOT} | tail -1) - 80 * 1024 * 1024)) ${ROOT}/filler`,
    );
    const run = await testbed.run([clone({ maxRate: 4096 })]);
    expect(run.failures[0]?.message, run.output).toMatch(
      /^node-3 cannot copy node-1 \(.*\): its volume of \d(?:\.\d)? GiB had \d+ MiB left after \d+ MiB( of about \d+ MiB)? were copied/,
    );
    expect(await onNode3(`rm ${ROOT}/filler; ls -d ${ROOT}/data*`)).toBe(`${ROOT}/data`);
    await testbed.change([{ kind: 'start', nodes: ['node-3'], ...testbed.configure('node-1') }]);
    await testbed.prove('node-1');
    await testbed.query('node-1', 'DROP TABLE ballast');
  });
});

test('an image that does not start is rolled back: container, image and options', async () => {
  const { primary, settings } = testbed.configure('node-1');
  const look = () =>
    testbed.hosts.run(
      'node-1',
      `docker ps -a --no-trunc --format '{{.ID}} {{.Image}} {{.Names}}'; docker inspect --format '{{json .HostConfig}}' postgres-orders; cat ${ROOT}/record.json`,
    );
  const before = await look();
  await testbed.hosts.run(
    'node-1',
    `docker run --name broken --user 0 --entrypoint sh $(docker inspect --format '{{.Config.Image}}' postgres-orders) -euc '
postgres=$(command -v postgres)
rm $postgres
printf "%s\n" "#!/bin/sh" "echo FATAL: no luck today >&2; exit 1" > $postgres
chmod 755 $postgres'
docker commit broken postgres:17-broken && docker rm broken`,
  );
  const restart = { kind: 'restart', nodes: ['node-1'], primary, settings } as const;
  const run = await testbed.run([restart], {}, { image: 'postgres:17-broken' });
  expect(run.failures[0]?.message, run.output).toBe(
    'PostgreSQL on node-1 does not start with image postgres:17-broken; it runs with the old one again',
  );
  expect(run.failures[0]?.log).toContain('no luck today');
  expect(await look()).toBe(before);
  await testbed.change([restart]);
  await testbed.prove('node-1');
});

nightlyTest(
  'a rollout uses the image that it was pinned to, wherever the tag points by then',
  async () => {
    const { primary, settings } = testbed.configure('node-1');
    const [, before] = await testbed.observe();
    const pinnedImage = { image: 'postgres:17.99', digest: before?.record?.digest ?? '' };
    const restart = { kind: 'restart', nodes: ['node-2'], primary, settings } as const;
    // The registry has no such tag.
    const lost = await testbed.run([restart], {}, { image: pinnedImage.image });
    expect(lost.exitCode).not.toBe(0);
    const run = await testbed.run([restart], { pinnedImage }, { image: pinnedImage.image });
    expect(run.failures, run.output).toEqual([]);
    expect((await testbed.observe())[1]?.record).toEqual({ ...before?.record, ...pinnedImage });
    await testbed.change([restart]);
    await testbed.prove('node-1');
  },
);

test('an image of another major version is refused before anything changes', async () => {
  const { primary, settings } = testbed.configure('node-1');
  const desired = { image: 'postgres:15' };
  const run = await testbed.run(
    [{ kind: 'check', nodes: ['node-2'], primary, settings }],
    {},
    desired,
  );
  expect(run.failures[0]?.message).toMatch(/PostgreSQL 17's and the image is PostgreSQL 15/);
  expect(run.changes).toEqual([]);
});

test('data of a node that was replaced comes back as a replica’s, before Docker starts its server', async () => {
  // As if it had been the primary, and its volume was not mounted at boot.
  await testbed.hosts.run(
    'node-3',
    // Docker leaves the server running when it stops.
    `rm ${ROOT}/data/standby.signal; systemctl stop docker.socket docker; pkill -KILL -x postgres; umount ${ROOT}`,
  );
  const prepare = { kind: 'prepare', nodes: ['node-3'], fenced: true } as const;
  expect(await testbed.change([prepare])).toHaveLength(1);
  expect(await testbed.change([prepare])).toEqual([]);
  const node3 = (await testbed.observe())[2];
  expect(node3).toMatchObject({ standby: true, container: { state: 'running' } });
  expect(node3?.postgres?.inRecovery ?? true).toBe(true);
  await testbed.change([{ kind: 'start', nodes: ['node-3'], ...testbed.configure('node-1') }]);
  await testbed.prove('node-1');
});

nightlyTest(
  'a long copy is watched over one connection, survives its loss and is collected',
  async () => {
    await testbed.hosts.run('node-3', `docker rm --force postgres-orders; rm -r ${ROOT}/data`);
    const log: string[] = [];
    const { access, close } = await openAccess(testbed, (line) => log.push(line));
    const nodes = new Nodes(access);
    const { desired, hosts } = testbed;
    const seen: NodeWork[] = [];
    const logins = "journalctl --no-pager | grep -c 'Accepted publickey'";
    const counts: string[] = [];
    let cut: Promise<unknown> | null = null;
    try {
      const { failures } = await nodes.observe(hosts.nodes, { desired, waitSeconds: 60 });
      expect(failures).toEqual([]);
      counts.push(await hosts.run('node-3', logins));
      // Slow enough for more than one call: what is limited is compressed first.
      const limit = { source: 'node-1', maxRate: 100 };
      const clone = { kind: 'clone', nodes: ['node-3'], ...testbed.configure('node-1'), ...limit };
      const done = await performSteps(
        nodes,
        {
          ...{ primary: 'node-1', steps: [clone as StepOf<'clone'>], proofToken: 'watched' },
          ...{ image: null, collationLabel: { input: '', label: null, labels: null } },
        },
        {
          ...{ target: desired, deadline: Number.POSITIVE_INFINITY, log: access.log },
          onNotes: () => {},
          onWork: (work) => {
            seen.push(...work);
            if (work.length === 0 || cut !== null) return;
            // The first report of progress was read by then.
            cut = hosts
              .run('node-3', `${logins}; pkill -KILL -f '^sshd.*: admin' || true`)
              .then((text) => counts.push(text));
          },
        },
      );
      await cut;
      expect(counts[1]?.trim()).toBe(counts[0]?.trim());
      // The connection was there, and was made again after its loss.
      expect(Number(counts[0])).toBeGreaterThan(0);
      expect(Number(await hosts.run('node-3', logins))).toBeGreaterThan(Number(counts[0]));
      expect(seen.some(({ node, kind }) => node === 'node-3' && kind === 'copy')).toBe(true);
      expect(log.join('\n')).toMatch(/The connection was lost|goes on/);
      expect(done.work).toEqual([]);
      expect(done.proof.map(({ name, state }) => `${name} ${state}`)).toEqual([
        'node-1 running',
        'node-2 streaming',
        'node-3 streaming',
      ]);
    } finally {
      await nodes.close();
      await close();
    }
  },
);
