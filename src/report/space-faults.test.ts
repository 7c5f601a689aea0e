import { describe, expect, test } from 'vitest';
import type { FileSystemObservation, NodeObservation } from '../cluster/observation.ts';
import { NOT_PROVED } from '../cluster/proof.ts';
import { createDesired, createHealthy } from '../cluster/testing/fixtures.ts';
import { createProof } from './fixtures/report.ts';
import { describeIdleSlots, describeSpace, SLACK_PERCENT } from './space-faults.ts';

const GIB = 1024 ** 3;
const [PRIMARY] = createHealthy(createDesired()) as [NodeObservation];

/** A file system of `capacity` GiB of which `used` are used. */
const volume = (used: number, capacity = 100): FileSystemObservation => ({
  deviceBytes: capacity * GIB,
  filesystemBytes: capacity * GIB,
  capacityBytes: capacity * GIB,
  usedBytes: used * GIB,
  freeBytes: (capacity - used) * GIB,
});

const withStorage = (storage: Partial<NodeObservation['storage']>): NodeObservation => ({
  ...PRIMARY,
  storage: { ...PRIMARY.storage, ...storage },
});

/** The primary with a slot that retains `retained` GiB; `limit`: max_slot_wal_keep_size in MB. */
function withSlot(
  retained: number,
  { limit = '-1', used = 60, name = 'node_2', walStatus = 'extended' } = {},
): NodeObservation {
  const node = withStorage({ data: volume(used) });
  const { postgres } = node;
  if (postgres === null) throw new Error('the fixture does not run');
  const row = { ...postgres.settings.max_slot_wal_keep_size, setting: limit, unit: 'MB' };
  return {
    ...node,
    postgres: {
      ...postgres,
      settings: { ...postgres.settings, max_slot_wal_keep_size: row } as typeof postgres.settings,
      slots: [{ name, active: false, walStatus, retainedBytes: retained * GIB }],
    },
  };
}

const kept = { name: 'data.old-20261126T101500Z', bytes: 30 * GIB, formerPrimary: true };
const FULL_MB = String(200 * 1024);

describe('space', () => {
  test.each<[string, NodeObservation, RegExp | null]>([
    ['a volume below the threshold', withStorage({ data: volume(79.9) }), null],
    ['a volume that is not mounted', withStorage({ data: null, root: null }), null],
    [
      'a volume at the threshold',
      withStorage({ data: volume(80) }),
      /^node-1: 80\.0 of 100\.0 GiB \(80 %\) of the data volume are used \(storage-alert-percent: 80\)\. .* Raise data-volume-size, which grows it while PostgreSQL runs, or delete data\.$/,
    ],
    [
      'a full volume with a kept directory',
      withStorage({ data: volume(91), kept: [kept] }),
      /\(91 %\) .* 30\.0 GiB of it are data directories that were kept; command: discard with discard: node-1 deletes them\.$/,
    ],
    [
      'a full root volume',
      withStorage({ root: volume(95) }),
      /^node-1: 95\.0 of 100\.0 GiB \(95 %\) of the root volume are used/,
    ],
    ['a slot that retains less than is free', withSlot(39), null],
    [
      'a slot that retains as much as is free',
      withSlot(40),
      /^node-1: the slot node_2 retains 40\.0 GiB of WAL on the data volume, where 40\.0 GiB are free, and max_slot_wal_keep_size does not bound it\. .* Bring node-2 back, or lower replica-count/,
    ],
    [
      'a slot whose limit is larger than the volume',
      withSlot(40, { limit: FULL_MB }),
      /where 40\.0 GiB are free, and max_slot_wal_keep_size lets it retain 200\.0 GiB\./,
    ],
    ['a slot whose limit keeps the volume from filling', withSlot(40, { limit: '61440' }), null],
    ['a slot at 79 % of its limit', withSlot(7.9, { limit: '10240' }), null],
    [
      'a slot at 80 % of its limit',
      withSlot(8, { limit: '10240' }),
      /retains 8\.0 GiB of WAL on the data volume, and max_slot_wal_keep_size allows 10\.0 GiB\. .* node-2 can no longer follow and is cloned again\./,
    ],
    [
      "another tool's slot",
      withSlot(8, { limit: '10240', name: 'backup' }),
      /its consumer loses changes\. .* SELECT pg_drop_replication_slot\('backup'\)\.$/,
    ],
    ['a lost slot', withSlot(40, { walStatus: 'lost' }), null],
  ])('%s', (_, node, expected) => {
    const faults = describeSpace(node, { storageAlertPercent: 80 });
    if (expected === null) expect(faults).toEqual([]);
    else expect(faults).toEqual([expect.stringMatching(expected)]);
  });

  test('after the proof, the slots of replicas that stream are left out', () => {
    const alert = { storageAlertPercent: 80, proof: [createProof(1), createProof(2)] };
    expect(describeIdleSlots([withSlot(40)], alert)).toEqual([]);
    const away = { ...alert, proof: [createProof(1), createProof(2, { state: NOT_PROVED })] };
    expect(describeIdleSlots([withSlot(40)], away)).toHaveLength(1);
    expect(describeIdleSlots([withSlot(40, { name: 'backup' })], alert)).toHaveLength(1);
  });

  test.each<[string, NodeObservation, number]>([
    ['a volume just below the threshold', withStorage({ data: volume(75) }), 1],
    ['a volume below the slack', withStorage({ data: volume(74.9) }), 0],
    ['a slot just below the free space', withSlot(38), 1],
    ['a slot below the slack', withSlot(37), 0],
    ['a slot just below its limit', withSlot(7.5, { limit: '10240' }), 1],
  ])('while an issue is open: %s', (_, node, count) => {
    const alert = { storageAlertPercent: 80 };
    expect(describeSpace(node, alert)).toEqual([]);
    const faults = describeSpace(node, { ...alert, slackPercent: SLACK_PERCENT });
    expect(faults).toHaveLength(count);
  });
});
