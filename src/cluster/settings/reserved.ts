import { quoteValue } from '../../messages/quote-value.ts';
import { describeBounds, isBounded, isWithinBounds } from './bounds.ts';
import type { GivenSetting } from './lines.ts';
import { parseBoolean, parseInteger, parseWord } from './parse-value.ts';
import { explainRemoved } from './removed.ts';
import { MANAGED_SETTINGS, type Settings } from './settings.ts';
import { explainWeakCommit } from './synchronous-commit.ts';

const PLACES =
  'The action decides where the files of a node lie, because it has to find them again. Remove the line.';
const NO_OTHER_FILES = 'A node has no other configuration file. Write the settings here.';
const FOLLOWS =
  'It is written for each node, so that replicas follow whichever node is the primary; the input primary names that one.';
const SOCKET = 'The socket is where the action itself logs in. Remove the line.';
const SESSION =
  'It belongs to a session or a transaction, not to a file. Set it there, or use ALTER ROLE … SET.';
const PRELOAD =
  'A library that the image lacks would end every new session, the one that repairs it included. Use shared_preload_libraries, which is tried before anything changes.';

/** Settings that a team may not set: why, and what to use instead. */
const RESERVED: ReadonlyMap<string, string> = new Map(
  Object.entries({
    listen_addresses:
      'A node listens on all its addresses, so that a new one costs no restart. Say in client-cidrs who may connect.',
    port: 'Every node listens on 5432, as its security group and connection-string say. Put a proxy in front for another port.',
    data_directory: PLACES,
    config_file: PLACES,
    ident_file: PLACES,
    external_pid_file: PLACES,
    hba_file: 'The action writes pg_hba.conf. Say in client-cidrs who may connect.',
    include: NO_OTHER_FILES,
    include_dir: NO_OTHER_FILES,
    include_if_exists: NO_OTHER_FILES,
    unix_socket_directories: SOCKET,
    unix_socket_permissions: SOCKET,
    unix_socket_group: SOCKET,
    cluster_name:
      'It is the cluster and the node, e.g. postgres/node-1. Use the input cluster-name.',
    application_name: 'Every client names itself, in its connection string.',
    password_encryption:
      'pg_hba.conf lets in scram-sha-256 alone, so another kind of password would lock its owner out. Remove the line.',
    primary_conninfo: FOLLOWS,
    primary_slot_name: FOLLOWS,
    sync_replication_slots:
      'With wal_level = logical replicas copy slots by themselves, from PostgreSQL 17 on. Remove the line.',
    synchronized_standby_slots:
      'A replica that is lost would hold back every consumer of a logical slot, and the primary would keep WAL for them. Remove the line.',
    hot_standby:
      'Replicas answer queries; that is also how their state and lag are read. Remove the line.',
    promote_trigger_file:
      'A file must not make a second primary. Use the input primary for a switchover, command: failover when the primary is lost.',
    synchronous_standby_names: 'Use the input synchronous-replicas.',
    restore_command:
      'An archive may hold WAL of a primary that was given up; a replica that replays it can follow no other any more. Replicas take all WAL from the primary, which keeps it in their slots. One that fell too far behind takes from the archive of the backups what is the history of the primary, and nothing else, or is cloned again.',
    recovery_min_apply_delay:
      'Every replica must be able to become the primary at once. Keep a delayed copy outside the cluster.',
    session_preload_libraries: PRELOAD,
    local_preload_libraries: PRELOAD,
    role: SESSION,
    session_authorization: SESSION,
    seed: SESSION,
    transaction_isolation: `${SESSION} For all there is default_transaction_isolation.`,
    transaction_read_only: SESSION,
    transaction_deferrable: `${SESSION} For all there is default_transaction_deferrable.`,
  }),
);
const RECOVERY_TARGET =
  'A replica that stops at a target follows no more. Restore a backup into a cluster of its own for a point in time.';

/** How PostgreSQL compares the values of reserved settings that are not plain text. */
const READERS: ReadonlyMap<string, (value: string) => unknown> = new Map(
  Object.entries({
    port: (value: string) => parseInteger(value, null),
    unix_socket_permissions: (value: string) => parseInteger(value, null),
    recovery_min_apply_delay: (value: string) => parseInteger(value, 'ms'),
    hot_standby: parseBoolean,
    recovery_target_inclusive: parseBoolean,
    password_encryption: (value: string) => parseWord(value, ['scram-sha-256', 'md5']),
    recovery_target_action: (value: string) => parseWord(value, ['pause', 'promote', 'shutdown']),
    // Lists, with blanks around their entries.
    listen_addresses: (value: string) => value.trim(),
    unix_socket_directories: (value: string) => value.trim(),
  }),
);

