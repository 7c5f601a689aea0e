import { ARCHIVING, completeArchiving } from './archiving.ts';
import { parseBoolean, parseInteger, parseReal, parseWord } from './parse-value.ts';

/** PostgreSQL settings by name, values as written in `postgresql.conf` without quotes. */
export type Settings = Readonly<Record<string, string>>;

/** One row of `pg_settings` as a running server reports it. */
export interface SettingInForce {
  /** The value in the setting's base unit, e.g. `32768`. */
  readonly setting: string;
  /** The base unit, e.g. `8kB`, `ms`, or null. */
  readonly unit: string | null;
  /** When a change takes effect: `postmaster` needs a restart, `internal` cannot be changed, others need at most a reload. */
  readonly context: string;
  /** `bool`, `integer`, `real`, `string` or `enum`. */
  readonly type: string;
  /** Bounds of a number, in the base unit; null for other types. */
  readonly min: string | null;
  readonly max: string | null;
  /** The words that an `enum` accepts; empty for other types. */
  readonly words: readonly string[];
  /** The default (`boot_val`); null for a string without one. */
  readonly default: string | null;
  /** Whether a configuration file sets it. */
  readonly fromFile: boolean;
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
 * The settings that every node runs with besides the team's, and why.
 */
export const MANAGED_SETTINGS: Settings = {
  // The security group and pg_hba.conf decide who gets in; binding by address would break on a new one.
  listen_addresses: '*',
  port: '5432',
  // The directory that the images' client programs use; some builds of the server have another default.
  unix_socket_directories: '/var/run/postgresql',
  password_encryption: 'scram-sha-256',
  wal_level: 'replica',
  // Headroom: a clone takes two senders, and fifteen replicas may be cloned at once. Adding one must never
  // cost a restart.
  max_wal_senders: '40',
  max_replication_slots: '20',
  // These two follow the volume's size (`sizeWal`): here for 20 GiB.
  max_slot_wal_keep_size: '5GB',
  wal_keep_size: '2GB',
  // pg_rewind after a failover needs hint bits in the WAL (or checksums, which initdb also gets).
  wal_log_hints: 'on',
  hot_standby: 'on',
  // It does nothing before the cluster has backups.
  ...ARCHIVING,
  // A replica retries soon after its primary was unreachable for a moment; the default is 5 s.
  wal_retrieve_retry_interval: '500ms',
  // Off: a forgotten query on a replica must not bloat the primary. Instead, the query is cancelled after
  // max_standby_streaming_delay.
  hot_standby_feedback: 'off',
  max_standby_streaming_delay: '30s',
  // Asynchronous: a lost replica must not stop writes.
  synchronous_standby_names: '',
};

/**
 * Returns the complete settings of a node: the managed ones, overridden by the team's. `dataGib`: size of its data volume in
 * GiB.
 */
export function mergeSettings(chosen: Settings, { dataGib }: { dataGib: number }): Settings {
  const { archive_mode, archive_command, ...managed } = MANAGED_SETTINGS;
  return { ...managed, ...sizeWal(dataGib), ...completeArchiving(chosen), ...chosen };
}

/**
 * Returns the settings of a cluster with backups: unless the team says otherwise, a segment is archived after five minutes
 * although it is not full, so that what can be restored is no older. An idle server archives nothing.
 */
export function limitArchiveAge(chosen: Settings): Settings {
  return { archive_timeout: '5min', ...chosen };
}

/** Returns the settings for WAL that is kept, on a data volume of `dataGib` GiB. */
function sizeWal(dataGib: number): Settings {
  const whole = dataGib * 1024;
  return {
    // A dead replica's slot must not fill the primary's disk: a quarter of it.
    max_slot_wal_keep_size: showMib(whole / 4),
    // A replica also keeps what it received: once it is the primary, a replica that was behind continues from there instead
    // of being cloned. Slots on replicas would have to be advanced. This much is always kept, so that a large volume does
    // not need more, and a small one spares a tenth.
    wal_keep_size: showMib(Math.min(2048, Math.floor(whole / 10))),
  };
}

const showMib = (mib: number): string => (mib % 1024 === 0 ? `${mib / 1024}GB` : `${mib}MB`);

/**
 * Whether the wanted value is in force, as PostgreSQL compares them: `256MB` against `32768` × `8kB`,
 * `1.5GB` against `1536MB`, `0700` against `448`, `yes` against `on` (manual, 19.1.1).
 */
export function isInForce(wanted: string, inForce: SettingInForce): boolean {
  const { setting, fromFile } = inForce;
  // archive_command always shows this while archive_mode is off.
  if (wanted === setting || setting === '(disabled)') return true;
  // For a default such as -1 the server shows the size that it chose, which it chooses again at every start.
  const chosen = !fromFile && inForce.default !== null && isSame(wanted, inForce.default, inForce);
  return chosen || isSame(wanted, setting, inForce);
}

function isSame(a: string, b: string, inForce: SettingInForce): boolean {
  if (a === b) return true;
  const [left, right] = [normalise(a, inForce), normalise(b, inForce)];
  return left !== null && left === right;
}

/** Returns a value in a form that can be compared, or null when it is invalid. */
function normalise(
  value: string,
  { type, unit, words }: SettingInForce,
): boolean | number | string | null {
  switch (type) {
    case 'bool':
      return parseBoolean(value);
    case 'integer':
      return parseInteger(value, unit);
    case 'real': {
      // pg_settings shows six digits.
      const number = parseReal(value, unit);
      return number === null ? null : Number(number.toPrecision(6));
    }
    case 'enum':
      return parseWord(value, words);
    default:
      return value;
  }
}
