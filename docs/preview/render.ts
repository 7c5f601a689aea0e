// node docs/preview/render.ts shows every golden comment as GitHub would, in docs/preview/out/index.html.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGoldens } from './golden.ts';
import { renderPage } from './page.ts';

const FOLDER = join(import.meta.dirname, 'out');

/** Writes the page of all golden files and gives its path. Throws when there is none. */
export function writePage(folder = FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'index.html');
  writeFileSync(file, renderPage(readGoldens()));
  return file;
}

if (import.meta.main) process.stdout.write(`${writePage()}\n`);
