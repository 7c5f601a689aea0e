import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONTAINER, LiveCluster, ROOT } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '1' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

const shell = (script: string) => cluster.run('node-2', 'sh', '-euc', script);

/** Waits until node-2 answers again. */
async function awaitReplica(): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ('node-2' in (await cluster.readStarts())) return;
    await sleep(100);
  }
  throw new Error('node-2 does not answer after 10 s.');
}

describe('a deploy is refused on the pull request and on the merge for', () => {
  test.each([
    ['another region', { region: 'us-west-2' }, /region/],
    ['another cluster name', { 'cluster-name': 'orders' }, /cluster-name/],
    [
      'a smaller volume',
      { 'data-volume-size': '10' },
      /data-volume-size: 10 GiB is smaller .*node-1 \(20 GiB\), node-2.* cannot shrink/,
    ],
    [
      'another network',
      { 'vpc-cidr': '10.43.0.0/16' },
      /vpc-cidr: the VPC .* which cannot become 10\.43\.0\.0\/16/,
    ],
    // A t3.small has 2 GiB.
    [
      'a locale that the image lacks',
      { settings: "lc_messages = 'de_DE.UTF-8'" },
      /lc_messages = "de_DE\.UTF-8" is not allowed: postgres:17 has no such locale/,
    ],
    ['more shared_buffers than fit', { settings: 'shared_buffers = 1800MB' }, /shared_buffers.*75/],
  ])('%s', async (name, change, reason) => {
    await cluster.refuse(name, { ...INPUTS, ...change }, { reason, review: true });
  });
});

describe('a deploy is refused and changes nothing for', () => {
  test('a replica whose next start would lower a setting below the primary', async () => {
    await cluster.ask('node-2', 'ALTER SYSTEM SET max_connections = 50');
    await cluster.refuse('held by ALTER SYSTEM', INPUTS, {
      reason:
        /node-2: ALTER SYSTEM holds max_connections at 50 there, below .*RESET max_connections/,
      review: true,
    });
    await cluster.ask('node-2', 'ALTER SYSTEM RESET max_connections');
    await cluster.requireNoChange(INPUTS);
  });

  test('a node of another cluster', async () => {
    const image = await cluster.run(
      'node-2',
      ...['docker', 'inspect', '--format', '{{.Config.Image}}', CONTAINER],
    );
    // It starts as a replica that does not find its primary.
    await shell(
      `docker stop --time 60 ${CONTAINER}
      mv ${ROOT}/data ${ROOT}/kept
      install -d -o 999 -g 999 -m 700 ${ROOT}/data
      docker run --rm --network none --user 999:999 -v ${ROOT}/data:/d --entrypoint initdb ${image} --no-sync -D /d
      install -o 999 -g 999 -m 600 /dev/null ${ROOT}/data/standby.signal
      docker start ${CONTAINER}`,
    );
    await sleep(1_000);
    await cluster.requireRefusal(INPUTS, { reason: /system identifier/ });
    await shell(
      `docker stop --time 60 ${CONTAINER}; rm -rf ${ROOT}/data; mv ${ROOT}/kept ${ROOT}/data; docker start ${CONTAINER}`,
    );
    await awaitReplica();
    await cluster.change('the node is back', INPUTS);
  });

  test('two primaries', async () => {
    await cluster.ask('node-2', 'SELECT pg_promote()');
    await cluster.requireRefusal(INPUTS, { reason: [/node-1/, /node-2/, /both primary/] });
  });

  test('a node whose timeline is ahead', async () => {
    await shell(
      `install -o 999 -g 999 -m 600 /dev/null ${ROOT}/data/standby.signal; docker restart --time 60 ${CONTAINER}`,
    );
    await awaitReplica();
    expect(await cluster.ask('node-2', 'SELECT pg_is_in_recovery()')).toBe('t');
    await cluster.requireRefusal(INPUTS, { reason: /timeline.*ahead/ });
  });
});
