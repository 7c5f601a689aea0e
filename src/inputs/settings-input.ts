import { checkSettings } from '../cluster/settings/input.ts';
import type { ParsedSettings } from '../cluster/settings/lines.ts';
import type { Settings } from '../cluster/settings/settings.ts';
import { majorOfTag } from '../cluster/spec.ts';
import { type Description, type InputValue, readValue } from './combine.ts';

/** The two settings with a key of their own, and what they are where nobody says. */
const SINGLE_KEYS = [
  { key: 'max_connections', fallback: '100' },
  { key: 'shared_buffers', fallback: '256MB' },
] as const;

/**
 * The settings of the team, from `settings` and the two keys for one setting each. A setting that is given in both is a
 * problem, unless one came in an event's body, which wins over the step.
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

/** A problem that begins with a line, after the name of the input, or at that line of the file. */
function locateProblem(problem: string, map: InputValue): string {
  if (map.source !== 'file') return `${map.name}: ${problem}`;
  const [, line, text] = /^line (\d+): (.*)$/s.exec(problem) ?? [];
  return `${map.name.replace(/:\d+: /, `:${line}: `)}: ${text}`;
}

/**
 * The setting that a problem of the running server's is about (`checkSettings` in `cluster/setting-check.ts`), or null.
 * It was found on a node, where nobody knows of lines.
 */
export function findSetting(problem: string): string | null {
  const found =
    /^settings: (?:the server knows no setting "([^"]+)"|PostgreSQL has had no (\S+) since|([a-z_][a-z0-9_.]*) )/.exec(
      problem,
    );
  return found?.[1] ?? found?.[2] ?? found?.[3] ?? null;
}
