import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../../client.ts';
import { runDocker } from '../../images/docker.ts';
import { TABLE } from '../../load/row.ts';
import type { JobResult } from '../../runner/job.ts';
import type { S3 } from '../../s3/s3.ts';
import { LANE } from '../lane.ts';
import { deploy, openPullRequest, readServers, requireSuccess } from '../stage.ts';
import { CONTAINER, LiveCluster, ROOT } from './cluster.ts';

const BUCKET = 'acme-backups';
const ENDPOINT = 's3.lab.internal:9000';
const PLAIN = {
  'instance-type': 't3.small',
  'replica-count': '1',
  // Small enough for a test to lose a slot.
  settings: 'max_slot_wal_keep_size = 64MB\nwal_keep_size = 0',
};
const BACKUP = { bucket: BUCKET, endpoint: ENDPOINT, cipher: 'aes-256-cbc' };
const KEY = randomBytes(48).toString('base64');
const INPUTS = { ...PLAIN, backup: JSON.stringify(BACKUP), 'backup-cipher-key': KEY };
const CONFIGURATION = `${ROOT}/etc/pgbackrest.conf`;
const DROPPED = `${ROOT}/pgbackrest-spool/dropped`;
const UNIT = 'postgres-cluster-postgres-backup';
/** What pgBackRest calls a backup: `20261127-013000F`, or `…F_20261127-020000I`. */
const LABEL = /^postgres\/backup\/postgres\/(\d{8}-\d{6}F(?:_\d{8}-\d{6}I)?)\/backup\.manifest$/;

let cluster: LiveCluster;
let s3: S3;
beforeAll(async () => {
  cluster = await LiveCluster.create(PLAIN, { backups: true });
  if (cluster.world.s3 === null) throw new Error('There is no S3.');
  s3 = cluster.world.s3;
  await s3.createBucket(BUCKET);
});
afterAll(() => cluster?.close());

async function listBackups(): Promise<string[]> {
  const keys = await s3.listKeys(BUCKET, 'postgres/backup/');
  return keys.flatMap((key) => LABEL.exec(key)?.[1] ?? []).sort();
}

/** Which rows of the load a server has. */
const FINGERPRINT = `SELECT count(*) || ' ' || md5(string_agg(counter::text, ',' ORDER BY counter)) FROM ${TABLE}`;

const readArchivedWal = (result: JobResult): string | null =>
  (JSON.parse(result.outputs['cluster-status'] ?? '[]') as { archivedWal: string | null }[])
    .map(({ archivedWal }) => archivedWal)
    .find((file) => file !== null) ?? null;

test('a cluster without backups archives nothing, and has no role', async () => {
  const archived = await cluster.ask(
    await cluster.findPrimary(),
    "SELECT pg_switch_wal() IS NOT NULL AND current_setting('archive_mode') = 'on'",
  );
  expect(archived).toBe('t');
  expect(await s3.listKeys(BUCKET)).toEqual([]);
  expect(cluster.world.aws.tables.roles).toEqual({});
});

test('backups begin with a deploy, without a restart, and with a full backup', async () => {
  const { result, restarted } = await cluster.change('backups begin', INPUTS, { again: true });
  expect(restarted).toEqual([]);
  const file = readArchivedWal(result);
  expect(file).toMatch(/^[0-9A-F]{24}$/);
  const folder = `postgres/archive/postgres/17-1/${file?.slice(0, 16)}/`;
  expect((await s3.listKeys(BUCKET, `${folder}${file}`)).length).toBe(1);
  expect(await listBackups()).toEqual([expect.stringMatching(/F$/)]);
  // The runner does not know here that this input is a secret, and shows it first.
  expect(result.log.slice(result.log.indexOf('##[endgroup]'))).not.toContain(KEY);
});

