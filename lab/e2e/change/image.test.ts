import { afterAll, beforeAll, expect, test } from 'vitest';
import { PAUSE_LIMIT_MS } from '../../load.ts';
import { moveTag } from '../../registry/registry.ts';
import { CONTAINER, LiveCluster } from './cluster.ts';

const INPUTS = { 'instance-type': 't3.small', 'replica-count': '1' };
const NEW = { ...INPUTS, 'image-tag': '17-2' };

let cluster: LiveCluster;
beforeAll(async () => {
  cluster = await LiveCluster.create(INPUTS);
});
afterAll(() => cluster?.close());

/** The images that the nodes' containers run, by digest. */
async function readDigests(): Promise<string[]> {
  const images = Object.keys(cluster.listServers()).map((node) =>
    cluster.run(node, 'docker', 'inspect', '--format', '{{.Config.Image}}', CONTAINER),
  );
  return (await Promise.all(images)).map((image) => image.split('@')[1] ?? image);
}

test('another image of the same major rolls from node to node', async () => {
  const { '17': old, '17-2': wanted } = cluster.world.registry.digests;
  expect(await readDigests()).toEqual([old, old]);
  const { restarted, report } = await cluster.change('17 → 17-2', NEW);
  expect(await readDigests()).toEqual([wanted, wanted]);
  expect(restarted).toEqual(['node-1', 'node-2']);
  expect(report.downTogether).toEqual([]);
  expect(report.longestGapMs).toBeLessThan(PAUSE_LIMIT_MS);
});

test('a tag that moved does not give a new node another image than the others have', async () => {
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

test('a digest in the tag brings that image, whatever the tag stands for by now', async () => {
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

test('another C library is refused, on the pull request and on the merge', async () => {
  await cluster.refuse(
    'glibc → musl',
    { ...GROWN, 'image-tag': '17-alpine' },
    { reason: /musl.*glibc|glibc.*musl/, review: true },
  );
});

test('another C library is refused before anything stops, where only the image itself tells', async () => {
  await cluster.refuse(
    'glibc → musl, untold',
    { ...GROWN, 'image-tag': '17-relabelled' },
    { reason: /musl.*glibc|glibc.*musl/ },
  );
});
