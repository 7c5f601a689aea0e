import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The action's own folder, where `templates/` and `playbooks/` lie: the nearest one above this file with
 * an `action.yml`. The bundle, the post bundle and the sources lie at different depths below it.
 *
 * @throws Error when there is none, that is when the action is not installed whole
 */
export function findActionRoot(start: string = import.meta.dirname): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'action.yml'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no action.yml above ${start}`);
  }
}
