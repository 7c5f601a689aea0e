import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Returns the action's own folder, which holds `templates/` and `playbooks/`: the nearest folder above this file with an
 * `action.yml`. The bundle, the post bundle and the sources are at different depths below it.
 *
 * @throws Error if there is none, i.e. the action is not installed whole
 */
export function findActionRoot(start: string = import.meta.dirname): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'action.yml'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no action.yml above ${start}`);
  }
}
