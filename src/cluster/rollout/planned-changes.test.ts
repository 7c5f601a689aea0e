import { describe, expect, test } from 'vitest';
import type { DesiredCluster } from '../desired.ts';
import type { AppliedDatabase } from '../settings/change.ts';
import { createDesired } from '../testing/fixtures.ts';
import { listPlannedChanges, type PlannedNodes } from './planned-changes.ts';

const NOW = createDesired();
const APPLIED: AppliedDatabase = {
  image: NOW.image,
  settings: NOW.settings,
  synchronousReplicas: 0,
  primary: 'node-3',
};
const NOTHING: PlannedNodes = { created: [], resized: [], fresh: [] };

function tell(
  desired: Partial<DesiredCluster> & { size?: number },
  {
    applied = {},
    planned = {},
  }: { applied?: Partial<AppliedDatabase>; planned?: Partial<PlannedNodes> } = {},
) {
  return listPlannedChanges(createDesired(desired), {
    applied: { ...APPLIED, ...applied },
    planned: { ...NOTHING, ...planned },
  });
}

describe('the last request', () => {
  test.each<[string, ReturnType<typeof tell>, ReturnType<typeof listPlannedChanges>]>([
    ['nothing else', tell({}), []],
    [
      'settings, among them one that is taken out',
      tell({ settings: { max_connections: '200' } }),
      [{ kind: 'settings', count: 2 }],
    ],
    [
      'an image',
      tell({ image: 'postgres:17.7' }, { applied: { image: 'postgres:17.6' } }),
      [{ kind: 'image', before: 'postgres:17.6', after: 'postgres:17.7', obstacle: null }],
    ],
    [
      'an image of another major version',
      tell({ image: 'postgres:18-alpine' }),
      [{ kind: 'image', before: 'postgres:17', after: 'postgres:18-alpine', obstacle: 'major' }],
    ],
    [
      'an image of another C library',
      tell({ image: 'postgres:17-alpine' }),
      [{ kind: 'image', before: 'postgres:17', after: 'postgres:17-alpine', obstacle: 'libc' }],
    ],
    [
      'images whose tags tell nothing',
      tell({ image: 'acme/db:new' }, { applied: { image: 'acme/db:old' } }),
      [{ kind: 'image', before: 'acme/db:old', after: 'acme/db:new', obstacle: null }],
    ],
    [
      'replicas to wait for, which are no setting of the team',
      tell({ synchronousReplicas: 1 }),
      [{ kind: 'synchronous', before: 0, after: 1 }],
    ],
    ['another primary', tell({ primary: 'node-2' }), [{ kind: 'primary', node: 'node-2' }]],
    ['the primary that was asked for before', tell({ primary: 'node-3' }), []],
    ['whichever primary', tell({ primary: null }), []],
  ])('%s', (_, foreseen, expected) => {
    expect(foreseen).toEqual(expected);
  });

  test('is not known from the state of an older release', () => {
    const desired = createDesired({ image: 'postgres:18', primary: 'node-2' });
    expect(listPlannedChanges(desired, { applied: null, planned: NOTHING })).toEqual([
      { kind: 'unrecorded' },
    ]);
  });
});

describe('what Terraform does to nodes', () => {
  const [last] = NOW.nodes.slice(2);
  test.each<[string, ReturnType<typeof tell>, ReturnType<typeof listPlannedChanges>]>([
    [
      'a node more, for which all list one more, though the team asked for no setting',
      tell(
        { size: 4, synchronousReplicas: 1 },
        {
          applied: { synchronousReplicas: 1 },
          planned: { created: ['node-4'], fresh: ['node-4'] },
        },
      ),
      [{ kind: 'clone', nodes: ['node-4'] }],
    ],
    [
      'another instance around data that is there',
      tell({}, { planned: { created: ['node-2', 'node-3'], fresh: ['node-3'] } }),
      [
        { kind: 'clone', nodes: ['node-3'] },
        { kind: 'replace', nodes: ['node-2'] },
      ],
    ],
    [
      'another type',
      tell({ instanceType: 't3.large' }, { planned: { resized: ['node-1', 'node-2'] } }),
      [{ kind: 'resize', nodes: ['node-1', 'node-2'], instanceType: 't3.large' }],
    ],
    [
      'a node less',
      tell({ size: 2, leaving: last ? [last] : [] }),
      [{ kind: 'destroy', nodes: ['node-3'] }],
    ],
  ])('%s', (_, foreseen, expected) => {
    expect(foreseen).toEqual(expected);
  });
});
