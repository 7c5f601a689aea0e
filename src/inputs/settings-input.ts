import { readSettingInput } from '../cluster/setting-input.ts';
import type { Settings } from '../cluster/settings.ts';

/** The two settings with an input of their own, and what they are where nobody says. */
const SINGLE_INPUTS = [
  { input: 'max-connections', name: 'max_connections', fallback: '100' },
  { input: 'shared-buffers', name: 'shared_buffers', fallback: '256MB' },
] as const;

/**
 * The settings of the team, from `settings` and the two inputs for one setting each. A setting that is given in
 * both is a problem, unless one came in the request body, which wins over the inputs. `sources` names the
 * inputs that came from the body; `replicaCount` null: not known.
 */
export function readSettings(
  inputs: Readonly<Record<string, string>>,
  {
    sources,
    replicaCount,
  }: { sources: Readonly<Record<string, string>>; replicaCount: number | null },
): { settings: Settings; problems: readonly string[] } {
  const where = sources.settings ?? 'settings';
  const { given, problems } = readSettingInput(inputs.settings ?? '', replicaCount);
  const settings = new Map([...given].map(([name, { value }]) => [name, value]));
  const all = problems.map((problem) => `${where}: ${problem}`);
  for (const { input, name, fallback } of SINGLE_INPUTS) {
    const single = inputs[input] ?? '';
    const line = given.get(name)?.line;
    if (single === '') settings.set(name, settings.get(name) ?? fallback);
    else if (line === undefined || (input in sources && !('settings' in sources))) {
      settings.set(name, String(single).replace(/^0+(?=\d)/, ''));
    } else if (input in sources === 'settings' in sources) {
      all.push(
        `${sources[input] ?? input}: ${name} is given in ${where}, line ${line}, as well. Keep one of them.`,
      );
    }
  }
  return { settings: Object.fromEntries(settings), problems: all };
}
