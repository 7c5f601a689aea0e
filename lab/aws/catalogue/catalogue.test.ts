import { describe, expect, test } from 'vitest';
import { findRelease, listPublicImages } from './images.ts';
import { findInstanceType, isOffered, listInstanceTypes } from './instance-types.ts';
import { findRegion, listZones, readZoneId } from './regions.ts';

test.each([
  ['us-east-1a', 'use1-az1'],
  ['eu-central-1c', 'euc1-az3'],
  ['ap-northeast-1d', 'apne1-az4'],
])('the zone %s is %s', (zone, id) => {
  expect(readZoneId(zone)).toBe(id);
});

test.each([
  ['us-east-1', 'enabled'],
  ['af-south-1', 'opt-in'],
  ['us-east-9', 'absent'],
])('the region %s is %s', (region, expected) => {
  expect(findRegion(region)).toBe(expected);
});

// Figures of the AWS documentation's tables of instance types.
test.each([
  ['t2.small', 'x86_64', 1, 2048, 'xen'],
  ['t3.medium', 'x86_64', 2, 4096, 'nitro'],
  ['t4g.nano', 'arm64', 2, 512, 'nitro'],
  ['m6g.medium', 'arm64', 1, 4096, 'nitro'],
  ['r5.large', 'x86_64', 2, 16384, 'nitro'],
  ['c7g.xlarge', 'arm64', 4, 8192, 'nitro'],
])('%s is %s with %i vCPUs and %i MiB on %s', (name, architecture, vcpus, memory, hypervisor) => {
  expect(findInstanceType(name)).toMatchObject({ architecture, vcpus, memory, hypervisor });
});

test('an unknown instance type has no data', () => {
  for (const name of ['', 't9.small', 't2', 't2.huge', 'constructor.name'])
    expect(findInstanceType(name)).toBeUndefined();
  for (const name of listInstanceTypes()) expect(findInstanceType(name)?.name).toBe(name);
});

describe('offers', () => {
  const t3 = findInstanceType('t3.small');
  test('us-east-1e has no newer hardware', () => {
    expect(listZones('us-east-1').filter((zone) => t3 && !isOffered(t3, zone))).toEqual([
      'us-east-1e',
    ]);
  });
});

test.each(['12', '13'] as const)(
  'every region has a bootable Debian %s in both architectures, with its own ids',
  (release) => {
    const list = (region: string) =>
      listPublicImages(region).filter((image) => findRelease(image) === release);
    const here = list('us-east-1');
    const there = list('eu-west-1');
    expect(new Set(here.map(({ architecture }) => architecture))).toEqual(
      new Set(['x86_64', 'arm64']),
    );
    expect(here.map(({ id }) => id).filter((id) => there.some((image) => image.id === id))).toEqual(
      [],
    );
    for (const { id } of here) expect(id).toMatch(/^ami-[0-9a-f]{17}$/);
  },
);

test('the newest Debian is a 13, and nothing else of the catalogue boots', () => {
  const images = listPublicImages('us-east-1');
  const debian = images.filter((image) => findRelease(image) !== null);
  const [newest] = debian.toSorted((a, b) => b.created.localeCompare(a.created));
  expect(newest && findRelease(newest)).toBe('13');
  const others = images.filter((image) => findRelease(image) === null).map(({ name }) => name);
  expect(others).toContainEqual(expect.stringContaining('ubuntu'));
  expect(
    findRelease({ owner: newest?.owner ?? '', name: 'debian-14-amd64-20270101-1' }),
  ).toBeNull();
  expect(findRelease({ owner: '123456789012', name: 'debian-13-amd64-20270101-1' })).toBeNull();
});
