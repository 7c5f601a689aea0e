import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ProviderClient } from './provider-client.ts';
import type { Fields } from './values.ts';

const HOUR = 3600 * 1000;
const disk: Fields = { availability_zone: 'us-east-1a', size: 20, type: 'gp3' };

let aws: ProviderClient;
beforeEach(async () => {
  aws = await ProviderClient.open();
});
afterEach(() => aws.close());

const resize = (size: number, prior: Fields) =>
  aws.apply('aws_ebs_volume', { ...disk, size }, prior);

describe('a volume', () => {
  test.each(['modifying', 'optimizing'] as const)(
    'is not modified while it is %s',
    async (state) => {
      Object.assign(aws.tables.ebs, { [`${state}Ms`]: HOUR });
      const grown = await resize(30, await aws.apply('aws_ebs_volume', disk));
      await expect(resize(40, grown)).rejects.toThrow(
        `IncorrectModificationState: Volume ${grown.id} cannot be modified in modification state ${state.toUpperCase()}`,
      );
      aws.pass(2 * HOUR);
      Object.assign(aws.tables.ebs, { modifyingMs: 0, optimizingMs: 0 });
      expect(await resize(40, grown)).toMatchObject({ size: 40 });
    },
  );

  test('is modified four times within 24 hours', async () => {
    let state = await aws.apply('aws_ebs_volume', disk);
    for (const size of [21, 22, 23, 24]) {
      state = await resize(size, state);
      aws.pass(HOUR);
    }
    await expect(resize(25, state)).rejects.toThrow('VolumeModificationRateExceeded');
    // 24 hours after the first one.
    aws.pass(20 * HOUR);
    expect(await resize(25, state)).toMatchObject({ size: 25 });
    await expect(resize(26, state)).rejects.toThrow(/Exceeded|IncorrectModificationState/);
  });

  test('that is modifying for long keeps its old size, which the state records without an error', async () => {
    aws.tables.ebs.modifyingMs = HOUR;
    const grown = await resize(30, await aws.apply('aws_ebs_volume', disk));
    expect(grown).toMatchObject({ size: 20 });
    aws.pass(HOUR);
    expect(await aws.refresh('aws_ebs_volume', grown)).toMatchObject({ size: 30 });
  });

  test.each([
    ['modifying', 20],
    ['optimizing', 30],
  ] as const)(
    'whose modification fails while %s has its old size again',
    async (state, recorded) => {
      const before = await aws.apply('aws_ebs_volume', disk);
      aws.tables.ebs.failing[String(before.id)] = state;
      const grown = await resize(30, before);
      expect(grown).toMatchObject({ size: recorded });
      aws.pass(HOUR);
      expect(await aws.refresh('aws_ebs_volume', grown)).toMatchObject({ size: 20 });
      expect(await resize(30, before)).toMatchObject({ size: 30 });
    },
  );

  test.each<[string, Fields, string]>([
    ['80,001 IOPS', { size: 200, iops: 80001 }, 'must be between 3000 and 80000'],
    ['2,001 MiB/s', { size: 200, iops: 80000, throughput: 2001 }, 'must be between 125 and 2000'],
    ['65 TiB', { size: 65 * 1024 }, 'between 1 and 65536 GiB'],
    ['no size', { size: 0 }, 'between 1 and 65536 GiB'],
    ['more than 500 IOPS per GiB', { size: 20, iops: 10001 }, 'Iops to volume size ratio'],
    ['more than 0.25 MiB/s per IOPS', { iops: 3000, throughput: 751 }, 'to iops ratio'],
  ])('of %s is refused', async (_name, change, words) => {
    await expect(aws.apply('aws_ebs_volume', { ...disk, ...change })).rejects.toThrow(words);
  });

  test.each<[string, Fields]>([
    ['64 TiB', { size: 65536 }],
    ['80,000 IOPS and 2,000 MiB/s', { size: 160, iops: 80000, throughput: 2000 }],
    ['1 GiB with the least rates', { size: 1 }],
  ])('of %s is made', async (_name, change) => {
    // The schema of the provider limits the throughput on its own.
    await expect(aws.apply('aws_ebs_volume', { ...disk, ...change })).resolves.toMatchObject(
      change,
    );
  });
});

describe('a root volume', () => {
  const launch = async (size: number) => ({
    ...(await aws.makeNetwork()).launch,
    root_block_device: [{ volume_size: size, volume_type: 'gp3' }],
  });
  const root = (size: number) => ({
    root_block_device: [{ volume_size: size, volume_type: 'gp3' }],
  });

  test('grows with its instance', async () => {
    const config = await launch(8);
    const node = await aws.apply('aws_instance', config);
    const grown = await aws.apply('aws_instance', { ...config, ...root(12) }, node);
    expect(grown).toMatchObject({ id: node.id, root_block_device: [{ volume_size: 12 }] });
  });

  test('whose modification fails has its old size, and the state the new one', async () => {
    const config = await launch(8);
    const node = await aws.apply('aws_instance', config);
    const id = Object.values(aws.tables.volumes)[0]?.id ?? '';
    aws.tables.ebs.failing[id] = 'modifying';
    const wanted = { ...config, ...root(12) };
    const { state, problem } = await aws.attempt('aws_instance', wanted, node);
    expect(problem).toBe(
      `waiting for EC2 Instance (${node.id}) volume (${id}) update: unexpected state 'failed', wanted target 'completed, optimizing'. last error: `,
    );
    expect(state).toMatchObject({ root_block_device: [{ volume_size: 12 }] });
    expect(await aws.refresh('aws_instance', state)).toMatchObject({
      root_block_device: [{ volume_size: 8 }],
    });
  });
});