test('the key of the backups is on every node, for PostgreSQL’s user only, and cannot be changed', async () => {
  const nodes = Object.keys(cluster.listServers());
  const read = () =>
    Promise.all(
      nodes.map((node) =>
        cluster.run(
          node,
          ...['sh', '-euc'],
          `stat -c '%a %u' ${CONFIGURATION}; docker exec ${CONTAINER} id -u; grep -c '^repo1-cipher-pass=${KEY}$' ${CONFIGURATION}; sha256sum ${CONFIGURATION}`,
        ),
      ),
    );
  const before = await read();
  for (const text of before) expect(text).toMatch(/^600 (\d+)\s\1\s1\s/);
  const other = { ...INPUTS, 'backup-cipher-key': randomBytes(48).toString('base64') };
  await cluster.requireRefusal(other, {
    reason: /backup-cipher-key: it is not the key that s3:.* is encrypted with/,
    review: true,
  });
  const plain = { ...INPUTS, backup: JSON.stringify({ ...BACKUP, cipher: 'none' }) };
  await cluster.requireRefusal(plain, {
    reason: /backup\.cipher: s3:.* is encrypted \(aes-256-cbc\)/,
  });
  expect(await read()).toEqual(before);
});

test('the role of the nodes opens its own path only', async () => {
  const [node] = await cluster.listReplicas();
  const ask = (path: string, command: string) =>
    cluster.run(
      node as string,
      ...['sh', '-c'],
      `sed 's#^repo1-path=.*#repo1-path=${path}#; /^cmd=/d; /^repo1-cipher/d' ${CONFIGURATION} > /run/other.conf; pgbackrest --config=/run/other.conf --log-level-stderr=error ${command} 2>&1 || true`,
    );
  expect(await ask('/postgres', 'repo-get /postgres/archive/postgres/archive.info')).toMatch(
    /^Salted__/,
  );
  for (const command of [
    'repo-ls /other/',
    'repo-get /other/archive.info',
    'repo-put /other/x < /dev/null',
  ]) {
    expect(await ask('/other', command)).toMatch(/403 \(Forbidden\)/);
  }
});

test('a replica whose slot is lost catches up from the archive, also across a promotion', async () => {
  const primary = await cluster.findPrimary();
  const [replica] = (await cluster.listReplicas()) as [string];
  const readData = () => cluster.run(replica, 'sh', '-c', `stat -c %i ${ROOT}/data; ls ${ROOT}`);
  const write = async (rounds: number) => {
    for (let round = 0; round < rounds; round += 1) {
      await cluster.ask(
        primary,
        "SELECT count(pg_logical_emit_message(false, 'lab', repeat('x', 1024 * 1024))) FROM generate_series(1, 16)",
      );
    }
  };
  const before = await readData();
  await cluster.run(replica, 'docker', 'stop', '--time', '60', CONTAINER);
  await write(2);
  // The end of the timeline that the replica is on.
  await cluster.run(
    primary,
    ...['sh', '-euc'],
    `docker stop --time 60 ${CONTAINER}; touch ${ROOT}/data/standby.signal; docker start ${CONTAINER}`,
  );
  await expect
    .poll(() => cluster.ask(primary, 'SELECT pg_promote()').catch(() => ''), { timeout: 30_000 })
    .toBe('t');
  await write(10);
  await cluster.ask(primary, 'CHECKPOINT');
  const lost = "SELECT string_agg(wal_status, ' ') FROM pg_replication_slots";
  expect(await cluster.ask(primary, lost)).toBe('lost');

  const { result, restarted } = await cluster.change('catches up', INPUTS);
  expect(result.log).toMatch(/took from the archive what .* no longer had/);
  expect(restarted).not.toContain(primary);
  expect(await readData()).toBe(before);
  expect(await cluster.ask(replica, "SELECT current_setting('restore_command')")).toBe('');
  const servers = Object.values(cluster.readRoles(result));
  expect(servers.sort()).toEqual(['primary', 'replica streaming']);
});

let moment: string;
let rows: string;