/** The values of reserved settings that are not managed: PostgreSQL's defaults, the same in 14 to 18. */
const DEFAULTS: Settings = {
  application_name: '',
  external_pid_file: '',
  local_preload_libraries: '',
  promote_trigger_file: '',
  recovery_min_apply_delay: '0',
  recovery_target: '',
  recovery_target_action: 'pause',
  recovery_target_inclusive: 'on',
  recovery_target_lsn: '',
  recovery_target_name: '',
  recovery_target_time: '',
  recovery_target_timeline: 'latest',
  recovery_target_xid: '',
  restore_command: '',
  session_preload_libraries: '',
  synchronized_standby_slots: '',
  unix_socket_group: '',
  unix_socket_permissions: '0777',
};

/** Boolean settings with a value that loses data or stops the cluster. */
const DANGEROUS: ReadonlyMap<string, { readonly value: boolean; readonly why: string }> = new Map([
  [
    'fsync',
    {
      value: false,
      why: 'One crash of the instance would leave data that nothing can repair, and a replica that crashed may be the next primary. synchronous_commit = off is nearly as fast and loses at most the last commits.',
    },
  ],
  [
    'full_page_writes',
    {
      value: false,
      why: 'A page that was half written in a crash could not be repaired, and pg_rewind, which brings an old primary back, needs it. wal_compression = on makes it cheaper.',
    },
  ],
  [
    'zero_damaged_pages',
    {
      value: true,
      why: 'It deletes rows as it reads them. Set it in the one session that rescues a table.',
    },
  ],
  [
    'ignore_checksum_failure',
    {
      value: true,
      why: 'It spreads damaged rows. Set it in the one session that rescues a table.',
    },
  ],
  [
    'ignore_invalid_pages',
    {
      value: true,
      why: 'A replica would silently skip changes. One that cannot replay is cloned again instead.',
    },
  ],
  [
    'default_transaction_read_only',
    {
      value: true,
      why: 'No node would count as the primary for target_session_attrs=read-write in connection-string. Use ALTER ROLE … SET for the roles that only read.',
    },
  ],
]);

/** Settings that name files of the image: nothing puts them into the data directory. */
export const TLS_FILES: readonly string[] = [
  'ssl_cert_file',
  'ssl_key_file',
  'ssl_ca_file',
  'ssl_crl_file',
  'ssl_crl_dir',
  'ssl_dh_params_file',
];

/** The data directory in the container: nothing that a server writes elsewhere persists. */
const DATA_DIRECTORY = '/var/lib/postgresql-cluster/data';

/** Directories that the server writes into, and an example each. */
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ['log_directory', 'log'],
  ['stats_temp_directory', 'pg_stat_tmp'],
]);

/** Settings of which every replica uses a share. */
const SHARED_BY_REPLICAS = ['max_wal_senders', 'max_replication_slots'];

/** What settings are checked against; null where unknown. */
export interface SettingContext {
  readonly replicaCount: number | null;
  readonly synchronousReplicas: number | null;
  /** PostgreSQL's major version. */
  readonly major: number | null;
}

/** Whether a setting belongs to the action, and has the value that every node has anyway. */
export function isRedundant(
  { name, value }: Pick<GivenSetting, 'name' | 'value'>,
  { synchronousReplicas }: SettingContext,
): boolean {
  if (!isReserved(name) || (name === 'synchronous_standby_names' && synchronousReplicas !== 0)) {
    return false;
  }
  const own = Object.hasOwn(MANAGED_SETTINGS, name) ? MANAGED_SETTINGS[name] : DEFAULTS[name];
  if (own === undefined) return false;
  const read = READERS.get(name) ?? ((text: string) => text);
  return read(value) === read(own);
}

const isReserved = (name: string): boolean =>
  RESERVED.has(name) || name.startsWith('recovery_target');

/**
 * Returns why settings cannot be given here, and what to use instead; each problem begins with the line number. A setting
 * with the value that every node has anyway is accepted.
 */
export function refuseReserved(given: readonly GivenSetting[], context: SettingContext): string[] {
  return [
    ...given.flatMap((setting) => {
      const why = isRedundant(setting, context) ? null : refuse(setting, context);
      return why === null ? [] : [`line ${setting.line}: ${why}`];
    }),
    ...refuseTlsWithoutFiles(given),
  ];
}

