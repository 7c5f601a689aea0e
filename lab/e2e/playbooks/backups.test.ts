import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupSpec } from '../../../src/cluster/backup.ts';
import type { Step } from '../../../src/cluster/rollout/step.ts';
import { chooseRows } from '../../nightly.ts';
import {
  admitBackups,
  BUCKET,
  describeBackup,
  listArchiveSteps,
  loseData,
  restoreStep,
} from '../../playbooks/backups.ts';
import { ROOT, startTestbed, type Testbed } from '../../playbooks/testbed.ts';
import type { S3 } from '../../s3/s3.ts';
import { LANE } from '../lane.ts';

const NODE = 'node-1';
/** The major versions beside 17, which change/backup.test.ts restores; that of 14 has the label of Alpine. */
const TAGS = chooseRows(['18'], ['14-alpine', '15', '16']);

let testbed: Testbed;
let s3: S3;
beforeAll(async () => {
  const common = { ...LANE, count: 1, backups: true };
  testbed = await startTestbed({ ...common, tags: ['17', ...TAGS], image: 'postgres:17' });
  s3 = await admitBackups(testbed);
});
afterAll(async () => {
  await testbed?.close();
});

/** Runs steps and requires that they succeed. */
async function perform(steps: readonly Step[], desired: { image: string; backup: BackupSpec }) {
  const done = await testbed.run(steps, { callSeconds: 300 }, desired);
  expect(done.failures, done.output).toEqual([]);
  return done;
}

const onNode = (command: string) => testbed.hosts.run(NODE, command);
const FULL = { kind: 'backup', nodes: [NODE], primary: NODE, type: 'full' } as const;

describe('a backup that is killed', () => {
  const UNIT = 'postgres-cluster-orders-backup.service';
  const STATE = `${ROOT}/backup-state.json`;
  const DROPPED = `${ROOT}/pgbackrest-spool/dropped`;
  const desired = { image: 'postgres:17', backup: describeBackup('killed') };
  const folder = 'killed/orders/backup/orders/';
  const readState = async () => JSON.parse(await onNode(`cat ${STATE} 2>/dev/null || echo {}`));
  const pgBackRest = (command: string) =>
    onNode(
      `docker exec postgres-orders /opt/pgbackrest/pgbackrest --config=/etc/postgresql-cluster/pgbackrest.conf --stanza=orders ${command}`,
    );

  /** Labels of the full backups that the repository lists. */
  async function listBackups(): Promise<string[]> {
    const [stanza] = JSON.parse(await pgBackRest('--output=json info'));
    expect(stanza.status.message).toMatch(/^(ok|no valid backups)$/);
    return stanza.backup.map(({ label }: { label: string }) => label);
  }

  async function countRefused(): Promise<number> {
    const counts = Object.values(await s3.countRequests());
    return counts.reduce((sum, { 503: refused = 0 }) => sum + refused, 0);
  }

  /** Starts what is due, and returns once it asks S3 for what `pattern` matches, which S3 refuses from then on. */
  async function holdAt(pattern: string): Promise<void> {
    const before = await countRefused();
    await s3.setFaults({ failShare: 1, failStatus: 503, pattern });
    await onNode(`systemctl start --no-block ${UNIT}`);
    await expect.poll(countRefused, { timeout: 60_000, interval: 50 }).toBeGreaterThan(before);
  }

  /** Makes a full backup due: WAL was dropped after the last one. */
  async function noteGap(): Promise<void> {
    const segment = await testbed.query(NODE, 'SELECT pg_walfile_name(pg_current_wal_lsn() - 1)');
    await onNode(`rm -f ${STATE}; echo "$(($(date +%s) - 1)) ${segment}" > ${DROPPED}`);
  }

  beforeAll(async () => {
    await perform(listArchiveSteps(testbed), desired);
    // It would start the unit every quarter of an hour.
    await onNode(`systemctl stop ${UNIT.replace('.service', '.timer')}`);
  });

  test.each(
    chooseRows<[string, string, boolean]>(
      [
        ['the copy of files', 'PUT .*F/bundle/2', false],
        // By then it is in the list.
        ['the copy of the list', 'PUT .*orders/backup\\.info\\.copy', true],
      ],
      [
        ['the look at the repository', 'GET .*/backup\\.info$', false],
        ['its begin', 'PUT .*F/backup\\.manifest\\.copy', false],
        ['the archive of its WAL', 'PUT .*/archive/', false],
        ['its completion', 'PUT .*F/backup\\.manifest$', false],
        ['the list of backups', 'PUT .*orders/backup\\.info$', false],
      ],
    ),
  )('with its unit, at %s, is made by the next run', async (_, pattern, isMade) => {
    const before = await listBackups();
    await noteGap();
    await holdAt(pattern);
    await onNode(`systemctl kill --signal=KILL ${UNIT}`);
    await s3.setFaults({});
    // What it says about itself is the killed run's, which began after its look at the repository.
    const { running = null } = await readState();
    expect(running === null).toBe(pattern.startsWith('GET'));
    expect((await listBackups()).length - before.length).toBe(isMade ? 1 : 0);

    // At once, without an order: what is due decides.
    await onNode(`systemctl start ${UNIT}`);
    const { running: left, last } = await readState();
    expect(left).toBeNull();
    const wanted = { type: 'full', problem: null, closesGap: before.length > 0 };
    expect(last).toMatchObject(isMade ? { problem: expect.stringMatching(/cut short/) } : wanted);
    expect((await listBackups()).length).toBeGreaterThan(before.length);
    expect(await onNode(`cat ${DROPPED} 2>/dev/null || true`)).toBe('');
  });

  test('without its unit is a failure, which the next order does not wait for', async () => {
    await noteGap();
    await holdAt('PUT .*F/bundle/2');
    await onNode(`pkill -KILL -f '^/opt/pgbackrest/lib-[^ ]*/loader .* backup$'`);
    await expect.poll(async () => (await readState()).running, { timeout: 30_000 }).toBeNull();
    await s3.setFaults({});
    expect(await readState()).toMatchObject({ failures: 1, last: { cut: false } });
    await perform([FULL], desired);
    expect(await readState()).toMatchObject({ failures: 0, last: { problem: null } });
  });

  test('leaves nothing behind', async () => {
    const labels = await listBackups();
    const keys = await s3.listKeys(BUCKET, folder);
    const folders = keys.flatMap(
      (key) => /^(\d{8}-\d{6}F)\//.exec(key.slice(folder.length))?.[1] ?? [],
    );
    expect([...new Set(folders)].sort()).toEqual(labels.sort());
    // One, because it reads each of a thousand files from S3 alone: the one that goes on with what a killed one had copied.
    const verified = await pgBackRest(`--output=text --verbose --set=${labels.at(-1)} verify`);
    expect(verified).toMatch(/status: ok/);
    expect(await onNode('docker exec postgres-orders ls /tmp/pgbackrest')).not.toMatch(/backup/);
  });
});

