import { describe, expect, test } from 'vitest';
import { MINIMAL_FILE, readInputsFromFile } from './cluster-file-fixtures.ts';
import { readStep } from './input-fixtures.ts';

const KEY = 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const ALIAS = 'arn:aws:kms:us-east-1:123456789012:alias/team/postgres';

describe('the inputs of volumes and copies', () => {
  test('have the defaults of existing clusters', () => {
    expect(readStep().inputs?.spec).toMatchObject({
      vpcCidr: '10.42.0.0/16',
      storage: { dataGib: 20, iops: null, throughput: null, rootGib: 16, kmsKey: null },
      clone: { from: 'primary', maxRate: null },
    });
  });

  test.each([
    ['data-volume-size', '1'],
    ['data-volume-size', '65536'],
    ['data-volume-iops', '3000'],
    ['data-volume-throughput', '125'],
    ['data-volume-throughput', '750'],
    ['root-volume-size', '8'],
    ['root-volume-size', '65536'],
    ['kms-key-id', KEY],
    ['kms-key-id', ALIAS],
    ['vpc-cidr', '10.0.0.0/24'],
    ['vpc-cidr', '172.16.0.0/16'],
    ['clone-from', 'replica'],
    ['clone-max-rate', '32kB'],
    ['clone-max-rate', '1GB'],
    ['storage-alert-percent', '1'],
    ['storage-alert-percent', '99'],
    ['wait-minutes', '1'],
    ['wait-minutes', '7200'],
  ])('%s can be %s', (name, value) => {
    expect(readStep({ [name]: value }).problems).toEqual([]);
  });

  test.each([
    ['data-volume-size', '0'],
    ['data-volume-size', '65537'],
    ['data-volume-size', '20.5'],
    ['data-volume-iops', '2999'],
    ['data-volume-iops', '80001'],
    ['data-volume-throughput', '124'],
    ['data-volume-throughput', '2001'],
    ['root-volume-size', '7'],
    ['kms-key-id', `${KEY} x`],
    ['kms-key-id', 'arn:aws:iam::123456789012:role/x'],
    ['vpc-cidr', '10.42.1.0/16'],
    ['vpc-cidr', '0.1.0.0/16'],
    ['vpc-cidr', '127.0.0.0/16'],
    ['vpc-cidr', '169.254.0.0/16'],
    ['vpc-cidr', '224.0.0.0/16'],
    ['vpc-cidr', '250.0.0.0/16'],
    ['clone-max-rate', '31kB'],
    ['clone-max-rate', '2GB'],
    ['clone-max-rate', '050MB'],
    ['storage-alert-percent', '100'],
    ['wait-minutes', '0'],
  ])('%s cannot be %j', (name, value) => {
    expect(readStep({ [name]: value }).problems).toEqual([
      expect.stringMatching(new RegExp(`^${name}: .* is not allowed\\. Allowed: `, 's')),
    ]);
  });

  test.each<[string, string, RegExp]>([
    ['data-volume-size', '500GB', /The unit is GiB\. Did you mean 500\?$/],
    ['data-volume-size', '2 TiB', /Did you mean 2048\?$/],
    ['root-volume-size', '20G', /Did you mean 20\?$/],
    ['data-volume-iops', '6,000', /Did you mean 6000\?$/],
    ['data-volume-iops', '16k', /Did you mean 16000\?$/],
    ['data-volume-iops', '6000 IOPS', /Did you mean 6000\?$/],
    ['data-volume-throughput', '250MB/s', /The unit is MiB\/s\. Did you mean 250\?$/],
    ['clone-max-rate', '50M', /Did you mean 50MB\?$/],
    ['clone-max-rate', '50 mb/s', /Did you mean 50MB\?$/],
    ['clone-max-rate', '51200KB', /Did you mean 51200kB\?$/],
    ['clone-max-rate', '50MiB', /Did you mean 50MB\?$/],
    ['clone-from', 'standby', /Allowed: primary or replica, e\.g\. replica\.$/],
    ['clone-from', 'Replica', /Did you mean replica\?$/],
    [
      'kms-key-id',
      '1234abcd-12ab-34cd-56ef-1234567890ab',
      /Give the whole ARN, arn:aws:kms:REGION:ACCOUNT:key\/1234abcd-/,
    ],
    ['kms-key-id', 'alias/postgres', /arn:aws:kms:REGION:ACCOUNT:alias\/postgres with your region/],
    ['vpc-cidr', '10.42.1.0/16', /Did you mean 10\.42\.0\.0\/16\?$/],
    ['vpc-cidr', '10.0.0.0/8', /Did you mean 10\.0\.0\.0\/16\?$/],
    ['vpc-cidr', '10.0.0.0/28', /e\.g\. 10\.42\.0\.0\/16\.$/],
    // A suggestion is allowed itself.
    ['data-volume-size', '100TB', /e\.g\. 500\. The unit is GiB\.$/],
    ['root-volume-size', '5GB', /e\.g\. 16\. The unit is GiB\.$/],
    ['data-volume-iops', '1k', /e\.g\. 6000\.$/],
    ['data-volume-throughput', '50MB/s', /e\.g\. 250\. The unit is MiB\/s\.$/],
    ['clone-max-rate', '5G', /e\.g\. 50MB\.$/],
    ['storage-alert-percent', '100%', /e\.g\. 80\.$/],
    ['wait-minutes', '200h', /e\.g\. 330\. The unit is minutes\.$/],
    ['vpc-cidr', '0.0.0.0/0', /e\.g\. 10\.42\.0\.0\/16\.$/],
    ['storage-alert-percent', '80%', /Did you mean 80\?$/],
    ['wait-minutes', '5h', /Did you mean 300\?$/],
    ['wait-minutes', '90 min', /Did you mean 90\?$/],
  ])('a slip gets a suggestion: %s %s', (name, value, expected) => {
    const { problems } = readStep({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
  });
});

describe('values of volumes are checked together', () => {
  test.each<[Record<string, string>, string | null]>([
    [{ 'data-volume-size': '12', 'data-volume-iops': '6000' }, null],
    // Every gp3 volume has 3,000 IOPS.
    [{ 'data-volume-size': '1', 'data-volume-iops': '3000' }, null],
    [
      { 'data-volume-size': '11', 'data-volume-iops': '6000' },
      'data-volume-iops: 6000 is not allowed. A volume of 11 GiB (data-volume-size) can have at most 5500 IOPS, 500 for each GiB. Give at most 5500, or at least 12 GiB.',
    ],
    [
      { 'data-volume-throughput': '751' },
      'data-volume-throughput: 751 is not allowed. With 3000 IOPS (data-volume-iops is not given) a volume can have at most 750 MiB/s, a quarter of the IOPS. Give at most that, or at least 3004 IOPS.',
    ],
    [{ 'data-volume-throughput': '1000', 'data-volume-iops': '4000' }, null],
    [
      { 'data-volume-throughput': '1001', 'data-volume-iops': '4000' },
      'data-volume-throughput: 1001 is not allowed. With 4000 IOPS (data-volume-iops) a volume can have at most 1000 MiB/s, a quarter of the IOPS. Give at most that, or at least 4004 IOPS.',
    ],
    [
      { 'kms-key-id': KEY, region: 'eu-central-1' },
      `kms-key-id: "${KEY}" is not allowed. It is a key of us-east-1, and volumes in eu-central-1 (region) can only use keys of eu-central-1. Give one of those.`,
    ],
  ])('%j', (given, problem) => {
    expect(readStep(given).problems).toEqual(problem === null ? [] : [problem]);
  });

  test('an invalid value is one problem, without those that depend on it', () => {
    const given = { 'data-volume-iops': '100', 'data-volume-throughput': '1000' };
    expect(readStep(given).problems).toEqual([expect.stringMatching(/^data-volume-iops: "100"/)]);
  });

  test('a problem of a file names the line', async () => {
    const file = `${MINIMAL_FILE}data_volume_size: 5\ndata_volume_iops: 5000\n`;
    expect((await readInputsFromFile(file)).problems).toEqual([
      expect.stringMatching(/^clusters\/orders\.yml:5: data_volume_iops: 5000 is not allowed/),
    ]);
  });
});
