import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeVolumesModifications } from '../../../src/aws/describe-volumes-modifications.ts';
import { queryEc2 } from '../../../src/aws/ec2-query.ts';
import { noCompute } from '../compute/compute.ts';
import { type Volume, type VolumeShape, World } from '../world.ts';
import { type QueryServer, serveQueries } from './server.ts';

const shape = (size: number): VolumeShape => ({ type: 'gp3', size, iops: 3000, throughput: 125 });
const volume = (id: string): Volume => ({
  id,
  region: 'us-east-1',
  zone: 'us-east-1a',
  tags: {},
  encrypted: true,
  kmsKey: null,
  snapshot: null,
  created: '',
  root: false,
  ...shape(20),
  modifications: [],
  attachment: null,
});

const directory = mkdtempSync(join(tmpdir(), 'pgca-query-'));
const world = new World(directory);
let server: QueryServer;
beforeEach(async () => {
  world.tables.volumes = { 'vol-0a': volume('vol-0a'), 'vol-0b': volume('vol-0b') };
  world.tables.forbidden = [];
  server = await serveQueries({ world, compute: noCompute });
});
afterEach(() => server.stop());
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const connect = (key: { id?: string; secret?: string; token?: string; region?: string } = {}) => ({
  region: key.region ?? 'us-east-1',
  endpoint: new URL(server.endpoint),
  credentials: async () => ({
    accessKeyId: key.id ?? 'lab',
    secretAccessKey: key.secret ?? 'lab',
    ...(key.token !== undefined && { sessionToken: key.token }),
  }),
});

describe('the most recent modification of each volume', () => {
  const now = Date.now();
  const modify = (
    fails: 'modifying' | null,
    { started = now - 60_000, ends = now + 60_000 } = {},
  ) =>
    world.tables.volumes['vol-0a']?.modifications.push({
      state: 'modifying',
      from: shape(20),
      to: shape(40),
      started,
      optimizes: started,
      ends,
      fails,
    });

  test.each([
    ['optimizing', () => modify(null)],
    ['completed', () => modify(null, { ends: now })],
    ['failed', () => modify('modifying')],
    ['modifying', () => modify(null, { started: now + 60_000 })],
  ] as const)('is described: %s', async (state, prepare) => {
    prepare();
    const found = await describeVolumesModifications(
      ['vol-0a', 'vol-0b'],
      connect({ token: 'a token' }),
    );
    expect(found).toEqual([
      {
        volume: 'vol-0a',
        state,
        progress: expect.any(Number),
        started: expect.any(Date),
        changes: [{ attribute: 'size', before: 20, after: 40 }],
      },
    ]);
  });

  test('of another region is not described', async () => {
    modify(null);
    expect(
      await describeVolumesModifications(['vol-0a'], connect({ region: 'us-west-2' })),
    ).toEqual([]);
  });

  test('does not exist for a volume that was never modified', async () => {
    const asked = queryEc2('DescribeVolumesModifications', { 'VolumeId.1': 'vol-0b' }, connect());
    await expect(asked).rejects.toMatchObject({
      code: 'InvalidVolumeModification.NotFound',
      message: "Modification for volume 'vol-0b' does not exist.",
    });
  });
});

describe('a request', () => {
  test.each([
    ['another secret', { secret: 'other' }],
    ['another key', { id: 'other' }],
  ])('with %s is refused', async (_name, key) => {
    const asked = describeVolumesModifications(['vol-0a'], connect(key));
    await expect(asked).rejects.toMatchObject({ code: 'AuthFailure' });
  });

  test('without the permission is refused', async () => {
    world.tables.forbidden = ['DescribeVolumesModifications'];
    const asked = describeVolumesModifications(['vol-0a'], connect());
    await expect(asked).rejects.toMatchObject({ code: 'UnauthorizedOperation' });
  });

  test('for an unknown operation is refused', async () => {
    const asked = queryEc2('RunInstances', {}, connect());
    await expect(asked).rejects.toMatchObject({ code: 'InvalidAction' });
  });
});
