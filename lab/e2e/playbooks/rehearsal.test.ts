import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { DesiredCluster } from '../../../src/cluster/desired.ts';
import { type Canary, QUIET_SETTINGS } from '../../../src/cluster/rehearsal.ts';
import { createBackup, createSource } from '../../../src/cluster/testing/fixtures.ts';
import { nightlyTest } from '../../nightly.ts';
import { configure, type DriveOptions, runPlaybook } from '../../playbooks/drive.ts';
import { DISK_GIB, type Hosts, startHosts } from '../../playbooks/hosts.ts';
import { ROOT } from '../../playbooks/testbed.ts';
import { LANE } from '../lane.ts';

// A cluster of one node with backups, and beside it the one that rehearses its restore.

const BUCKET = 'acme-backups';
const OBJECTS = `arn:aws:s3:::${BUCKET}/orders/*`;
const allow = (...actions: string[]) => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 's3:ListBucket',
      Resource: `arn:aws:s3:::${BUCKET}`,
      Condition: { StringLike: { 's3:prefix': 'orders/*' } },
    },
    { Effect: 'Allow', Action: actions, Resource: OBJECTS },
  ],
});

let folder: string;
let hosts: Hosts;
let live: DriveOptions;
let canary: Canary;

function buildOptions(number: 1 | 2, desired: Partial<DesiredCluster>): DriveOptions {
  const host = hosts.nodes[number - 1];
  if (host === undefined) throw new Error(`There is no host ${number}.`);
  return {
    desired: {
      name: 'orders',
      nodes: [{ ...host, name: 'node-1' }],
      leaving: [],
      instanceType: null,
      memoryMib: null,
      primary: null,
      synchronousReplicas: 0,
      image: 'postgres:17',
      settings: { shared_buffers: '64MB' },
      clientCidrs: [],
      storage: { dataGib: DISK_GIB, rootGib: 16 },
      clone: { from: 'primary', maxRate: null },
      region: 'us-east-1',
      backup: null,
      restore: null,
      rehearsal: null,
      ...desired,
    },
    folder: join(folder, `run-${number}`),
    key: hosts.key,
    authorizedKey: hosts.authorizedKey,
    superuserPassword: 'postgres',
    replicationPassword: 'replicator',
    waitSeconds: 60,
    // Long work outlives several calls.
    callSeconds: 2,
  };
}

const NAMES = { 1: 'orders', 2: 'orders-rehearsal' } as const;

const query = (number: 1 | 2, sql: string, database = 'postgres'): Promise<string> =>
  hosts.run(
    `node-${number}`,
    `docker exec -i postgres-${NAMES[number]} psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d ${database} <<'SQL'\n${sql}\nSQL`,
  );

const rehearse = (): DriveOptions =>
  buildOptions(2, {
    name: NAMES[2],
    settings: { shared_buffers: '64MB', ...QUIET_SETTINGS },
    restore: {
      from: createSource({ bucket: BUCKET, cluster: 'orders', endpoint: hosts.s3?.endpoint ?? '' }),
      time: canary.written,
    },
    rehearsal: canary,
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgca-test-'));
  const { world, prefix } = LANE;
  const options = { world, prefix, folder: join(folder, 'hosts'), count: 2, backups: true };
  hosts = await startHosts({ ...options, tags: ['17'], onProgress: (line) => console.log(line) });
  await hosts.s3?.createBucket(BUCKET);
  await hosts.setProfile('node-1', allow('s3:GetObject', 's3:PutObject', 's3:DeleteObject'));
  await hosts.setProfile('node-2', allow('s3:GetObject'));
  const endpoint = hosts.s3?.endpoint ?? null;
  live = buildOptions(1, { backup: createBackup({ bucket: BUCKET, prefix: '', endpoint }) });
  await configure(live);
  // What is archived is observed once it runs: the full backup.
  const { done } = await configure(live);
  expect(done.failures, done.output).toEqual([]);
  await query(1, 'CREATE ROLE "é a\\b" LOGIN; CREATE DATABASE shop');
  await query(
    1,
    'CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT n, md5(n::text) FROM generate_series(1, 20000) n; CREATE TABLE marks (name text)',
    'shop',
  );
  await query(
    1,
    "CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'feed'); ALTER SUBSCRIPTION feed ENABLE",
    'shop',
  );
  await query(
    1,
    "CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'en_US.utf8'",
  );
  await query(1, 'CREATE TABLE words (word text UNIQUE)', 'sorted');
});
afterAll(async () => {
  await hosts?.destroy();
  await rm(folder, { recursive: true, force: true });
});

