// npm run build runs this after ncc: writes dist/licenses.txt, the licenses of all packages with code in dist. ncc's own
// `--license` omits every package whose modules webpack merges into the entry chunk. The module list of `--stats-out`
// has them all.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const STATS = ['build/index.stats.json', 'build/post.stats.json', 'build/tunnel.stats.json'];
export const NOTICES = join(root, 'dist/licenses.txt');

/** A module in webpack's stats. `modules`: those merged into it. */
export interface StatsModule {
  /** Absolute path of its file; null for a merged module and for webpack's runtime. */
  readonly nameForCondition?: string | null;
  readonly modules?: readonly StatsModule[];
}

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** The license file's text. */
  readonly text: string;
}

/** Returns the folders of the packages that `modules` come from, sorted. */
export function listPackageFolders(modules: readonly StatsModule[]): string[] {
  const folders = new Set<string>();
  const visit = (module: StatsModule): void => {
    const file = module.nameForCondition ?? '';
    const [folder] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [];
    if (folder !== undefined) folders.add(folder);
    module.modules?.forEach(visit);
  };
  modules.forEach(visit);
  return [...folders].sort();
}

/** Packages without a license file, and one of the same repository and license that has the file. */
const SIBLINGS: Readonly<Record<string, string>> = {
  '@aws-sdk/credential-provider-http': '@aws-sdk/core',
  '@aws-sdk/credential-provider-login': '@aws-sdk/core',
  '@aws-sdk/nested-clients': '@aws-sdk/core',
};

/** Reads a package's name, version and license. Throws if it has no license file, nor a sibling with its license. */
export function readPackage(folder: string): BundledPackage {
  const { name, version, license, repository } = readManifest(folder);
  const sibling = Object.hasOwn(SIBLINGS, name) ? join(folder, '../..', SIBLINGS[name] ?? '') : '';
  const source = findLicense(folder) === undefined && sibling !== '' ? sibling : folder;
  const other = readManifest(source);
  const file = findLicense(source);
  const isSame = other.license === license && other.repository?.url === repository?.url;
  if (file === undefined || license === undefined || !isSame) {
    throw new Error(
      `${name} is bundled, but ${folder} has no license. Add its text to lab/notices.ts.`,
    );
  }
  return { name, version, license, text: readFileSync(join(source, file), 'utf8').trim() };
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly repository?: { readonly url?: string };
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

function findLicense(folder: string): string | undefined {
  return readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
}

/** Returns the notices, in the order of the packages' names. */
export function renderNotices(packages: readonly BundledPackage[]): string {
  const parts = new Map(
    packages.map(({ name, version, license, text }) => [
      `${name} ${version}`,
      `${name} ${version} (${license})\n\n${text.replaceAll('\r\n', '\n')}\n`,
    ]),
  );
  const sorted = [...parts].sort(([one], [other]) => (one < other ? -1 : 1));
  return [
    'This folder contains code of the following packages.\n',
    ...sorted.map(([, part]) => part),
  ].join(`\n${'-'.repeat(80)}\n\n`);
}

/** Returns the names of the packages in a file that `renderNotices` made. */
export function readNoticeNames(text: string): string[] {
  return [...text.matchAll(/^-{80}\n\n(\S+) \S+ \(.+\)$/gm)].map(([, name]) => name ?? '');
}

if (import.meta.main) {
  const modules = STATS.flatMap((file): StatsModule[] => {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).modules;
  });
  writeFileSync(NOTICES, renderNotices(listPackageFolders(modules).map(readPackage)));
}