test('a switchover, with a slow bucket, and a failover go on archiving', async () => {
  await s3.setFaults({ latencyMs: 1_000 });
  const { primary } = await cluster.change('switchover with backups', {
    ...INPUTS,
    primary: 'node-2',
  });
  expect(primary.after).toBe('node-2');
  await s3.setFaults({});

  // As if node-1 had been out of reach when the retention was raised.
  await cluster.run(
    'node-1',
    'sed',
    '-i',
    's/^repo1-retention-full=.*/repo1-retention-full=1/',
    CONFIGURATION,
  );
  await cluster.underLoad(async (load) => {
    await cluster.run('node-2', 'docker', 'kill', CONTAINER);
    await sleep(300);
    const { log } = requireSuccess(await cluster.failOver(INPUTS));
    expect(log).toMatch(/retention_days: 1\) are not those of the cluster file/);
    await load.awaitCommits(50);
  });
  expect(await cluster.findPrimary()).toBe('node-1');
  expect(await cluster.run('node-1', 'grep', '^expire-auto', CONFIGURATION)).toBe('expire-auto=n');

  // The timer of every node is on, and a replica makes no backup.
  for (const node of ['node-1', 'node-2']) {
    expect(await cluster.run(node, 'systemctl', 'is-active', `${UNIT}.timer`)).toBe('active');
  }
  const before = await listBackups();
  await cluster.run('node-2', 'systemctl', 'start', `${UNIT}.service`);
  expect(await listBackups()).toEqual(before);

  // Two commits that everybody knows of, and a moment between them.
  await cluster.ask('node-1', "CREATE TABLE marks (name text); INSERT INTO marks VALUES ('kept')");
  rows = await cluster.ask('node-1', FINGERPRINT);
  await sleep(1_100);
  moment = await cluster.ask(
    'node-1',
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`,
  );
  await sleep(1_100);
  await cluster.ask('node-1', "INSERT INTO marks VALUES ('later')");
  // The archive has the segment of both before the next test takes it away.
  const file = await cluster.ask('node-1', 'SELECT pg_walfile_name(pg_switch_wal())');
  const isArchived = `SELECT last_archived_wal >= '${file}' FROM pg_stat_archiver`;
  await expect.poll(() => cluster.ask('node-1', isArchived), { timeout: 60_000 }).toBe('t');
});

test('without its archive the database goes on; the gap is reported, and a full backup ends it', async () => {
  const backups = await listBackups();
  // Limits that a test can reach. The next deploy takes them back.
  await cluster.run(
    'node-1',
    ...['sed', '-i', '-e', 's/^archive-push-queue-max=.*/archive-push-queue-max=48MiB/'],
    ...['-e', 's/^\\[global\\]$/[global]\\nio-timeout=1/', CONFIGURATION],
  );
  const { report } = await cluster.underLoad(async (load) => {
    await s3.setFaults({ down: true });
    for (let count = 0; count < 8; count += 1) {
      await cluster.ask('node-1', 'SELECT pg_switch_wal()');
      await load.awaitCommits(1);
    }
    await cluster.run(
      'node-1',
      'timeout',
      '120',
      'sh',
      '-c',
      `until test -s ${DROPPED}; do sleep 0.2; done`,
    );
    await load.awaitCommits(20);
  });
  cluster.tell('archive down', report);
  await s3.setFaults({});

  const { event, number } = openPullRequest(cluster.world, 'gap');
  requireSuccess(await cluster.world.run(event, INPUTS));
  const comment = cluster.world.github.listComments(number)[0]?.body ?? '';
  expect(comment).toMatch(/dropped/);

  const { result, restarted } = await cluster.change('the gap ends', INPUTS);
  expect(restarted).not.toContain('node-1');
  const conf = await cluster.run('node-1', 'cat', CONFIGURATION);
  expect(conf).toMatch(/^repo1-retention-full=(?!1$)/m);
  expect(conf).not.toContain('expire-auto');
  expect(cluster.readRoles(result)).toEqual({ 'node-1': 'primary', 'node-2': 'replica streaming' });
  const made = (await listBackups()).filter((label) => !backups.includes(label));
  // Two if the node's timer, every 15 minutes, came between the deploy's look at the node and its step.
  expect(made.length, made.join()).toBeGreaterThan(0);
  expect(made.filter((label) => !label.endsWith('F'))).toEqual([]);
  // The files are compared with the backup by their names: when they were noted is of no interest.
  const settled = `while test -e ${DROPPED}; do sleep 0.2; done`;
  await cluster.run('node-1', 'timeout', '60', 'sh', '-c', settled);

  // The repository remembers the gap.
  const after = openPullRequest(cluster.world, 'gap closed');
  requireSuccess(await cluster.world.run(after.event, INPUTS));
  const closed = cluster.world.github.listComments(after.number)[0]?.body ?? '';
  // After a full backup, at least its own segment is archived.
  expect(closed).toMatch(/ [KM]iB of backups and [1-9][\d.]* [KM]iB of WAL in `s3:/);
  expect(closed).toMatch(/restorable from .* \*\*except .+\*\* \(WAL is missing\)/);
  expect(closed).not.toMatch(/dropped/);
});

