import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue, type ImageName, type Recipe } from './catalogue.ts';

/** The repository prefix of every image of the lab. */
export const repositoryPrefix = 'pgca-lab';

/** Increase when base.ts builds different root file systems. */
const baseRevision = '1';

/** The folder of a recipe's Dockerfile and files. */
export function locateFolder(folder: string): string {
  return join(import.meta.dirname, folder);
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Returns the SHA-256 (hex) of everything that determines an image: base, arguments, every file. */
export function hashRecipe(name: ImageName): string {
  const recipe: Recipe = catalogue[name];
  const hash = createHash('sha256');
  if ('suite' in recipe) {
    return hash
      .update(`suite ${recipe.suite} ${baseRevision}${recipe.unreleased ? ' unreleased' : ''}`)
      .digest('hex');
  }
  const { folder, base, ...rest } = recipe;
  hash.update(JSON.stringify([hashRecipe(base as ImageName), rest]));
  const root = locateFolder(folder);
  for (const file of listFiles(root)) {
    const content = readFileSync(file);
    hash.update(`\0${file.slice(root.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Returns an image's full tag, e.g. `pgca-lab/host:0f3c…` (12 digits of the recipe's hash). */
export function tagImage(name: ImageName): string {
  return `${repositoryPrefix}/${name}:${hashRecipe(name).slice(0, 12)}`;
}
