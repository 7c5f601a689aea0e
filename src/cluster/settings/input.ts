import { type GivenSetting, type ParsedSettings, parseSettingLines } from './lines.ts';
import { parseInteger } from './parse-value.ts';
import { isRedundant, readWalLevel, refuseReserved, type SettingContext } from './reserved.ts';
import { HOT_STANDBY_SENSITIVE } from './settings.ts';

/** The settings in a text, by name and without those that say what every node does anyway, and every problem found; a problem begins with the number of its line. */
export interface SettingInput {
  readonly given: ReadonlyMap<string, GivenSetting>;
  readonly problems: readonly string[];
}

/**
 * Checks as much of the team's settings as can be without a server: that none is the action's own or gone from
 * PostgreSQL, and that numbers fit.
 */
export function checkSettings(
  { given, problems }: ParsedSettings,
  context: SettingContext,
): SettingInput {
  const all = [...problems, ...refuseReserved(given, context)];
  const kept = given.filter((setting) => !isRedundant(setting, context));
  return {
    given: new Map(kept.map((setting) => [setting.name, simplify(setting)])),
    problems: all.sort((a, b) => readLine(a) - readLine(b)),
  };
}

/** Reads settings written as in `postgresql.conf`, and checks them. */
export function readSettingInput(text: string, context: SettingContext): SettingInput {
  return checkSettings(parseSettingLines(text), context);
}

/** Settings that replicas and primary are compared by are plain numbers from here on, `wal_level` has its present name. */
function simplify(setting: GivenSetting): GivenSetting {
  if (setting.name === 'wal_level') return { ...setting, value: readWalLevel(setting.value) };
  if (!HOT_STANDBY_SENSITIVE.includes(setting.name)) return setting;
  const number = parseInteger(setting.value, null);
  return number === null ? setting : { ...setting, value: String(number) };
}

function readLine(problem: string): number {
  return Number(/^line (\d+)/.exec(problem)?.[1] ?? 0);
}