test('a backup is made on request', async () => {
  const before = await listBackups();
  const { world } = cluster;
  requireSuccess(await world.run(world.github.dispatch('backup', {}), INPUTS));
  const made = (await listBackups()).filter((label) => !before.includes(label));
  expect(made).toEqual([expect.stringMatching(/I$/)]);
});

const listIssues = () =>
  cluster.world.github
    .listIssues()
    .filter((issue) => issue.state === 'open' && issue.pull_request === undefined);

const listNames = () => cluster.world.aws.listInstances().map(({ name }) => name);
const listRehearsals = () => listNames().filter((name) => name.includes('rehearsal'));

async function rehearse(): Promise<JobResult> {
  const { world } = cluster;
  const before = listNames().filter((name) => !name.includes('rehearsal'));
  const result = await world.run(world.github.dispatch('rehearse', {}), INPUTS);
  // Whatever happened: the node is gone with its volume, without a snapshot, and the cluster is untouched.
  expect(listNames()).toEqual(before);
  expect(result.outputs['primary-host']).toBe(cluster.instance('node-1').privateIp);
  return result;
}

/** Cancels a rehearsal as soon as there is its node. */
async function leaveRehearsal(): Promise<void> {
  const { world } = cluster;
  const controller = new AbortController();
  const result = await world.run(world.github.dispatch('rehearse', {}), INPUTS, {
    signal: controller.signal,
    onLine: (line) => {
      if (/aws_volume_attachment\.data\["1"\]: Creation complete/.test(line)) controller.abort();
    },
  });
  expect(result.conclusion, result.log).toBe('cancelled');
  expect(listRehearsals()).toHaveLength(1);
}

test('a rehearsal that is cancelled leaves its node, and an issue says so', async () => {
  await leaveRehearsal();
  const [issue, ...others] = listIssues();
  expect(others).toEqual([]);
  expect(issue?.title).toBe('Rehearsal not removed: postgres');
  expect(issue?.body).toMatch(/ended while making its node.*`postgres-rehearsal` is left/s);
});

test('a rehearsal restores the cluster to a node that is verified and removed, as is what an earlier one left', async () => {
  const left = cluster.world.aws.listInstances().filter(({ name }) => name.includes('rehearsal'));
  const volumes =
    Object.keys(cluster.world.aws.tables.volumes).length -
    left.flatMap((one) => one.volumes).length * 2;
  const starts = await cluster.readStarts();
  const result = requireSuccess(await rehearse());
  expect(result.summary).toMatch(/restored/i);
  expect(Object.keys(cluster.world.aws.tables.volumes).length).toBe(volumes);
  expect(cluster.world.aws.tables.snapshots).toEqual({});
  expect(listIssues()).toEqual([]);
  expect(await cluster.readStarts()).toEqual(starts);

  const { event, number } = openPullRequest(cluster.world, 'rehearsed');
  requireSuccess(await cluster.world.run(event, INPUTS));
  const comment = cluster.world.github.listComments(number)[0]?.body ?? '';
  expect(comment).toMatch(/Rehearsed .*restored to .*, newest commit .* old then\)\./);
});

