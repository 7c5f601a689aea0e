import { refuseReserved } from './reserved-settings.ts';
import { type GivenSetting, type ParsedSettings, parseSettingLines } from './setting-lines.ts';
import { parseInteger } from './setting-value.ts';
import { HOT_STANDBY_SENSITIVE } from './settings.ts';

/** The settings in a text, by name, and every problem found; a problem begins with the number of its line. */
export interface SettingInput {
  readonly given: ReadonlyMap<string, GivenSetting>;
  readonly problems: readonly string[];
}

/**
 * Checks as much of the team's settings as can be without a server: that none is the action's own, and that numbers fit.
 * `replicaCount` null: not known.
 */
export function checkSettings(
  { given, problems }: ParsedSettings,
  replicaCount: number | null,
): SettingInput {
  const all = [...problems, ...refuseReserved(given, replicaCount)];
  return {
    given: new Map(given.map((setting) => [setting.name, simplify(setting)])),
    problems: all.sort((a, b) => readLine(a) - readLine(b)),
  };
}

/** Reads settings written as in `postgresql.conf`, and checks them. */
export function readSettingInput(text: string, replicaCount: number | null): SettingInput {
  return checkSettings(parseSettingLines(text), replicaCount);
}

/** Settings that replicas and primary are compared by are plain numbers from here on. */
function simplify(setting: GivenSetting): GivenSetting {
  if (!HOT_STANDBY_SENSITIVE.includes(setting.name)) return setting;
  const number = parseInteger(setting.value, null);
  return number === null ? setting : { ...setting, value: String(number) };
}

function readLine(problem: string): number {
  return Number(/^line (\d+)/.exec(problem)?.[1] ?? 0);
}
