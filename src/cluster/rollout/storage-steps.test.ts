import { describe, expect, test } from 'vitest';
import type { FileSystemObservation, NodeObservation } from '../observation.ts';
import { createDesired, createFileSystem, createHealthy } from '../testing/fixtures.ts';
import { changeNode, listRolloutSteps, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const running = createDesired();
const healthy = createHealthy(running);
const NAMES = ['node-1', 'node-2', 'node-3'];

const withStorage = (dataGib: number, rootGib = 16) =>
  createDesired({ storage: { dataGib, rootGib } });
/** A file system of `gib` GiB less `lacking` bytes, on a device of `device` GiB. */
const fileSystem = (gib: number, device = gib, lacking = 0): FileSystemObservation => ({
  ...createFileSystem(device),
  filesystemBytes: gib * GIB - lacking,
});
/** The nodes, some of whose file systems are changed. */
function change(
  names: readonly string[],
  storage: Partial<NodeObservation['storage']>,
): NodeObservation[] {
  return names.reduce(
    (nodes, name) =>
      changeNode(nodes, name, (node) => ({ storage: { ...node.storage, ...storage } })),
    healthy,
  );
}
const reloads = ['reload node-1 node-2 node-3'];
const grows = ['grow node-2 node-3', 'grow node-1'];

describe('the file systems of a cluster', () => {
  test('stay as they are while the requested size does', () => {
    expect(listRolloutSteps(healthy)).toEqual([]);
  });

  test.each<[string, NodeObservation[]]>([
    // As a pull request observes them: the merge grows the volumes first.
    ['whose volumes are to grow', healthy],
    ['whose volumes have grown', change(NAMES, { data: fileSystem(20, 40) })],
  ])(
    '%s grow on the replicas and then on the primary, before the settings follow',
    (_, observed) => {
      expect(listRolloutSteps(observed, withStorage(40))).toEqual([...grows, ...reloads]);
    },
  );

  test('grow on the nodes that lack it only', () => {
    const observed = change(['node-3'], { data: fileSystem(19, 20) });
    expect(listRolloutSteps(observed)).toEqual(['grow node-3']);
    expect(listRolloutSteps(change(['node-1'], { data: fileSystem(19, 20) }))).toEqual([
      'grow node-1',
    ]);
  });

  test.each<[string, Partial<NodeObservation['storage']>]>([
    ['the last block group of an ext4', { data: fileSystem(20, 20, 127 * MIB) }],
    [
      'that and what precedes the partition of a machine image',
      { root: fileSystem(16, 16, 258 * MIB) },
    ],
  ])('that lack %s are complete', (_, storage) => {
    expect(listRolloutSteps(change(NAMES, storage))).toEqual([]);
  });

  test('that lack a GiB are not complete, however large they are', () => {
    const observed = change(NAMES, { data: fileSystem(16_383, 16_384) });
    expect(listRolloutSteps(observed, withStorage(16_384))).toEqual([...grows, ...reloads]);
  });

  test('grow on the root volume', () => {
    expect(listRolloutSteps(healthy, withStorage(20, 24))).toEqual(grows);
  });

  test('on no device of their own are not observed, and nothing grows', () => {
    const observed = change(NAMES, { root: null });
    expect(listRolloutSteps(observed, withStorage(20, 24))).toEqual([]);
  });

  test('on volumes that are larger than requested are left alone', () => {
    const observed = change(NAMES, { data: fileSystem(20, 50) });
    expect(listRolloutSteps(observed, withStorage(40))).toEqual(reloads);
  });

  test('of a volume that is not mounted yet are not grown before', () => {
    const observed = changeNode(healthy, 'node-3', (node) => ({
      storage: { ...node.storage, data: null },
      volume: { ...node.volume, filesystem: null, ready: false },
      ...{ data: 'absent', postgres: null, record: null, container: null },
    }));
    const steps = listRolloutSteps(observed, withStorage(40));
    expect(steps.slice(0, 3)).toEqual(['prepare node-3', 'grow node-2', 'grow node-1']);
    expect(steps).toContain('clone node-3');
  });

  test('of a node that leaves are not grown', () => {
    const desired = { ...withStorage(40), nodes: running.nodes.slice(0, 2) };
    const steps = listRolloutSteps(healthy, { ...desired, leaving: running.nodes.slice(2) });
    expect(steps.filter((step) => step.startsWith('grow'))).toEqual(['grow node-2', 'grow node-1']);
  });

  test('grow before a server starts that may be down because its volume is full', () => {
    const observed = changeNode(healthy, 'node-1', stopped);
    expect(listRolloutSteps(observed, withStorage(40))).toEqual([...grows, 'start node-1']);
  });

  test('stay as they are in a failover and a replacement, which must not wait for EC2', () => {
    expect(listRolloutSteps(healthy, { ...withStorage(40), keepsStorage: true })).toEqual(reloads);
  });

  test('grow while a node cannot be reached, whose slot keeps WAL', () => {
    const observed = healthy.filter(({ name }) => name !== 'node-3');
    const result = rollout(observed, { ...withStorage(40), unreachable: ['node-3'] });
    if (result.kind !== 'steps') throw new Error(result.refusals.join());
    expect(result.steps.map(({ kind, nodes }) => `${kind} ${nodes}`)).toEqual([
      'grow node-2',
      'grow node-1',
      'reload node-1,node-2',
    ]);
  });
});
