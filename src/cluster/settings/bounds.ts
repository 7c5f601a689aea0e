import { formatQuantity, listUnits, parseInteger } from './parse-value.ts';

/** The range of a setting, in its base unit. */
interface Bounds {
  readonly unit: string | null;
  readonly least: number;
  readonly most: number;
  readonly example: string;
}

/** PostgreSQL's limit for backends and what belongs to each (`MAX_BACKENDS` in its source). */
const MAX_BACKENDS = 262_143;
const MAX_INTEGER = 2 ** 31 - 1;

/**
 * Bounds of settings that are checked before a server can be asked (manual, chapter 19; `pg_settings` of 14 to 18).
 */
const BOUNDS = {
  // Three connections are reserved for superusers, and at least one more is required.
  max_connections: { unit: null, least: 4, most: MAX_BACKENDS, example: '200' },
  max_locks_per_transaction: { unit: null, least: 10, most: MAX_INTEGER, example: '64' },
  max_prepared_transactions: { unit: null, least: 0, most: MAX_BACKENDS, example: '0' },
  max_replication_slots: { unit: null, least: 0, most: MAX_BACKENDS, example: '20' },
  max_wal_senders: { unit: null, least: 0, most: MAX_BACKENDS, example: '40' },
  max_worker_processes: { unit: null, least: 0, most: MAX_BACKENDS, example: '8' },
  // PostgreSQL accepts less than 8TB; 8191GB is the largest whole number of GB.
  shared_buffers: { unit: '8kB', least: 16, most: 8191 * 131_072, example: '256MB' },
} as const satisfies Record<string, Bounds>;

/** A setting whose bounds are known. */
export type BoundedSetting = keyof typeof BOUNDS;

/** Whether the bounds of the setting are known. */
export function isBounded(name: string): name is BoundedSetting {
  return Object.hasOwn(BOUNDS, name);
}

/** Whether the number in `value` is within the bounds of the setting. */
export function isWithinBounds(name: BoundedSetting, value: string): boolean {
  const { unit, least, most } = BOUNDS[name];
  const number = parseInteger(value, unit);
  return number !== null && number >= least && number <= most;
}

/** Returns what the setting accepts, for a message after "Allowed: ". */
export function describeBounds(name: BoundedSetting): string {
  const { unit, least, most, example } = BOUNDS[name];
  const [from, to] = [least, most].map((number) => formatQuantity(number, unit));
  const units = listUnits(unit).filter((candidate) => candidate !== 'B');
  return units.length === 0
    ? `a whole number from ${from} to ${to}, e.g. ${example}`
    : `a whole number with a unit (${units.join(', ')}; PostgreSQL is case-sensitive about them), ${from} to ${to}, e.g. ${example}`;
}
