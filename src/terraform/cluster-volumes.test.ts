import { expect, test } from 'vitest';
import { listVolumes } from './cluster-volumes.ts';
import { parsePlan } from './plan-document.ts';

const entry = (type: string, name: string, before: unknown, extra = {}) => ({
  address: `${type}.${name}["2"]`,
  mode: 'managed',
  type,
  name,
  index: '2',
  change: { actions: ['no-op'], before },
  ...extra,
});
const list = (...resource_changes: object[]) =>
  listVolumes(parsePlan({ format_version: '1.2', resource_changes }));

test('the volumes of a node are its data volume and its root volume', () => {
  expect(
    list(
      entry('aws_ebs_volume', 'data', { id: 'vol-0a' }),
      entry('aws_instance', 'node', { root_block_device: [{ volume_id: 'vol-0b' }] }),
    ),
  ).toEqual([
    { node: 'node-2', kind: 'data', id: 'vol-0a' },
    { node: 'node-2', kind: 'root', id: 'vol-0b' },
  ]);
});

test.each<[string, object]>([
  ['a new volume', entry('aws_ebs_volume', 'data', null)],
  ['an instance without a root volume', entry('aws_instance', 'node', { root_block_device: [] })],
  ['an id that AWS does not use', entry('aws_ebs_volume', 'data', { id: 'vol-0a --x' })],
  [
    'a volume that was left over',
    entry('aws_ebs_volume', 'data', { id: 'vol-0a' }, { deposed: '1' }),
  ],
  ['another volume', entry('aws_ebs_volume', 'logs', { id: 'vol-0a' })],
  ['a node of another name', entry('aws_ebs_volume', 'data', { id: 'vol-0a' }, { index: 'x' })],
])('%s is not listed', (_name, resource) => {
  expect(list(resource)).toEqual([]);
});