test('a damaged backup fails its rehearsal, which opens an issue; the next success closes it', async () => {
  const keys = await s3.listKeys(BUCKET, 'postgres/backup/');
  // Of the newest full backup, which the restore begins with.
  const key =
    keys
      .filter((one) => /F\/bundle\/1$/.test(one))
      .sort()
      .at(-1) ?? '';
  expect(key, keys.join('\n')).not.toBe('');
  const sound = await s3.damage(BUCKET, key);
  const damaged = await rehearse();
  expect(damaged.conclusion).toBe('failure');
  const [issue, ...others] = listIssues();
  expect(others).toEqual([]);
  expect(issue?.body).toMatch(/could not be restored.*cannot restore s3:.*ERROR: /s);

  await s3.putObject(BUCKET, key, sound);
  requireSuccess(await rehearse());
  expect(listIssues()).toEqual([]);
});

test('another cluster is restored to a moment, once that is one that the backups cover', async () => {
  const { world } = cluster;
  const backend = { ...world.state.backendConfig, key: 'restored.tfstate' };
  const inputs = (time: string) => ({
    ...INPUTS,
    'cluster-name': 'restored',
    'replica-count': '2',
    'vpc-cidr': `${LANE.prefix.replace('.9', '.19')}.0.0/16`,
    'backend-config': JSON.stringify(backend),
    restore: JSON.stringify({ from: { bucket: BUCKET, cluster: 'postgres' }, time }),
  });
  const early = await deploy(world, 'restore-early', inputs('2020-01-01T00:00:00Z'));
  expect(early.result.conclusion, early.result.log).toBe('failure');
  const refusal = early.result.annotations.map(({ message }) => message).join('\n');
  const time = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/.source;
  expect(refusal).toMatch(
    new RegExp(
      `cannot be restored to 2020-01-01 00:00:00 UTC: its backups allow times from ${time} \\(the end of the oldest backup\\) to ${time}`,
    ),
  );

  const { result } = await deploy(world, 'restore', inputs(moment));
  requireSuccess(result);
  const { primary, replicas } = readServers(world, result);
  for (const server of [primary, ...replicas]) {
    expect(await query(server, 'SELECT string_agg(name, $$ $$) FROM marks')).toBe('kept');
    expect(await query(server, FINGERPRINT)).toBe(rows);
  }
  expect(replicas.length).toBe(2);
  expect((await s3.listKeys(BUCKET, 'restored/backup/')).length).toBeGreaterThan(0);

  // The source is read and never written, and a restore has no effect once there are data.
  const host = world.aws.listInstances().find(({ name }) => name === 'restored-node-1');
  const write = `sed 's#^repo1-path=.*#repo1-path=/postgres#; /^cmd=/d; /^repo1-cipher/d' ${CONFIGURATION} > /run/other.conf; echo | pgbackrest --config=/run/other.conf --log-level-stderr=error repo-put /postgres/x 2>&1 || true`;
  expect(await runDocker(['exec', host?.container ?? '', 'sh', '-c', write])).toMatch(/403/);
  const again = await deploy(world, 'restore-again', inputs('2020-01-01T00:00:00Z'));
  requireSuccess(again.result);
  expect(await query(primary, FINGERPRINT)).toBe(rows);
});

test('the cluster is destroyed, and with it what a rehearsal left', async () => {
  const { world } = cluster;
  const isOther = (name: string) => !name.startsWith('postgres');
  const others = listNames().filter(isOther);
  const data = Object.values(world.aws.tables.volumes)
    .filter(({ root, tags }) => !root && tags.Cluster === 'postgres')
    .map(({ id }) => id)
    .sort();
  await leaveRehearsal();
  expect(listIssues()).toHaveLength(1);
  requireSuccess(
    await world.run(world.github.dispatch('destroy', { destroy: 'postgres' }), INPUTS),
  );
  expect(listNames()).toEqual(others);
  // Only the cluster's own volumes leave a snapshot.
  const kept = Object.values(world.aws.tables.snapshots).map(({ volume }) => volume);
  expect(kept.sort()).toEqual(data);
  expect(listIssues()).toEqual([]);
});