/** Makes an image of the one that runs whose C library reports another version, as in steps.test.ts. */
const moveLibrary = (tag: string) =>
  onNode(
    `docker run --name moved --user 0 --entrypoint sed $(docker inspect --format '{{.Config.Image}}' postgres-orders) \
      -i 's/\\([^_]\\)2\\.41\\x00/\\12.99\\x00/g' /lib/x86_64-linux-gnu/libc.so.6
     docker commit moved postgres:${tag}; docker rm moved`,
  );

test.each(TAGS)('PostgreSQL %s is backed up and restored to a moment', async (tag) => {
  const desired = { image: `postgres:${tag}`, backup: describeBackup(tag) };
  const common = testbed.configure(NODE);
  const admit = { kind: 'admit', nodes: [NODE], ...common, slots: [], retiredSlots: [] } as const;
  const [prepare, archive] = listArchiveSteps(testbed);
  const create = { kind: 'initialise', nodes: [NODE], ...common } as const;
  await loseData(testbed);
  await perform([prepare, create, admit, archive, FULL], desired);
  const ask = (sql: string) => testbed.query(NODE, sql);
  expect(await ask('SHOW server_version')).toMatch(new RegExp(`^${Number.parseInt(tag, 10)}\\.`));

  await ask("CREATE TABLE marks (name text); INSERT INTO marks VALUES ('kept')");
  await ask(
    `CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'feed'); ALTER SUBSCRIPTION feed ENABLE`,
  );
  // Two of them have the version of the C library that is replaced below.
  const isSorted = tag === '14-alpine' || tag === '16';
  if (isSorted) {
    await ask("CREATE DATABASE sorted TEMPLATE template0 LOCALE 'en_US.utf8'");
    await ask('\\c sorted\nCREATE TABLE words (word text UNIQUE)');
  }
  const moment = await ask(
    `SELECT pg_sleep(1.1); SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`,
  );
  await sleep(100);
  await ask("INSERT INTO marks VALUES ('later')");
  const file = await ask('SELECT pg_walfile_name(pg_switch_wal())');
  const isArchived = `SELECT last_archived_wal >= '${file}' FROM pg_stat_archiver`;
  await expect.poll(() => ask(isArchived), { timeout: 60_000, interval: 100 }).toBe('t');

  const image = tag === '16' ? 'postgres:16-moved' : desired.image;
  if (image !== desired.image) await moveLibrary('16-moved');
  await loseData(testbed);
  const restore = restoreStep(testbed, { desired, time: moment.trim() });
  const done = await perform([restore, admit], { ...desired, image });
  const notes = done.notes.map(({ note }) => note).join('\n');
  expect(notes).toMatch(/was restored from backup/);
  expect(notes).toMatch(/with its subscriptions disabled: "feed"/);
  expect(await ask('SELECT subenabled FROM pg_subscription')).toBe('f');
  expect(await ask('SELECT name FROM marks')).toBe('kept');
  // PostgreSQL 14 records no version of a database, and the backup names the image, which is the same.
  if (image === desired.image) expect(notes).not.toMatch(/librar|glibc/);
  else {
    expect(notes).toMatch(
      /Database `sorted` sorts by glibc 2\.99 instead of 2\.41 \(en_US\.utf8\): rebuild `public\.words_word_key` .* Then `ALTER DATABASE sorted REFRESH COLLATION VERSION`/,
    );
  }
  expect(await ask('SELECT pg_is_in_recovery()')).toBe('f');
});

test('a place with the backups of another cluster is refused before anything is restored', async () => {
  await loseData(testbed);
  const restore = restoreStep(testbed, { desired: { backup: describeBackup('18') }, time: null });
  const desired = { image: 'postgres:18', backup: describeBackup('killed') };
  const { failures } = await testbed.run([restore], { callSeconds: 300 }, desired);
  expect(failures[0]?.message).toMatch(
    /^nothing was restored, because s3:\/\/acme-backups\/killed\/orders, where orders is to archive, holds the backups of another database cluster \(system identifier \d+, backups: [1-9]\d*, the newest of .* UTC; that of s3:\/\/acme-backups\/18\/orders has \d+\)/,
  );
  expect(await onNode(`ls ${ROOT}; ls /run/postgres-cluster 2>/dev/null || true`)).not.toMatch(
    /^(data|data\.partial|restored\.json|work\.json|restore)$/m,
  );
});
