import { OLDEST_MAJOR } from '../end-of-life.ts';

/** A setting that PostgreSQL no longer has. */
interface RemovedSetting {
  /** The first version without it. */
  readonly since: number;
  /** What replaces it, or that nothing does, as sentences. */
  readonly instead: string;
}

const REMOVE = 'Remove the line.';
const BY_ITSELF = `The server finds it by itself. ${REMOVE}`;
const TRACKED = 'Use track_counts.';
const STANDBY =
  'A replica is one by the file standby.signal, which the action writes. Remove the line.';

/**
 * Removed settings that are still found in old configuration files (PostgreSQL's release notes, "Migration to Version …",
 * of each version named here; 14 to 18 were asked with `postgres -C NAME`). The server still accepts `sort_mem`,
 * `vacuum_mem` and `ssl_ecdh_curve` for the new name (`map_old_guc_names` in its `guc.c`), but shows only the new name;
 * `default_with_oids` and `ssl_renegotiation_limit` accept only their default.
 */
const REMOVED: ReadonlyMap<string, RemovedSetting> = new Map([
  ['sort_mem', { since: 8, instead: 'Use work_mem.' }],
  ['vacuum_mem', { since: 8, instead: 'Use maintenance_work_mem.' }],
  ['redirect_stderr', { since: 8.3, instead: 'Use logging_collector.' }],
  ['stats_start_collector', { since: 8.3, instead: REMOVE }],
  ['stats_command_string', { since: 8.3, instead: 'Use track_activities.' }],
  ['stats_block_level', { since: 8.3, instead: TRACKED }],
  ['stats_row_level', { since: 8.3, instead: TRACKED }],
  ['max_fsm_pages', { since: 8.4, instead: BY_ITSELF }],
  ['max_fsm_relations', { since: 8.4, instead: BY_ITSELF }],
  ['explain_pretty_print', { since: 8.4, instead: REMOVE }],
  ['add_missing_from', { since: 9, instead: 'Every table must stand in FROM. Remove the line.' }],
  ['regex_flavor', { since: 9, instead: REMOVE }],
  [
    'custom_variable_classes',
    {
      since: 9.2,
      instead: 'Settings with a dot in their name need no announcement. Remove the line.',
    },
  ],
  ['silent_mode', { since: 9.2, instead: REMOVE }],
  ['wal_sender_delay', { since: 9.2, instead: REMOVE }],
  [
    'unix_socket_directory',
    { since: 9.3, instead: 'The action sets unix_socket_directories. Remove the line.' },
  ],
  ['replication_timeout', { since: 9.3, instead: 'Use wal_sender_timeout.' }],
  [
    'krb_srvname',
    { since: 9.4, instead: 'Clients give krbsrvname in their connection string. Remove the line.' },
  ],
  [
    'checkpoint_segments',
    {
      since: 9.5,
      instead: 'Use max_wal_size, about 48MB for each segment (3 × checkpoint_segments × 16MB).',
    },
  ],
  [
    'ssl_renegotiation_limit',
    { since: 9.5, instead: 'The server renegotiates nothing. Remove the line.' },
  ],
  [
    'min_parallel_relation_size',
    { since: 10, instead: 'Use min_parallel_table_scan_size and min_parallel_index_scan_size.' },
  ],
  [
    'sql_inheritance',
    {
      since: 10,
      instead: 'Queries always include child tables; ONLY leaves them out. Remove the line.',
    },
  ],
  ['replacement_sort_tuples', { since: 11, instead: REMOVE }],
  [
    'default_with_oids',
    { since: 12, instead: 'No table has OIDs of its own any more. Remove the line.' },
  ],
  ['standby_mode', { since: 12, instead: STANDBY }],
  [
    'trigger_file',
    {
      since: 12,
      instead:
        'Use the input primary for a switchover, command: failover when the primary is lost.',
    },
  ],
  [
    'wal_keep_segments',
    {
      since: 13,
      instead: 'Use wal_keep_size, 16MB for each segment, e.g. wal_keep_size = 512MB for 32.',
    },
  ],
  ['operator_precedence_warning', { since: 14, instead: REMOVE }],
  ['vacuum_cleanup_index_scale_factor', { since: 14, instead: REMOVE }],
  [
    'stats_temp_directory',
    { since: 15, instead: 'Statistics are kept in shared memory. Remove the line.' },
  ],
  [
    'force_parallel_mode',
    { since: 16, instead: 'Use debug_parallel_query, which is for tests alone.' },
  ],
  [
    'lc_collate',
    { since: 16, instead: 'Every database has its own, from CREATE DATABASE. Remove the line.' },
  ],
  [
    'lc_ctype',
    { since: 16, instead: 'Every database has its own, from CREATE DATABASE. Remove the line.' },
  ],
  [
    'vacuum_defer_cleanup_age',
    { since: 16, instead: 'Use hot_standby_feedback; the slots of the replicas keep the WAL.' },
  ],
  ['db_user_namespace', { since: 17, instead: REMOVE }],
  [
    'old_snapshot_threshold',
    { since: 17, instead: 'Use transaction_timeout or idle_in_transaction_session_timeout.' },
  ],
  ['trace_recovery_messages', { since: 17, instead: REMOVE }],
  ['ssl_ecdh_curve', { since: 18, instead: 'Use ssl_groups.' }],
]);

/**
 * Says that PostgreSQL `major` no longer has a setting, and what replaces it; null where it has it, or never had it.
 * `major` null: unknown, so a setting that any supported major has counts as existing.
 */
export function explainRemoved(name: string, major: number | null): string | null {
  const removed = REMOVED.get(name);
  if (removed === undefined || removed.since > (major ?? OLDEST_MAJOR)) return null;
  const { since, instead } = removed;
  // Before 10, a major version had two numbers.
  const version = since < 10 ? since.toFixed(1) : since;
  return `PostgreSQL has had no ${name} since version ${version}. ${instead}`;
}
