// node docs/preview/render.ts writes docs/preview/out/index.html, which shows every golden comment as GitHub does.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGoldens } from './golden.ts';
import { renderPage } from './page.ts';

const FOLDER = join(import.meta.dirname, 'out');

/** Writes the page of all golden files and returns its path. Throws if there are none. */
export function writePage(folder = FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'index.html');
  writeFileSync(file, renderPage(readGoldens()));
  return file;
}

if (import.meta.main) process.stdout.write(`${writePage()}\n`);
