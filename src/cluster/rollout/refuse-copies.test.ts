import { describe, expect, test } from 'vitest';
import type { FileSystemObservation, NodeObservation, StorageObservation } from '../observation.ts';
import { createDesired, createHealthy, createNode } from '../testing/fixtures.ts';
import { changeNode, listRefusals, stopped } from '../testing/rollout-fixtures.ts';
import { rollout } from './rollout.ts';

const GIB = 1024 ** 3;
const desired = createDesired({
  size: 2,
  storage: { dataGib: 100, rootGib: 16 },
});

function volume(gib: number, usedGib: number, deviceGib = gib): FileSystemObservation {
  return {
    deviceBytes: deviceGib * GIB,
    filesystemBytes: gib * GIB,
    capacityBytes: gib * GIB,
    usedBytes: usedGib * GIB,
    freeBytes: (gib - usedGib) * GIB,
  };
}
const storage = (
  data: FileSystemObservation | null,
  kept: StorageObservation['kept'] = [],
): Pick<NodeObservation, 'storage'> => ({ storage: { data, root: null, kept } });
const kept = (gib: number) => ({
  name: 'data.old-20261126T101500Z',
  bytes: gib * GIB,
  formerPrimary: true,
});
/** Data that can never follow: the primary no longer has the WAL. */
const outdated = (node: NodeObservation): Partial<NodeObservation> => ({
  ...stopped(node),
  data: 'complete',
});
const blank = (): Partial<NodeObservation> => ({
  data: 'absent',
  record: null,
  postgres: null,
  container: null,
  standby: false,
});

/** node-2 has to be cloned from node-1, which uses 60 of 100 GiB. */
function observe(
  change: (node: NodeObservation) => Partial<NodeObservation>,
  source: FileSystemObservation | null = volume(100, 60),
): NodeObservation[] {
  const healthy = changeNode(createHealthy(desired), 'node-1', ({ postgres }) => ({
    ...storage(source),
    postgres: postgres && {
      ...postgres,
      slots: postgres.slots.map((slot) => ({ ...slot, walStatus: 'lost' })),
    },
  }));
  return changeNode(healthy, 'node-2', change);
}
const refuse = (...options: Parameters<typeof observe>) =>
  listRefusals(rollout(observe(...options), desired));

describe('a copy', () => {
  test('that fits is not refused', () => {
    expect(refuse((node) => ({ ...outdated(node), ...storage(volume(100, 36)) }))).toEqual([]);
  });

  test('that would not fit beside old data is refused, with every way out', () => {
    expect(refuse((node) => ({ ...outdated(node), ...storage(volume(100, 60)) }))).toEqual([
      'node-2: a copy of node-1 takes up to 60.0 GiB, and 3.0 GiB for the WAL written meanwhile, and its data volume has room for 40.0 GiB beside the present data, which is kept until the copy streams. Nothing was changed. Set data-volume-size to at least 124; or run the action with command: discard, discard: node-2 and discard-data: true, which deletes the present data (60.0 GiB) before the copy begins; or run the action with command: replace, replace: node-2 and replace-volume: true, which gives it a blank data volume. Then deploy again.',
    ]);
  });

  test('that would fit without directories that were set aside says what to delete', () => {
    const [refusal] = refuse((node) => ({
      ...outdated(node),
      ...storage(volume(100, 60), [kept(35)]),
    }));
    expect(refusal).toContain(
      'or run the action with command: discard and discard: node-2, which deletes data.old-20261126T101500Z (35.0 GiB, data of a former primary that may hold rows no other node has); or',
    );
    expect(refusal).not.toContain('discard-data');
  });

  test('that fits on no volume of this size can only have a larger one', () => {
    const small = { ...desired, storage: { ...desired.storage, dataGib: 50 } };
    const nodes = observe(() => ({ ...blank(), ...storage(volume(50, 1)) }));
    const [refusal] = listRefusals(rollout(nodes, small));
    expect(refusal).toMatch(
      /has room for 49\.0 GiB\. Nothing was changed\. Set data-volume-size to at least 65\. Then deploy again\.$/,
    );
  });

  test('fits where the volume grows first: its device is larger, or a larger one is asked for', () => {
    const small = { ...desired, storage: { ...desired.storage, dataGib: 50 } };
    const on = (data: FileSystemObservation) => observe(() => ({ ...blank(), ...storage(data) }));
    expect(listRefusals(rollout(on(volume(50, 1)), small))).toHaveLength(1);
    expect(listRefusals(rollout(on(volume(50, 1)), desired))).toEqual([]);
    expect(listRefusals(rollout(on(volume(50, 1, 100)), small))).toEqual([]);
  });

  test('may use what an unfinished copy takes, which is deleted first', () => {
    const change = { ...blank(), data: 'partial' as const };
    expect(refuse(() => ({ ...change, ...storage(volume(100, 80)) }))).toEqual([]);
    expect(refuse(() => ({ ...change, ...storage(volume(100, 80), [kept(50)]) }))).toHaveLength(1);
  });

  test('that runs is not refused, and neither is one to or from a volume of unknown size', () => {
    const work = {
      ...{ kind: 'clone' as const, state: 'running' as const, problem: null, seconds: 1 },
      ...{ source: createNode(1).privateAddress, doneBytes: 50 * GIB, totalBytes: null },
    };
    const full = (node: NodeObservation) => ({ ...outdated(node), ...storage(volume(100, 99)) });
    expect(refuse((node) => ({ ...full(node), work }))).toEqual([]);
    expect(refuse((node) => ({ ...full(node), work: { ...work, source: '10.9.9.9' } }))).toEqual([
      expect.stringMatching(/has room for 51\.0 GiB/),
    ]);
    expect(refuse((node) => ({ ...full(node), ...storage(null) }))).toEqual([]);
    expect(refuse(full, null)).toEqual([]);
  });

  test('of a node that was itself copied in the same rollout is measured as well', () => {
    const three = createDesired({ size: 3, clone: { from: 'replica', maxRate: 1024 } });
    const nodes = changeNode(
      changeNode(createHealthy(three), 'node-1', () => storage(volume(20, 15))),
      'node-2',
      () => ({ ...blank(), ...storage(volume(20, 0)) }),
    );
    const all = changeNode(nodes, 'node-3', () => ({ ...blank(), ...storage(volume(20, 6)) }));
    expect(listRefusals(rollout(all, three))).toEqual([
      expect.stringMatching(/^node-3: a copy of node-2 takes up to 15\.0 GiB/),
    ]);
  });
});
