import type { GivenSetting, ParsedSettings } from './lines.ts';
import { parseInteger } from './parse-value.ts';
import { isRedundant, readWalLevel, refuseReserved, type SettingContext } from './reserved.ts';
import { HOT_STANDBY_SENSITIVE } from './settings.ts';

/** Settings by name, without those that every node has anyway, and every problem; a problem begins with its line number. */
export interface SettingInput {
  readonly given: ReadonlyMap<string, GivenSetting>;
  readonly problems: readonly string[];
}

/**
 * Checks the team's settings as far as possible without a server: that none belongs to the action or was removed from
 * PostgreSQL, and that numbers are within bounds.
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

/** Writes the settings that replicas and primary are compared by as plain numbers, and `wal_level` by its current name. */
function simplify(setting: GivenSetting): GivenSetting {
  if (setting.name === 'wal_level') return { ...setting, value: readWalLevel(setting.value) };
  if (!HOT_STANDBY_SENSITIVE.includes(setting.name)) return setting;
  const number = parseInteger(setting.value, null);
  return number === null ? setting : { ...setting, value: String(number) };
}

function readLine(problem: string): number {
  return Number(/^line (\d+)/.exec(problem)?.[1] ?? 0);
}
