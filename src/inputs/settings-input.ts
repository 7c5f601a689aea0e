import { checkSettings } from '../cluster/settings/check-input.ts';
import type { ParsedSettings } from '../cluster/settings/lines.ts';
import type { Settings } from '../cluster/settings/settings.ts';
import { majorOfTag } from '../cluster/spec.ts';
import { type Description, type InputValue, readValue } from './description.ts';

/** The two settings with a key of their own, and their defaults. */
const SINGLE_KEYS = [
  { key: 'max_connections', fallback: '100' },
  { key: 'shared_buffers', fallback: '256MB' },
] as const;

/**
 * Reads the team's settings from `settings` and the two keys of single settings. A setting in both is a problem, unless
 * it came in an event's body, which takes precedence over the step.
 */
export function readSettings(description: Description): {
  settings: Settings;
  problems: readonly string[];
} {
  const map = description.get('settings');
  const parsed = (map?.value ?? { given: [], problems: [] }) as ParsedSettings;
  const { given, problems } = checkSettings(parsed, {
    replicaCount: readValue(description, 'replica_count'),
    synchronousReplicas: readValue(description, 'synchronous_replicas'),
    major: majorOfTag(readValue(description, 'image_tag') ?? ''),
  });
  const settings = new Map([...given].map(([name, { value }]) => [name, value]));
  const all = map === undefined ? [] : problems.map((problem) => locateProblem(problem, map));
  for (const { key, fallback } of SINGLE_KEYS) {
    const single = description.get(key);
    const line = given.get(key)?.line;
    if (single === undefined) settings.set(key, settings.get(key) ?? fallback);
    else if (map === undefined || line === undefined || overrides(single, map)) {
      settings.set(key, String(single.value));
    } else {
      const place = map.source === 'file' ? map.nameEntry(key) : `${map.name}, line ${line}`;
      all.push(`${single.name}: ${key} is given in ${place}, as well. Keep one of them.`);
    }
  }
  return { settings: Object.fromEntries(settings), problems: all };
}

const overrides = (single: InputValue, map: InputValue): boolean =>
  single.source === 'event' && map.source !== 'file';

/** Adds the input's name, or the line of the file, to a problem that begins with a line. */
function locateProblem(problem: string, map: InputValue): string {
  if (map.source !== 'file') return `${map.name}: ${problem}`;
  const [, line, text] = /^line (\d+): (.*)$/s.exec(problem) ?? [];
  return `${map.name.replace(/:\d+: /, `:${line}: `)}: ${text}`;
}

/** Returns the setting in a problem that the running server found (`cluster/settings/check.ts`), or null. */
export function findSetting(problem: string): string | null {
  const found =
    /^settings: (?:the server knows no setting "([^"]+)"|PostgreSQL has had no (\S+) since|([a-z_][a-z0-9_.]*) )/.exec(
      problem,
    );
  return found?.[1] ?? found?.[2] ?? found?.[3] ?? null;
}
