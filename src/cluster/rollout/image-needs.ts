import { quoteValue } from '../../messages/quote-value.ts';
import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { TLS_FILES } from '../settings/reserved.ts';
import type { Settings } from '../settings/settings.ts';

/** Something that a setting requires in the image. */
export interface ImageNeed {
  readonly setting: string;
  /** `locale`: of the C library; `library`: of the server, its name without path and `.so`; `file`: a path. */
  readonly kind: 'locale' | 'library' | 'file';
  readonly name: string;
}

const LOCALES = ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'];
const LIBRARIES = ['shared_preload_libraries', 'archive_library'];
/** The most needs that a node is asked to check. No real configuration has that many. */
const MAX_NEEDS = 100;

/** Returns what the settings require in the image, in an order that depends only on them. */
export function listImageNeeds(settings: Settings): ImageNeed[] {
  const needs = Object.entries(settings).flatMap(([setting, value]): ImageNeed[] => {
    if (LOCALES.includes(setting)) {
      return value === '' ? [] : [{ setting, kind: 'locale', name: value }];
    }
    if (LIBRARIES.includes(setting)) return listLibraries(settings, { setting, value });
    const isFile = TLS_FILES.includes(setting) && value.startsWith('/');
    return isFile ? [{ setting, kind: 'file', name: value }] : [];
  });
  return needs.slice(0, MAX_NEEDS);
}

/** Names in the list may be in double quotes, and `$libdir` is searched anyway (manual, 36.10.1). */
function listLibraries(
  settings: Settings,
  { setting, value }: { setting: string; value: string },
): ImageNeed[] {
  if ('dynamic_library_path' in settings) return [];
  const names = value.split(',').map((entry) =>
    entry
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .replace(/^\$libdir\//, '')
      .replace(/\.so$/, ''),
  );
  return names
    .filter((name) => name !== '' && !name.includes('/'))
    .map((name) => ({ setting, kind: 'library', name }));
}

/**
 * Returns what the settings require and the desired image lacks, a sentence each, as far as a node that runs the image
 * could tell.
 */
export function refuseMissingFromImage(
  observed: readonly NodeObservation[],
  { settings, image }: DesiredCluster,
): string[] {
  const lacks = observed.map(({ postgres }) => postgres?.imageLacks ?? null);
  const numbers = lacks.find((found) => found !== null) ?? [];
  const needs = listImageNeeds(settings);
  return numbers.flatMap((number) => {
    const need = needs[number];
    return need === undefined ? [] : [describeMissing(need, image)];
  });
}

function describeMissing({ setting, kind, name }: ImageNeed, image: string): string {
  const begin = `settings: ${setting} = ${quoteValue(name)} is not allowed: ${image} has no such`;
  switch (kind) {
    case 'locale':
      return `${begin} locale. Choose one that locale -a shows in the container, e.g. C.UTF-8, or an image that has it.`;
    case 'library':
      return `${begin} library. Take it out, or use an image in which it is installed.`;
    case 'file':
      return `${begin} file that the server may read. Put it into the image, or remove the line.`;
  }
}
