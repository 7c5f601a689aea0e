import { quoteValue } from '../../messages/quote-value.ts';
import { suggestName } from '../../messages/suggest-name.ts';
import {
  formatQuantity,
  listUnits,
  parseBoolean,
  parseInteger,
  parseReal,
  parseWord,
} from './parse-value.ts';
import { explainRemoved } from './removed.ts';
import type { SettingInForce, Settings } from './settings.ts';

/**
 * Returns what PostgreSQL would reject in `settings`, by the rows of `pg_settings` of the running server: unknown names,
 * names that cannot be set, values of another type, unit or range (manual, 19.1.1 and 54.24).
 *
 * `known` holds, by lower-case name, at least the rows of those `settings` that the server knows. A name with a dot belongs
 * to an extension, which may not be loaded yet. Every problem begins with `where`.
 */
export function checkSettings(
  settings: Settings,
  known: Readonly<Record<string, SettingInForce>>,
  where = 'settings',
): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const row = Object.hasOwn(known, name) ? known[name] : undefined;
    const problem = row
      ? checkValue({ name, value, row })
      : refuseUnknown(name, Object.keys(known));
    return problem === null ? [] : [`${where}: ${problem}`];
  });
}

function refuseUnknown(name: string, known: readonly string[]): string | null {
  if (name.includes('.')) return null;
  // No supported version has a setting of that name.
  const former = explainRemoved(name, Number.POSITIVE_INFINITY);
  if (former !== null) return former;
  const near = suggestName(name, known);
  const way = near
    ? `Did you mean ${near}?`
    : 'Correct the name, or remove the line; the settings of an extension have its name and a dot in front.';
  return `the server knows no setting ${quoteValue(name)}. ${way}`;
}

interface Given {
  readonly name: string;
  readonly value: string;
  readonly row: SettingInForce;
}

function checkValue(given: Given): string | null {
  const { name, value, row } = given;
  if (row.context === 'internal') {
    return `${name} cannot be set: it was fixed when the server was built or its data was made, and is ${row.setting}. Remove the line.`;
  }
  switch (row.type) {
    case 'bool':
      return parseBoolean(value) === null ? refuse(given, 'on or off') : null;
    case 'enum':
      return parseWord(value, row.words) === null ? refuse(given, row.words.join(', ')) : null;
    case 'integer':
      return checkNumber(given, parseInteger(value, row.unit));
    case 'real':
      return checkNumber(given, parseReal(value, row.unit));
    default:
      return null;
  }
}

function checkNumber(given: Given, number: number | null): string | null {
  const { value, row } = given;
  // An integer that is too large for PostgreSQL is out of range, and still a number.
  const found = number ?? parseReal(value, row.unit);
  if (found === null) return refuse(given, describeNumber(row));
  const { min, max } = row;
  if (min !== null && found < Number(min))
    return refuseRange(given, `below its minimum ${showSetting(min, row)}`);
  if (max !== null && found > Number(max))
    return refuseRange(given, `above its maximum ${showSetting(max, row)}`);
  return number === null ? refuse(given, describeNumber(row)) : null;
}

function refuseRange({ name, value, row: { unit } }: Given, how: string): string {
  const bare = unit !== null && /^\s*\+?[\d.]+\s*$/.test(value);
  return `${name} = ${value.trim()} is ${how}${bare ? `; without a unit it counts ${unit}` : ''}.`;
}

function refuse({ name, value, row }: Given, allowed: string): string {
  const example = row.default === null ? '' : `, e.g. ${showSetting(row.default, row)}`;
  return `${name} = ${quoteValue(value)} is not allowed. Allowed: ${allowed}${example}.`;
}

function describeNumber(row: SettingInForce): string {
  const { min, max, type, unit } = row;
  const kind = type === 'integer' ? 'a whole number' : 'a number';
  const range =
    min === null || max === null
      ? ''
      : ` from ${showSetting(min, row)} to ${showSetting(max, row)}`;
  const units = listUnits(unit);
  return units.length === 0
    ? `${kind}${range}`
    : `${kind}${range} with a unit of ${units.join(', ')} (PostgreSQL is case-sensitive about them)`;
}

/** Returns a value of `pg_settings` as a person would write it. */
export function showSetting(value: string, { type, unit }: SettingInForce): string {
  const number = Number(value);
  // Special values such as -1 are not quantities.
  const isQuantity = ['integer', 'real'].includes(type) && number > 0 && Number.isFinite(number);
  return isQuantity ? formatQuantity(number, unit) : value;
}
