import { describe, expect, test } from 'vitest';
import {
  type ClusterVolume,
  judgeModifications,
  type VolumeModification,
} from './volume-modification.ts';

const now = new Date('2026-11-26T16:00:00Z');
const volume: ClusterVolume = { node: 'node-2', kind: 'data', id: 'vol-0a', isModified: true };
const last: VolumeModification = {
  volume: 'vol-0a',
  state: 'optimizing',
  progress: 40,
  started: new Date('2026-11-26T14:03:20Z'),
  changes: [{ attribute: 'size', before: 20, after: 40 }],
};
const judge = (volumes: readonly ClusterVolume[], modifications: readonly VolumeModification[]) =>
  judgeModifications(volumes, { modifications, region: 'us-east-1', now });

describe('a plan that modifies a volume', () => {
  test.each<[string, Partial<VolumeModification>, string]>([
    [
      'optimizing',
      {},
      'vol-0a of node-2 (data) is optimizing, 40 %, since 2026-11-26 14:03 UTC (size 20 → 40 GiB).',
    ],
    [
      'modifying, without a percentage and a difference',
      { state: 'modifying', progress: null, changes: [] },
      'vol-0a of node-2 (data) is modifying, since 2026-11-26 14:03 UTC.',
    ],
    [
      'optimizing since two days',
      { started: new Date('2026-11-24T14:03:20Z') },
      'is optimizing, 40 %, since 2026-11-24 14:03 UTC',
    ],
  ])('is refused while it is %s', (_name, change, words) => {
    const { refusals, notes } = judge([volume], [{ ...last, ...change }]);
    expect(notes).toEqual([]);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toContain(words);
    expect(refusals[0]).toContain(
      'aws ec2 describe-volumes-modifications --region us-east-1 --volume-ids vol-0a',
    );
  });

  test.each<[string, Partial<VolumeModification>, string[]]>([
    [
      'completed today',
      { state: 'completed', progress: 100 },
      [
        'vol-0a of node-2 (data) was last modified at 2026-11-26 14:03 UTC (size 20 → 40 GiB). EBS modifies a volume at most four times in 24 hours; EC2 tells only the last one, so an earlier one of today may be missing here.',
      ],
    ],
    [
      'completed 24 hours ago',
      { state: 'completed', started: new Date('2026-11-25T16:00:00Z') },
      [],
    ],
    [
      'failed today',
      { state: 'failed' },
      [
        expect.stringContaining(
          'vol-0a of node-2 (data): its modification of 2026-11-26 14:03 UTC (size 20 → 40 GiB) failed, and EBS advises to try again.',
        ),
      ],
    ],
  ])('is allowed after a modification that %s', (_name, change, notes) => {
    expect(judge([volume], [{ ...last, ...change }])).toEqual({ refusals: [], notes });
  });

  test('is allowed for a volume that was never modified', () => {
    expect(judge([volume], [])).toEqual({ refusals: [], notes: [] });
  });
});

test('a volume that the plan leaves as it is refuses nothing, but is named while it is busy', () => {
  const other = { ...volume, node: 'node-3', id: 'vol-0b', isModified: false };
  const busy = { ...last, volume: 'vol-0b' };
  const done = { ...last, state: 'completed' as const };
  expect(judge([{ ...volume, isModified: false }, other], [busy, done])).toEqual({
    refusals: [],
    notes: [expect.stringContaining('vol-0b of node-3 (data) is optimizing')],
  });
});
