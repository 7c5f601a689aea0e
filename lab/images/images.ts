import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBase } from './base.ts';
import {
  catalogue,
  type DebianRelease,
  type ImageName,
  imageNames,
  listBases,
  nameHost,
  type Recipe,
  requiredNames,
} from './catalogue.ts';
import { type CommandOptions, runCommand, runDocker } from './docker.ts';
import { locateFolder, tagImage } from './recipe.ts';

/** The label of every image of the lab; intermediate layers inherit it from their base. */
export const imageLabel = 'postgres-cluster-lab.images';

/** The tags of the requested images, by name, e.g. `{host: 'pgca-lab/host:0f3c…'}`. */
export type Images<Name extends ImageName = ImageName> = Record<Name, string>;

/** What to build (default: everything required) and a callback for progress: one short line per event. */
export type EnsureOptions<Name extends ImageName = ImageName> = {
  only?: readonly Name[];
  onProgress?: (line: string) => void;
};

async function isPresent(tag: string): Promise<boolean> {
  return (await runDocker(['images', '--quiet', tag])) !== '';
}

async function buildFolder(
  recipe: Exclude<Recipe, { suite: string }>,
  tag: string,
  options: CommandOptions,
): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'pgca-lab-build-'));
  try {
    await cp(locateFolder(recipe.folder), context, { recursive: true });
    if (recipe.package) {
      const file = await runCommand('npm', ['pack', '--silent', recipe.package], { cwd: context });
      await rename(join(context, file), join(context, 'package.tgz'));
    }
    const args = { ...recipe.args, BASE: tagImage(recipe.base as ImageName) };
    const buildArgs = Object.entries(args).flatMap(([key, value]) => [
      '--build-arg',
      `${key}=${value}`,
    ]);
    const file = join(context, recipe.file ?? 'Dockerfile');
    await runDocker(
      ['build', '--force-rm', '--tag', tag, '--file', file, ...buildArgs, context],
      options,
    );
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function buildImage(name: ImageName, onProgress: (line: string) => void): Promise<void> {
  const tag = tagImage(name);
  const recipe: Recipe = catalogue[name];
  if (await isPresent(tag)) return;
  const start = Date.now();
  onProgress(`${name}: building`);
  // The steps suffice of a build's hundreds of lines; an error contains the rest.
  const onLine = (line: string) => {
    if (/^(Step \d|I: (Retrieving Packages|Unpacking the base|Configuring the base))/.test(line)) {
      onProgress(`${name}: ${line.slice(0, 90)}`);
    }
  };
  if ('suite' in recipe) {
    const { suite, unreleased = false } = recipe;
    await buildBase({ suite, unreleased, tag, label: `${imageLabel}=1` }, { onLine });
  } else await buildFolder(recipe, tag, { onLine });
  onProgress(`${name}: built in ${Math.round((Date.now() - start) / 1000)} s`);
}

/**
 * Builds the requested images that are missing, two at a time, and returns their tags. An image whose
 * recipe has not changed since this Docker daemon built it is not rebuilt.
 * Throws with the failing command's last lines if a build fails; images finished by then stay.
 */
export async function ensureImages<Name extends ImageName = ImageName>(
  options: EnsureOptions<Name> = {},
): Promise<Images<Name>> {
  const { only = requiredNames as readonly ImageName[] as readonly Name[], onProgress = () => {} } =
    options;
  const absent = new Set<ImageName>();
  for (const name of only) {
    // A finished image no longer needs its bases.
    if (!(await isPresent(tagImage(name))))
      for (const part of [...listBases(name), name]) absent.add(part);
  }
  const waiting = imageNames.filter((name) => absent.has(name));
  const done = new Set<ImageName>();
  const isReady = (name: ImageName) =>
    listBases(name).every((base) => done.has(base) || !absent.has(base));
  let wake = Promise.withResolvers<void>();
  let failed = false;
  const work = async (): Promise<void> => {
    while (waiting.length > 0 && !failed) {
      const next = waiting.findIndex(isReady);
      if (next < 0) {
        await wake.promise;
        continue;
      }
      const [name] = waiting.splice(next, 1) as [ImageName];
      try {
        await buildImage(name, onProgress);
        done.add(name);
      } catch (error) {
        failed = true;
        throw new Error(`the lab image "${name}" could not be built`, { cause: error });
      } finally {
        wake.resolve();
        wake = Promise.withResolvers();
      }
    }
  };
  const results = await Promise.allSettled([work(), work()]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return Object.fromEntries(only.map((name) => [name, tagImage(name)])) as Images<Name>;
}

/** Builds the image of a release's hosts if it is missing, and returns its tag; `plain`: without Docker. */
export async function ensureHost(
  release: DebianRelease,
  options: { plain?: boolean; onProgress?: (line: string) => void } = {},
): Promise<string> {
  const name = nameHost(release, options);
  const { onProgress } = options;
  const images = await ensureImages({ only: [name], ...(onProgress && { onProgress }) });
  return images[name];
}

/**
 * Removes all images that the lab built on this Docker daemon, from any recipe.
 * Throws, naming Docker's reason, if a container still uses one: stop the worlds first.
 */
export async function removeImages(): Promise<void> {
  const filter = `label=${imageLabel}`;
  const format = '{{.Repository}}:{{.Tag}}';
  const list = await runDocker(['images', '--filter', filter, '--format', format]);
  const tags = list.split('\n').filter((tag) => tag && !tag.includes('<none>'));
  if (tags.length > 0) await runDocker(['rmi', ...tags]);
  // Leftovers of an interrupted build have the label, but no name.
  await runDocker(['image', 'prune', '--force', '--filter', filter]);
}
