import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../src/report/golden');

/** A comment as the action writes it. */
export interface Golden {
  /** The file's name without its ending. */
  readonly name: string;
  readonly markdown: string;
}

/** Returns the golden files of the reports, sorted by name. Throws if there are none. */
export function readGoldens(folder = FOLDER): Golden[] {
  const goldens = readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.md'.length),
      markdown: readFileSync(join(folder, file), 'utf8'),
    }));
  if (goldens.length > 0) return goldens;
  throw new Error(
    `${folder} holds no golden file. Write them: npx vitest run --project unit src/report -u`,
  );
}
