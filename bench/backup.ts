// node bench/backup.ts [--gb N] measures what the action adds to pgBackRest: a full backup by the node's unit and a restore
// by its step, against pgbackrest alone in the same container, with the same options and the same S3.
import { parseArgs } from 'node:util';
import {
  admitBackups,
  describeBackup,
  listArchiveSteps,
  loseData,
  restoreStep,
} from '../lab/playbooks/backups.ts';
import { ROOT, startTestbed } from '../lab/playbooks/testbed.ts';
import { destroyWorld } from '../lab/world.ts';
import type { DesiredCluster } from '../src/cluster/desired.ts';
import type { Step } from '../src/cluster/rollout/step.ts';

const WORLD = 'bench';
const NODE = 'node-1';
/** The most that the action may take, as a multiple of pgBackRest alone. */
const MAX_RATIO = 1.1;
const GB = 1e9;
const PGBACKREST = '/opt/pgbackrest/pgbackrest';
/** A step waits for its work in one call: the waits between calls are the action's own. */
const CALL_SECONDS = 7200;

const { values } = parseArgs({ options: { gb: { type: 'string', default: '5' } } });
const gb = Number(values.gb);
if (!(gb > 0)) throw new Error('Usage: node bench/backup.ts [--gb N]');
const tell = (line: string) => process.stderr.write(`${line}\n`);

const testbed = await startTestbed({
  world: WORLD,
  prefix: '10.97',
  count: 1,
  tags: ['17'],
  image: 'postgres:17',
  settings: { max_wal_size: '2GB' },
  backups: true,
  diskGib: Math.ceil(2 * gb) + 8,
});
const onNode = (command: string) => testbed.hosts.run(NODE, command);

/** Runs steps; returns how long they took, in seconds. */
async function perform(steps: readonly Step[], desired: Partial<DesiredCluster>): Promise<number> {
  const start = Date.now();
  const done = await testbed.run(steps, { callSeconds: CALL_SECONDS }, desired);
  if (done.exitCode !== 0 || done.failures.length > 0) throw new Error(done.output);
  return (Date.now() - start) / 1000;
}

async function measure(command: string): Promise<number> {
  const start = Date.now();
  await onNode(command);
  return (Date.now() - start) / 1000;
}

/** Fills the database up to `bytes` with rows as shops have them: words, numbers, times, and a token that does not compress. */
async function fill(bytes: number): Promise<void> {
  const read = async () => Number(await testbed.query(NODE, "SELECT pg_database_size('postgres')"));
  const word = "words[1 + (random() * 63)::int] || ' '";
  await testbed.query(
    NODE,
    'CREATE TABLE orders (id bigint, customer int, placed timestamptz, status text, amount numeric, token text, note text)',
  );
  while ((await read()) < bytes) {
    await testbed.query(
      NODE,
      `INSERT INTO orders
        SELECT n, random() * 1e6, now() - n * interval '1 s', (ARRAY['new', 'paid', 'sent', 'returned'])[1 + (random() * 3)::int],
          (random() * 1e5)::int / 100.0, md5(random()::text), ${Array(12).fill(word).join(' || ')}
        FROM generate_series(1, 500000) AS n, (SELECT array_agg(left(md5(w::text), 3 + w % 7)) AS words FROM generate_series(1, 64) AS w) AS list`,
    );
  }
  await testbed.query(NODE, 'CHECKPOINT');
  tell(`the database has ${((await read()) / GB).toFixed(2)} GB`);
}

const show = (times: readonly number[]) => times.map((time) => time.toFixed(1)).join(' and ');

interface Times {
  readonly backup: number;
  readonly restore: number;
}

/** Both are measured twice, in turns, and the better time counts: the second one to read a file finds it in memory. */
const ROUNDS = [1, 2];

/** Measures backup and restore by pgBackRest alone and by the action, in a repository of their own; at the end the data is restored. */
async function compare(prefix: string): Promise<{ bare: Times; action: Times }> {
  const desired = { backup: describeBackup(prefix) };
  const backup = { kind: 'backup', nodes: [NODE], primary: NODE, type: 'full' } as const;
  await perform(listArchiveSteps(testbed), desired);
  const options = `--config=/etc/postgresql-cluster/pgbackrest.conf --stanza=orders --log-level-console=error`;
  const backups = { bare: [] as number[], action: [] as number[] };
  for (const _ of ROUNDS) {
    const command = `docker exec postgres-orders ${PGBACKREST} ${options} --type=full backup`;
    backups.bare.push(await measure(command));
    backups.action.push(await perform([backup], desired));
  }
  const [stanza] = JSON.parse(
    await onNode(`docker exec postgres-orders ${PGBACKREST} ${options} --output=json info`),
  );
  const { label, info } = stanza.backup.at(-1);
  tell(
    `${prefix}: ${(info.size / GB).toFixed(2)} GB, ${(info.repository.delta / GB).toFixed(2)} GB in the bucket; backup ${show(backups.bare)} s with pgBackRest alone, ${show(backups.action)} s with the action`,
  );

  const [image = '', user = ''] = (
    await onNode(`docker inspect -f '{{.Config.Image}} {{.Config.User}}' postgres-orders`)
  ).split(' ');
  await onNode(`cp -a ${ROOT}/etc ${ROOT}/etc.bare`);
  const restores = { bare: [] as number[], action: [] as number[] };
  for (const _ of ROUNDS) {
    await loseData(testbed);
    restores.bare.push(
      await measure(
        [
          `install -d -m 700 -o ${user.split(':')[0]} ${ROOT}/data.bare`,
          `docker run --rm --network host --user ${user} -v ${ROOT}/data.bare:${ROOT}/data -v ${ROOT}/etc.bare:/etc/postgresql-cluster:ro -v /opt/pgbackrest:/opt/pgbackrest:ro --entrypoint ${PGBACKREST} ${image} ${options} --set=${label} --type=none --process-max=$(nproc) restore`,
          `sync --file-system ${ROOT}/data.bare`,
        ].join(' && '),
      ),
    );
    await onNode(`rm -rf ${ROOT}/data.bare`);
    const restore = restoreStep(testbed, { desired, time: null });
    restores.action.push(await perform([restore], desired));
  }
  await onNode(`rm -rf ${ROOT}/etc.bare`);
  tell(
    `${prefix}: restore ${show(restores.bare)} s with pgBackRest alone, ${show(restores.action)} s with the action`,
  );
  return {
    bare: { backup: Math.min(...backups.bare), restore: Math.min(...restores.bare) },
    action: { backup: Math.min(...backups.action), restore: Math.min(...restores.action) },
  };
}

try {
  await admitBackups(testbed);
  const small = await compare('small');
  await fill(gb * GB);
  const large = await compare('large');
  // What does not depend on the size: the connection, the looks at the repository, the start of the server.
  for (const what of ['backup', 'restore'] as const) {
    const fixed = small.action[what] - small.bare[what];
    const ratio = (large.action[what] - fixed) / large.bare[what];
    process.stdout.write(
      `${what} of ${gb} GB: ${ratio.toFixed(2)} times pgBackRest alone, plus ${fixed.toFixed(1)} s that do not depend on the size\n`,
    );
    if (ratio > MAX_RATIO) {
      process.stderr.write(`Allowed: ${MAX_RATIO} times.\n`);
      process.exitCode = 1;
    }
  }
} finally {
  await testbed.close();
  await destroyWorld(WORLD);
}
