// node bench/clone.ts [GiB] measures how the action copies a database to two replicas at once, under writes, against bare
// pg_basebackup on the same hosts: time, write latency of the primary with and without a limit, memory of the action.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, query } from '../lab/client.ts';
import { runDocker } from '../lab/images/docker.ts';
import { destroyWorld, startWorld } from '../lab/world.ts';

const WORLD = 'bench';
/** The most that the action may take, as a multiple of bare pg_basebackup. */
const MAX_RATIO = 1.1;
/** The most that its memory may grow between an empty database and the large one. */
const MAX_GROWTH = 1.1;
const SMALL_GIB = 0.01;
const CONTAINER = 'postgres-postgres';
const ROOT = '/var/lib/postgresql-cluster';
const MIB = 1024 ** 2;

const gib = Number(process.argv[2] ?? '5');
if (!(gib > 0)) throw new Error('Usage: node bench/clone.ts [GiB]');
const tell = (line: string) => process.stderr.write(`${line}\n`);

const world = await startWorld({
  name: WORLD,
  prefix: '10.97',
  vpcCidr: '10.60.0.0/16',
  tags: ['17'],
  onProgress: tell,
});
const inputs = {
  'instance-type': 't3.small',
  'replica-count': '2',
  'data-volume-size': String(Math.ceil(3 * gib) + 2),
  settings: 'max_wal_size = 8GB\nlog_replication_commands = on',
  'on-plan-change': 'apply',
};
const find = (node: string) => {
  const instance = world.aws.listInstances().find(({ name }) => name.endsWith(node));
  if (!instance?.publicIp) throw new Error(`${node} does not run.`);
  return { container: instance.container, host: instance.publicIp, private: instance.privateIp };
};
const onNode = (node: string, ...command: string[]) =>
  runDocker(['exec', find(node).container, ...command]);
const server = (node: string) => ({
  host: find(node).host,
  password: world.secrets['postgres-password'],
});
const REPLICAS = ['node-2', 'node-3'];

/** Runs one job and returns its duration in seconds and the largest resident set of the action in MiB. */
async function run(more: Readonly<Record<string, string>>) {
  let memory = 0;
  const timer = setInterval(() => {
    memory = Math.max(memory, ...readActionMemory());
  }, 200);
  let from = Number.NaN;
  try {
    const result = await world.run(
      world.github.dispatch('by-hand', {}),
      { ...inputs, command: 'configure', ...more },
      {
        onLine: (line) => {
          if (line.startsWith('The steps:')) from = Date.now();
        },
      },
    );
    if (result.conclusion !== 'success') throw new Error(result.log);
    return { seconds: (Date.now() - from) / 1000, memory };
  } finally {
    clearInterval(timer);
  }
}

/** The largest resident set of every process of the action that runs, in MiB (proc(5), VmHWM). */
function readActionMemory(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!/dist\/index\.js\0?$/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) return [];
        const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        return peak === undefined ? [] : [Number(peak) / 1024];
      } catch {
        return [];
      }
    });
}

/** Takes the data of both replicas away. */
async function wipe(): Promise<void> {
  const script = `docker rm -f ${CONTAINER} >/dev/null; rm -rf ${ROOT}/data ${ROOT}/data.* ${ROOT}/record.json ${ROOT}/work.json`;
  await Promise.all(REPLICAS.map((node) => onNode(node, 'sh', '-c', script)));
  await query(server('node-1'), 'CHECKPOINT');
}

/** Fills the primary up to `target` GiB with rows that do not compress. */
async function fill(target: number): Promise<void> {
  const primary = server('node-1');
  await query(primary, 'CREATE TABLE IF NOT EXISTS bulk (id bigserial, text text)');
  const measure = async () =>
    Number(await query(primary, "SELECT pg_database_size('postgres')")) / MIB;
  while ((await measure()) < target * 1024) {
    await query(
      primary,
      "INSERT INTO bulk (text) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 800000) AS n GROUP BY n / 32",
    );
  }
  tell(`the database has ${(await measure()).toFixed(0)} MiB`);
}