nightlyTest('the proof of the cluster says what its rehearsal compares', async () => {
  const work = { primary: 'node-1', steps: [], canary: true };
  const { proof, output } = await runPlaybook(live, 'site.yml', work);
  const [line] = proof;
  if (!line?.canary) throw new Error(output);
  canary = line.canary;
  const count = (table: string) => query(1, `SELECT count(*) FROM ${table}`);
  expect(`${canary.roles}`).toBe(await count('pg_roles'));
  expect(`${canary.databases}`).toBe(await count('pg_database'));
  expect(line).toMatchObject({ verification: null, archivedWal: expect.any(String) });
  // What comes later is not restored.
  await query(1, "INSERT INTO marks VALUES ('later'); SELECT pg_switch_wal()", 'shop');

  const again = await runPlaybook(live, 'site.yml', { primary: 'node-1', steps: [] });
  expect(again.proof[0]?.canary).toBeNull();
});

nightlyTest(
  'the rehearsal restores up to the canary, verifies everything, and its proof says so',
  async () => {
    const { steps, done } = await configure(rehearse());
    expect(done.failures, done.output).toEqual([]);
    expect(steps.map(({ kind }) => kind).at(-1)).toBe('verify');
    const [line] = done.proof;
    expect(line?.problem, done.output).toBeNull();
    expect(line?.verification).toMatchObject({ backup: expect.stringMatching(/F$/), databases: 5 });
    expect(line?.verification?.relations).toBeGreaterThan(400);
    expect(line?.verification?.method).toBe('pg_amcheck');
    expect(line?.verification?.bytes).toBeGreaterThan(20_000_000);
    expect(line?.verification?.lastCommit).toBeLessThanOrEqual(Date.parse(canary.written) / 1000);
    expect(await query(2, 'SELECT count(*) FROM items', 'shop')).toBe('20000');
    expect(await query(2, 'SELECT count(*) FROM marks', 'shop')).toBe('0');
    const notes = done.notes.map(({ note }) => note).join('\n');
    expect(notes).not.toMatch(/no transaction after|glibc/);
    expect(notes).toMatch(/subscriptions disabled: "feed"/);
    // Nor would it connect if somebody enabled it.
    const workers =
      "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'";
    expect(await query(1, workers)).not.toBe('0');
    expect(await query(2, workers)).toBe('0');
    // The extension is not loaded.
    expect(await query(2, 'SHOW cron.launch_active_jobs')).toBe('off');

    // The proof has written a value of its own, and the step still knows that it is done.
    const again = await configure(rehearse());
    expect(again.steps.map(({ kind }) => kind)).toEqual(['verify']);
    expect(again.done.failures, again.done.output).toEqual([]);
    expect(again.done.proof[0]?.verification).toEqual(line?.verification);
    expect(again.done.changes).toEqual([]);
  },
);

nightlyTest('damage and a difference are found, and named in one message', async () => {
  const path = await query(2, "SELECT pg_relation_filepath('items')", 'shop');
  await hosts.run(
    'node-2',
    `docker stop postgres-${NAMES[2]} && rm ${ROOT}/verified.json && head -c 64 /dev/urandom | dd of=${ROOT}/data/${path} bs=1 seek=12000 conv=notrunc && docker start postgres-${NAMES[2]} && until docker exec postgres-${NAMES[2]} pg_isready; do sleep 0.2; done`,
  );
  // As if an older library had written it.
  await query(2, "UPDATE pg_database SET datcollversion = '2.36' WHERE datname = 'sorted'");
  const other = { ...canary, roles: canary.roles + 1 };
  const verify = { kind: 'verify', nodes: ['node-1'], primary: 'node-1', canary: other } as const;
  const work = { primary: 'node-1', steps: [verify], prove: false };
  const { failures } = await runPlaybook(rehearse(), 'site.yml', work);
  expect(failures[0]?.message).toMatch(/heap table "shop\.public\.items" \(.*invalid page/);
  expect(failures[0]?.message).toMatch(
    new RegExp(`there are ${canary.roles} roles, expected ${canary.roles + 1}`),
  );
  expect(failures[0]?.message).toMatch(/the value of the latest proof is/);
  expect(failures[0]?.message).toMatch(
    /not to be trusted: sorted: glibc 2\.41 instead of 2\.36 \(en_US\.utf8\), 1 to rebuild/,
  );
});

nightlyTest('the nodes of the cluster remember it', async () => {
  const rehearsal = {
    ended: 1_795_740_363,
    restoredTo: 1_795_740_000,
    seconds: 840,
    bytes: 2 ** 34,
    commitAge: 1,
  };
  const record = { kind: 'record', nodes: ['node-1'], primary: 'node-1', rehearsal } as const;
  const work = { primary: 'node-1', steps: [record], prove: false };
  const first = await runPlaybook(live, 'site.yml', work);
  expect(first.failures, first.output).toEqual([]);
  expect(first.changes).toHaveLength(1);
  const { observations } = await runPlaybook(live, 'observe.yml');
  expect(observations[0]?.rehearsal).toEqual(rehearsal);
});
