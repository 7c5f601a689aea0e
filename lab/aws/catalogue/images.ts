import { createHash } from 'node:crypto';
import type { DebianRelease } from '../../images/catalogue.ts';

/** A machine image as DescribeImages returns it. Sizes are in GiB. */
export interface Image {
  readonly id: string;
  readonly region: string;
  readonly name: string;
  readonly owner: string;
  readonly ownerAlias: string | null;
  readonly architecture: 'x86_64' | 'arm64';
  readonly created: string;
  readonly rootDevice: string;
  readonly rootSize: number;
  readonly description: string;
}

const DEBIAN = '136693071363';
const CANONICAL = '099720109477';
const AMAZON = '137112412989';

interface Release {
  readonly name: string;
  readonly owner: string;
  readonly created: string;
  readonly rootDevice: string;
  readonly rootSize: number;
  readonly description: string;
  readonly words: readonly [string, string];
}

const DPKG = ['amd64', 'arm64'] as const;
const RPM = ['x86_64', 'arm64'] as const;

/** `{arch}` in a name or description is replaced by the publisher's word for the architecture. */
const RELEASES: readonly Release[] = [
  ...['20250814-2204', '20251006-2257'].map((build) => ({
    name: `debian-12-{arch}-${build}`,
    owner: DEBIAN,
    created: `${build.slice(0, 4)}-${build.slice(4, 6)}-${build.slice(6, 8)}T12:00:00.000Z`,
    rootDevice: '/dev/xvda',
    rootSize: 8,
    description: `Debian 12 (${build})`,
    words: DPKG,
  })),
  {
    name: 'debian-13-{arch}-20251006-2257',
    owner: DEBIAN,
    created: '2025-10-06T12:30:00.000Z',
    rootDevice: '/dev/xvda',
    rootSize: 8,
    description: 'Debian 13 (20251006-2257)',
    words: DPKG,
  },
  {
    name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-20250821',
    owner: CANONICAL,
    created: '2025-08-21T12:00:00.000Z',
    rootDevice: '/dev/sda1',
    rootSize: 8,
    description: 'Canonical, Ubuntu, 24.04, {arch} noble image',
    words: DPKG,
  },
  {
    name: 'al2023-ami-2023.8.20250818.0-kernel-6.1-{arch}',
    owner: AMAZON,
    created: '2025-08-18T12:00:00.000Z',
    rootDevice: '/dev/xvda',
    rootSize: 8,
    description: 'Amazon Linux 2023 AMI 2023.8.20250818.0 {arch} HVM kernel-6.1',
    words: RPM,
  },
];

/** An image's id: differs between regions for the same name, and is the same in every run. */
export function nameImage(region: string, name: string): string {
  return `ami-${createHash('sha256').update(`${region}/${name}`).digest('hex').slice(0, 17)}`;
}

/** The public images of a region. */
export function listPublicImages(region: string): Image[] {
  return RELEASES.flatMap((release) =>
    (['x86_64', 'arm64'] as const).map((architecture, index) => {
      const fill = (text: string) => text.replaceAll('{arch}', release.words[index] ?? '');
      const name = fill(release.name);
      return {
        id: nameImage(region, name),
        region,
        name,
        owner: release.owner,
        ownerAlias: release.owner === AMAZON ? 'amazon' : null,
        architecture,
        created: release.created,
        rootDevice: release.rootDevice,
        rootSize: release.rootSize,
        description: fill(release.description),
      };
    }),
  );
}

/** The release whose host image the lab runs in place of the machine image; null if it has none. */
export function findRelease(image: Pick<Image, 'owner' | 'name'>): DebianRelease | null {
  const release = image.owner === DEBIAN ? /^debian-(12|13)-/.exec(image.name)?.[1] : undefined;
  return (release as DebianRelease | undefined) ?? null;
}