/** Commits rows on the primary while `work` runs; returns its result and the latencies in ms. */
async function underWrites<Result>(work: () => Promise<Result>) {
  const session = await openSession(server('node-1'), { timeoutMs: 60_000 });
  await session.query('CREATE TABLE IF NOT EXISTS writes (id bigserial, text text)');
  const latencies: number[] = [];
  let isOver = false;
  const writer = (async () => {
    while (!isOver) {
      const start = performance.now();
      await session.query("INSERT INTO writes (text) VALUES (repeat('x', 1000))");
      latencies.push(performance.now() - start);
      await sleep(10);
    }
  })();
  try {
    const value = await work();
    isOver = true;
    await writer;
    return { value, latency: describeLatency(latencies) };
  } finally {
    isOver = true;
    session.close();
  }
}

function describeLatency(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, 99th percentile ${at(0.99)} ms, at most ${at(1)} ms`;
}

/** Copies to both hosts at once with pg_basebackup alone; returns seconds. */
async function copyBare(image: string, user: string): Promise<number> {
  const conninfo = `host=${find('node-1').private} user=replicator passfile=/etc/postgresql-cluster/replication.pass`;
  const script = [
    `mkdir -m 700 ${ROOT}/data.bare && chown ${user} ${ROOT}/data.bare`,
    `docker run --rm --network host --user ${user} -v ${ROOT}/data.bare:/copy -v ${ROOT}/etc:/etc/postgresql-cluster:ro --entrypoint pg_basebackup ${image} -d '${conninfo}' -D /copy -X stream --checkpoint=fast --no-sync`,
    `sync --file-system ${ROOT}/data.bare`,
  ].join(' && ');
  const start = Date.now();
  await Promise.all(REPLICAS.map((node) => onNode(node, 'sh', '-c', script)));
  return (Date.now() - start) / 1000;
}

try {
  const { number } = world.github.openPullRequest({ branch: 'bench', title: 'Bench' }).payload
    .pull_request as { number: number };
  const created = await world.run(world.github.merge(number, 'squash').push, inputs);
  if (created.conclusion !== 'success') throw new Error(created.log);
  const [image = '', user = ''] = (
    await onNode(
      'node-2',
      'docker',
      'inspect',
      '-f',
      '{{.Config.Image}} {{.Config.User}}',
      CONTAINER,
    )
  ).split(' ');

  await fill(SMALL_GIB);
  await wipe();
  const small = await run({});
  tell(`empty database: ${small.seconds.toFixed(1)} s, ${small.memory.toFixed(0)} MiB`);
  await wipe();
  await fill(gib);
  await query(server('node-1'), 'CHECKPOINT');

  const idle = await underWrites(() => sleep(5_000));
  tell(`writes without a copy: ${idle.latency}`);
  const bare = await underWrites(() => copyBare(image, user));
  tell(`bare pg_basebackup, twice at once: ${bare.value.toFixed(1)} s; writes: ${bare.latency}`);
  await wipe();
  const action = await underWrites(() => run({}));
  const { seconds, memory } = action.value;
  tell(`the action: ${seconds.toFixed(1)} s, ${memory.toFixed(0)} MiB; writes: ${action.latency}`);
  await wipe();
  // A third of the speed that one of two copies had.
  const rate = Math.max(1, Math.floor((gib * 1024) / bare.value / 3));
  const limited = await underWrites(() => run({ 'clone-max-rate': `${rate}MB` }));
  tell(
    `limited to ${rate} MB/s, one after the other: ${limited.value.seconds.toFixed(1)} s; writes: ${limited.latency}`,
  );

  // What does not depend on the size: observing, starting, catching up, the proof.
  const ratio = (seconds - small.seconds) / bare.value;
  const growth = memory / small.memory;
  process.stdout.write(
    `${gib} GiB to two replicas: ${ratio.toFixed(2)} times bare pg_basebackup, plus ${small.seconds.toFixed(1)} s that do not depend on the size; memory ${growth.toFixed(2)} times that of an empty database\n`,
  );
  if (ratio > MAX_RATIO || growth > MAX_GROWTH) {
    process.stderr.write(`Allowed: ${MAX_RATIO} times, and ${MAX_GROWTH} times the memory.\n`);
    process.exitCode = 1;
  }
} finally {
  await world.stop();
  await destroyWorld(WORLD);
}