function refuse(
  { name, value }: GivenSetting,
  { replicaCount, synchronousReplicas, major }: SettingContext,
): string | null {
  const reserved = name.startsWith('recovery_target') ? RECOVERY_TARGET : RESERVED.get(name);
  if (reserved !== undefined) return `${name} is not allowed. ${reserved}`;
  const former = explainRemoved(name, major);
  if (former !== null) return former;
  const shown = `${name} = ${value === '' ? "''" : value}`;
  const dangerous = DANGEROUS.get(name);
  if (dangerous && parseBoolean(value) === dangerous.value) {
    return `${shown} is not allowed. ${dangerous.why}`;
  }
  const weak = name === 'synchronous_commit' ? explainWeakCommit(value) : null;
  if (weak !== null && synchronousReplicas !== null && synchronousReplicas > 0) {
    return `${shown} is not allowed beside synchronous-replicas: ${synchronousReplicas}. With it ${weak}. Allowed: on or remote_apply; a transaction that needs no more can set it for itself (SET LOCAL synchronous_commit).`;
  }
  if (name === 'wal_level' && !['replica', 'logical'].includes(readWalLevel(value))) {
    return `wal_level = ${quoteValue(value)} is not allowed. Allowed: replica or logical; replicas need no less, e.g. logical.`;
  }
  if (
    name === 'default_transaction_isolation' &&
    value.toLowerCase() === 'serializable' &&
    replicaCount !== 0
  ) {
    return `${shown} is not allowed. Replicas would refuse every query. Use ALTER ROLE … SET for the roles that work on the primary.`;
  }
  const directory = WRITTEN.get(name);
  if (directory !== undefined && !isInDataDirectory(value)) {
    return `${name} = ${quoteValue(value)} is not allowed. Allowed: a path relative to the data directory, as the container has no other directory that lasts, e.g. ${directory}.`;
  }
  if (TLS_FILES.includes(name) && value !== '' && !isInImage(value)) {
    return `${name} = ${quoteValue(value)} is not allowed. Allowed: the absolute path of a file in the image, as nothing puts one into the data directory, e.g. /etc/ssl/postgres.crt.`;
  }
  return refuseNumber({ name, value }, replicaCount);
}

const isInDataDirectory = (path: string): boolean =>
  path !== '' &&
  !path.split('/').includes('..') &&
  (!path.startsWith('/') || path.startsWith(`${DATA_DIRECTORY}/`));

/** Whether the path is absolute, and not one of the volume or of the action's own files. */
const isInImage = (path: string): boolean =>
  path.startsWith('/') && !/^\/(?:var\/lib|etc)\/postgresql-cluster(?:\/|$)/.test(path);

/** Returns the level in lower case; its names from before 9.6 are still accepted (manual, 19.5.1). */
export function readWalLevel(value: string): string {
  const level = value.toLowerCase();
  return ['archive', 'hot_standby'].includes(level) ? 'replica' : level;
}

function refuseNumber(
  { name, value }: Pick<GivenSetting, 'name' | 'value'>,
  replicaCount: number | null,
): string | null {
  if (!isBounded(name)) return null;
  if (!isWithinBounds(name, value)) {
    return `${name} = ${quoteValue(value)} is not allowed. Allowed: ${describeBounds(name)}.`;
  }
  if (!SHARED_BY_REPLICAS.includes(name)) return null;
  const least = 2 * (replicaCount ?? 0) + 2;
  const number = parseInteger(value, null) ?? 0;
  if (number >= least) return null;
  return `${name} = ${number} is not enough for ${countReplicas(replicaCount ?? 0)}, which may all be cloned at once. Allowed: ${least} (two for each and two to spare) or more, e.g. ${least}.`;
}

const countReplicas = (count: number) => `${count} replica${count === 1 ? '' : 's'}`;

function refuseTlsWithoutFiles(given: readonly GivenSetting[]): string[] {
  const ssl = given.find(({ name }) => name === 'ssl');
  if (!ssl || parseBoolean(ssl.value) !== true) return [];
  const missing = ['ssl_cert_file', 'ssl_key_file'].filter(
    (file) => !given.some(({ name, value }) => name === file && value !== ''),
  );
  if (missing.length === 0) return [];
  return [
    `line ${ssl.line}: ssl = ${ssl.value} needs ${missing.join(' and ')}. Put the certificate and its key into the image and name both, e.g. ssl_key_file = '/etc/ssl/postgres.key'.`,
  ];
}
