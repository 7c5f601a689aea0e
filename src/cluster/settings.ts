/** PostgreSQL settings by name, values as written in `postgresql.conf` without quotes. */
export type Settings = Readonly<Record<string, string>>;

/** One row of `pg_settings` as a running server reports it. */
export interface SettingInForce {
  /** The value in the setting's base unit, e.g. `32768`. */
  readonly setting: string;
  /** The base unit, e.g. `8kB`, `ms`, or null. */
  readonly unit: string | null;
  /** When a change takes effect: `postmaster` needs a restart, all else at most a reload. */
  readonly context: string;
  /** Set by ALTER SYSTEM, which wins over `postgresql.conf`: no restart will bring the value asked for. */
  readonly overridden: boolean;
}

/**
 * Settings a replica must have at least as large as its primary, or it pauses recovery
 * (PostgreSQL manual, 26.4.3 "Administrator's Overview" of hot standby).
 */
export const HOT_STANDBY_SENSITIVE: readonly string[] = [
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_wal_senders',
  'max_worker_processes',
];

/**
 * What every node runs with besides what the team chose, and why.
 */
export const MANAGED_SETTINGS: Settings = {
  // The security group and pg_hba.conf decide who gets in; binding by address would break on a new one.
  listen_addresses: '*',
  port: '5432',
  // Where the images' client programs look; some builds of the server have another default.
  unix_socket_directories: '/var/run/postgresql',
  password_encryption: 'scram-sha-256',
  wal_level: 'replica',
  // Headroom: a clone takes two senders, and fifteen replicas may be cloned at once. Adding one must never
  // cost a restart.
  max_wal_senders: '40',
  max_replication_slots: '20',
  // A dead replica's slot must not fill the primary's disk: a quarter of the default 20 GiB volume.
  max_slot_wal_keep_size: '5GB',
  // pg_rewind after a failover needs hint bits in the WAL (or checksums, which initdb also gets).
  wal_log_hints: 'on',
  hot_standby: 'on',
  // Off: a forgotten query on a replica must not bloat the primary. The price, a cancelled query on
  // the replica after max_standby_streaming_delay, is paid by the one who asked.
  hot_standby_feedback: 'off',
  max_standby_streaming_delay: '30s',
  // Asynchronous: a lost replica must not stop writes.
  synchronous_standby_names: '',
};

/** The complete settings of a node: what is managed, then what the team chose. */
export function mergeSettings(chosen: Settings): Settings {
  return { ...MANAGED_SETTINGS, ...chosen };
}

const MEMORY_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};
const TIME_UNITS: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: 1_000_000,
  min: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};
const TRUE_WORDS = new Set(['on', 'true', 'yes', '1']);
const FALSE_WORDS = new Set(['off', 'false', 'no', '0']);

/**
 * Bytes in a memory size as PostgreSQL writes it, e.g. `256MB` → 268435456; null when it is not one.
 * Units are case-sensitive (PostgreSQL manual, 19.1.1 "Parameter Names and Values").
 */
export function parseMemory(value: string): number | null {
  return parseQuantity(value, MEMORY_UNITS);
}

function parseQuantity(value: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d+)\s*([A-Za-z]+)$/.exec(value.trim());
  const factor = match ? units[match[2] as string] : undefined;
  return match && factor !== undefined ? Number(match[1]) * factor : null;
}

/** Size of one base unit (`8kB`, `ms`), in bytes or microseconds; null when it has no unit we know. */
function parseBaseUnit(
  unit: string,
): { size: number; units: Readonly<Record<string, number>> } | null {
  const match = /^(\d*)([A-Za-z]+)$/.exec(unit);
  if (!match) return null;
  for (const units of [MEMORY_UNITS, TIME_UNITS]) {
    const factor = units[match[2] as string];
    if (factor !== undefined) return { size: Number(match[1] || '1') * factor, units };
  }
  return null;
}

/**
 * Whether the value asked for is the one in force, e.g. `256MB` against `32768` × `8kB`, `on` against
 * `on`, `1min` against `60` × `s`. A sub-unit remainder is rounded as PostgreSQL does (19.1.1).
 */
export function isInForce(wanted: string, inForce: SettingInForce): boolean {
  if (wanted === inForce.setting) return true;
  const base = inForce.unit === null ? null : parseBaseUnit(inForce.unit);
  if (base) {
    const quantity = parseQuantity(wanted, base.units);
    return quantity !== null && Math.round(quantity / base.size) === Number(inForce.setting);
  }
  if (inForce.setting === 'on') return TRUE_WORDS.has(wanted.toLowerCase());
  if (inForce.setting === 'off') return FALSE_WORDS.has(wanted.toLowerCase());
  return false;
}
