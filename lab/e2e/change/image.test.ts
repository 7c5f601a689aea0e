import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { nightlyTest } from '../../nightly.ts';
import { moveTag } from '../../registry/registry.ts';
import { CONTAINER, LiveCluster, ROOT } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '1' };
const NEW = { ...INPUTS, 'image-tag': '17-2' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

/** The digests of the images that the nodes' containers run. */
async function readDigests(): Promise<string[]> {
  const images = await readFromContainers('{{.Config.Image}}');
  return images.map((image) => image.split('@')[1] ?? image);
}

/** Docker's description of each node's container. */
async function readFromContainers(format: string): Promise<string[]> {
  const found = Object.keys(cluster.listServers()).map((node) =>
    cluster.run(node, 'docker', 'inspect', '--format', format, CONTAINER),
  );
  return (await Promise.all(found)).map((line) => line.trim());
}

test('another image of the same major version rolls from node to node', async () => {
  const { '17': old, '17-2': wanted } = cluster.world.registry.digests;
  expect(await readDigests()).toEqual([old, old]);
  const { restarted, report } = await cluster.change('17 → 17-2', NEW);
  expect(await readDigests()).toEqual([wanted, wanted]);
  expect(restarted).toEqual(['node-1', 'node-2']);
  expect(report.downTogether).toEqual([]);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
});

/** The container as created by versions before `--init`; postgres is process 1 in it. */
const EARLIER_CONTAINER = `
label=$(docker inspect --format '{{index .Config.Labels "postgres-cluster.image"}}' ${CONTAINER})
image=$(docker inspect --format '{{.Config.Image}}' ${CONTAINER})
user=$(docker inspect --format '{{.Config.User}}' ${CONTAINER})
docker stop --time 60 ${CONTAINER}
docker rm --volumes ${CONTAINER}
docker run --detach --name ${CONTAINER} --network host --user $user --entrypoint postgres \\
  --stop-signal SIGINT --stop-timeout 300 --restart unless-stopped --shm-size 256m --cap-drop ALL \\
  --mount type=bind,source=${ROOT}/data,target=${ROOT}/data \\
  --mount type=bind,source=${ROOT}/etc,target=/etc/postgresql-cluster,readonly \\
  --health-cmd 'pg_isready --quiet --host=127.0.0.1' --health-interval 10s \\
  --label postgres-cluster.options=earlier --label "postgres-cluster.image=$label" $image \\
  -D ${ROOT}/data -c config_file=/etc/postgresql-cluster/postgresql.conf \\
  -c hba_file=/etc/postgresql-cluster/pg_hba.conf -c unix_socket_directories=/var/run/postgresql
timeout 60 sh -c 'until docker exec ${CONTAINER} pg_isready --quiet --host=127.0.0.1; do sleep 0.1; done'
`;

const readInits = () => readFromContainers('{{.HostConfig.Init}} {{.State.Health}}');

test('containers of an earlier version are recreated, one at a time and the primary last', async () => {
  const primary = await cluster.findPrimary();
  for (const node of [...(await cluster.listReplicas()), primary]) {
    await cluster.run(node, 'sh', '-euc', EARLIER_CONTAINER);
  }
  expect(await readInits()).not.toContain('true <nil>');
  const { restarted, report } = await cluster.change('options of the container', NEW);
  expect(restarted).toEqual(['node-1', 'node-2']);
  expect(await readInits()).toEqual(['true <nil>', 'true <nil>']);
  expect(report.downTogether).toEqual([]);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
});

test('a failing orphan process in the container does not count as a crash of the server', async () => {
  const primary = await cluster.findPrimary();
  // The postmaster survives a crash; its children do not.
  const READ = `SELECT pg_postmaster_start_time() || ' ' || pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`;
  const before = await cluster.ask(primary, READ);
  const { report } = await cluster.underLoad(async (load) => {
    await cluster.run(
      primary,
      'docker',
      'exec',
      CONTAINER,
      'sh',
      '-c',
      '(sleep 1; exit 2)& exit 0',
    );
    await sleep(1_500);
    await load.awaitCommits(50);
  });
  cluster.requireNoProblems(report);
  expect(report.unknown).toEqual([]);
  expect(await cluster.ask(primary, READ)).toBe(before);
  const log = await cluster.run(primary, 'sh', '-c', `docker logs ${CONTAINER} 2>&1`);
  expect(log).not.toMatch(/exited with exit code 2|because of crash/);
});

test('a new node gets the image of the other nodes, even if the tag has moved', async () => {
  const before = await readDigests();
  const moved = await moveTag(cluster.world.registry, { tag: '17-2', to: '17' });
  expect(before).not.toContain(moved);
  const { result } = await cluster.change('a third node after the tag moved', {
    ...NEW,
    'replica-count': '2',
  });
  const digests = await readDigests();
  expect(digests).toHaveLength(3);
  expect(new Set(digests).size).toBe(1);
  expect(Object.values(cluster.readRoles(result)).filter((role) => role !== 'primary')).toEqual([
    'replica streaming',
    'replica streaming',
  ]);
});

const GROWN = { ...NEW, 'replica-count': '2' };

test('a digest in the tag selects that image, wherever the tag points by then', async () => {
  const { '17': old = '' } = cluster.world.registry.digests;
  expect(await readDigests()).not.toContain(old);
  const { restarted, report } = await cluster.change('17-2 → 17 by digest', {
    ...GROWN,
    'image-tag': `17-2@${old}`,
  });
  expect(await readDigests()).toEqual([old, old, old]);
  expect(restarted).toEqual(['node-1', 'node-2', 'node-3']);
  expect(report.downTogether).toEqual([]);
});

test('another major version is refused, on the pull request and on the merge', async () => {
  await cluster.refuse(
    '17 → 18',
    { ...GROWN, 'image-tag': '18' },
    { reason: /PostgreSQL 18.*PostgreSQL 17|PostgreSQL 17.*PostgreSQL 18/, review: true },
  );
});

nightlyTest('another C library is refused, on the pull request and on the merge', async () => {
  await cluster.refuse(
    'glibc → musl',
    { ...GROWN, 'image-tag': '17-alpine' },
    { reason: /musl.*glibc|glibc.*musl/, review: true },
  );
});

test('another C library that only the image itself reveals is refused before anything stops', async () => {
  await cluster.refuse(
    'glibc → musl, untold',
    { ...GROWN, 'image-tag': '17-relabelled' },
    { reason: /musl.*glibc|glibc.*musl/ },
  );
});
