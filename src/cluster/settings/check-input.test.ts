import { describe, expect, test } from 'vitest';
import { checkSettings } from './check-input.ts';
import { parseSettingLines } from './lines.ts';
import type { SettingContext } from './reserved.ts';
import { MANAGED_SETTINGS } from './settings.ts';

const read = (
  text: string,
  replicaCount: number | null = 2,
  context: Partial<SettingContext> = {},
) =>
  checkSettings(parseSettingLines(text), {
    replicaCount,
    synchronousReplicas: 0,
    major: 17,
    ...context,
  });

describe('checkSettings', () => {
  test.each<[string, RegExp]>([
    ['listen_addresses = localhost', /client-cidrs/],
    ['port = 5433', /5432/],
    ["data_directory = '/x'", /Remove the line/],
    ["config_file = '/x'", /Remove the line/],
    ["hba_file = '/x'", /client-cidrs/],
    ["ident_file = '/x'", /Remove the line/],
    ["external_pid_file = '/x'", /Remove the line/],
    ["include 'more.conf'", /Write the settings here/],
    ["include_dir 'conf.d'", /Write the settings here/],
    ["include_if_exists 'x'", /Write the settings here/],
    ["unix_socket_directories = '/tmp'", /Remove the line/],
    ['unix_socket_permissions = 0444', /Remove the line/],
    ['cluster_name = orders', /cluster-name/],
    ['password_encryption = md5', /scram-sha-256/],
    ["primary_conninfo = 'host=x'", /the input primary/],
    ['primary_slot_name = x', /the input primary/],
    ['hot_standby = off', /Replicas answer queries/],
    ['sync_replication_slots = on', /replicas copy slots by themselves/],
    ["synchronized_standby_slots = 'node_2'", /hold back every consumer/],
    ["promote_trigger_file = '/x'", /command: failover/],
    ["synchronous_standby_names = '*'", /synchronous-replicas/],
    ["restore_command = 'cp'", /cloned again/],
    ['recovery_target = immediate', /a cluster of its own/],
    ['recovery_target_timeline = 2', /a cluster of its own/],
    ['recovery_min_apply_delay = 1h', /become the primary at once/],
    ['session_preload_libraries = auto_explain', /shared_preload_libraries/],
    ['role = postgres', /ALTER ROLE/],
    ['transaction_read_only = on', /ALTER ROLE/],
    ['application_name = x', /Every client names itself/],
  ])('%s is refused by name, with what to use instead', (line, instead) => {
    const [name] = line.split(/[ =]/);
    expect(read(line).problems).toEqual([
      expect.stringMatching(new RegExp(`^line 1: ${name} is not allowed\\. .*${instead.source}`)),
    ]);
  });

  describe('synchronous_commit', () => {
    const readWith = (line: string, synchronousReplicas: number | null) =>
      read(line, 2, { synchronousReplicas }).problems;

    test.each<[string, RegExp]>([
      ['off', /before its primary has it on disk/],
      ['false', /before its primary has it on disk/],
      ['0', /before its primary has it on disk/],
      ['local', /without any replica/],
      ['LOCAL', /without any replica/],
      ['remote_write', /before the replica has flushed it/],
    ])('%s takes back what synchronous-replicas promises', (value, lost) => {
      const [problem, more] = readWith(`synchronous_commit = ${value}`, 1);
      expect(problem).toMatch(
        new RegExp(
          `^line 1: synchronous_commit = ${value} is not allowed beside synchronous-replicas: 1\\. .*${lost.source}.*Allowed: on or remote_apply`,
        ),
      );
      expect(more).toBeUndefined();
    });

    test.each(['on', 'yes', 'remote_apply'])('%s keeps it', (value) => {
      expect(readWith(`synchronous_commit = ${value}`, 1)).toEqual([]);
    });

    test('without synchronous replicas any value is allowed', () => {
      for (const value of ['off', 'local', 'remote_write']) {
        expect(readWith(`synchronous_commit = ${value}`, 0)).toEqual([]);
        expect(readWith(`synchronous_commit = ${value}`, null)).toEqual([]);
      }
    });
  });

  test.each<[string, RegExp]>([
    ['fsync = off', /synchronous_commit = off/],
    ['fsync = 0', /synchronous_commit = off/],
    ['full_page_writes = F', /pg_rewind/],
    ['zero_damaged_pages = on', /one session/],
    ['ignore_invalid_pages = on', /cloned again/],
    ['default_transaction_read_only = yes', /target_session_attrs/],
    ['default_transaction_isolation = serializable', /Replicas would refuse every query/],
    ['wal_level = minimal', /Allowed: replica or logical/],
    ['max_wal_senders = 5', /not enough for 2 replicas.* Allowed: 6 \(/],
    ['max_replication_slots = 5', /not enough for 2 replicas.* Allowed: 6 \(/],
    ['max_connections = lots', /"lots" is not allowed\. Allowed: a whole number/],
    ['ssl_key_file = server.key', /absolute path of a file in the image/],
    [
      "log_directory = '/logs'",
      /"\/logs" is not allowed\. Allowed: a path relative to the data directory/,
    ],
    ["log_directory = '../log'", /Allowed: a path relative to the data directory/],
    [
      "log_directory = '/var/lib/postgresql-cluster/data/../x'",
      /Allowed: a path relative to the data/,
    ],
    [
      "log_directory = '/var/lib/postgresql-cluster/database'",
      /Allowed: a path relative to the data/,
    ],
    ["log_directory = ''", /Allowed: a path relative to the data directory/],
    [
      "ssl_key_file = '/var/lib/postgresql-cluster/data/server.key'",
      /absolute path of a file in the image/,
    ],
    ['ssl = on', /needs ssl_cert_file and ssl_key_file/],
  ])('%s is refused for its value', (line, expected) => {
    expect(read(line).problems).toEqual([expect.stringMatching(expected)]);
    expect(read(line).problems[0]).toMatch(/^line 1: /);
  });

  test.each([
    "listen_addresses = '*'",
    "listen_addresses = ' * '",
    'port = 5432',
    'port = 0x1538',
    'hot_standby = on',
    'hot_standby = yes',
    'password_encryption = scram-sha-256',
    "password_encryption = 'SCRAM-SHA-256'",
    "unix_socket_directories = '/var/run/postgresql'",
    'unix_socket_permissions = 0777',
    "unix_socket_group = ''",
    "external_pid_file = ''",
    "promote_trigger_file = ''",
    "restore_command = ''",
    'recovery_min_apply_delay = 0s',
    'recovery_target_timeline = latest',
    'recovery_target_action = Pause',
    'recovery_target_inclusive = true',
    "synchronous_standby_names = ''",
    "session_preload_libraries = ''",
    "application_name = ''",
  ])('%s says what every node does anyway, and changes nothing', (line) => {
    const { given, problems } = read(line);
    expect(problems).toEqual([]);
    expect([...given]).toEqual([]);
  });

  test('an empty synchronous_standby_names is not redundant with synchronous replicas', () => {
    for (const synchronousReplicas of [1, null]) {
      const { problems } = read("synchronous_standby_names = ''", 2, { synchronousReplicas });
      expect(problems).toEqual([expect.stringMatching(/the input synchronous-replicas/)]);
    }
  });

  test.each([
    ['hot_standby', 'replica'],
    ['archive', 'replica'],
    ['Logical', 'logical'],
  ])('wal_level = %s is %s', (written, level) => {
    const { given, problems } = read(`wal_level = ${written}`);
    expect(problems).toEqual([]);
    expect(given.get('wal_level')?.value).toBe(level);
  });

  test.each<[string, number | null, RegExp]>([
    ['wal_keep_segments = 32', null, /since version 13\. Use wal_keep_size/],
    ['checkpoint_segments = 64', 14, /since version 9\.5\. Use max_wal_size/],
    ["stats_temp_directory = 'stats'", 15, /since version 15\. /],
    ['force_parallel_mode = on', 16, /Use debug_parallel_query/],
    ['old_snapshot_threshold = 1h', 17, /since version 17\. /],
    ['ssl_ecdh_curve = prime256v1', 18, /Use ssl_groups/],
    ['sort_mem = 8MB', null, /since version 8\.0\. Use work_mem\.$/],
  ])(
    '%s was removed from PostgreSQL %s, and the message names its replacement',
    (line, major, instead) => {
      const [name] = line.split(' ');
      const { problems } = read(`# gone\n${line}`, 2, { major });
      expect(problems).toEqual([
        expect.stringMatching(
          new RegExp(`^line 2: PostgreSQL has had no ${name} .*${instead.source}`),
        ),
      ]);
    },
  );

  test.each<[string, number | null]>([
    ["stats_temp_directory = 'stats'", 14],
    ["stats_temp_directory = 'stats'", null],
    ['force_parallel_mode = on', 15],
    ['old_snapshot_threshold = 1h', 16],
    ['ssl_ecdh_curve = prime256v1', 17],
  ])('%s is there in PostgreSQL %s', (line, major) => {
    expect(read(line, 2, { major }).problems).toEqual([]);
  });

  test.each([
    'fsync = on',
    'fsync = perhaps',
    'wal_level = logical',
    'wal_level = Replica',
    'max_wal_senders = 6',
    'max_replication_slots = 6',
    'wal_log_hints = off',
    'max_slot_wal_keep_size = 10GB',
    'hot_standby_feedback = on',
    'max_standby_streaming_delay = -1',
    "shared_preload_libraries = 'pg_stat_statements,auto_explain'",
    'synchronous_commit = off',
    "archive_command = 'wal-g wal-push %p'",
    'ssl = off',
    'log_directory = log',
    "log_directory = '/var/lib/postgresql-cluster/data/log'",
    "ssl = on\nssl_cert_file = '/etc/ssl/a.crt'\nssl_key_file = '/etc/ssl/a.key'\nssl_ca_file = ''",
    'pg_stat_statements.max = 5000',
    'constructor = 1',
  ])('%s is the team’s to decide', (line) => {
    expect(read(line).problems).toEqual([]);
  });

  test('a setting that replicas rule out is allowed without replicas', () => {
    const text = 'default_transaction_isolation = serializable\nmax_wal_senders = 2';
    expect(read(text, 0).problems).toEqual([]);
    expect(read('max_wal_senders = 1', 0).problems).toHaveLength(1);
  });

  test('settings that replicas are compared by become plain numbers', () => {
    const { given } = read('max_connections = 0x80\nmax_worker_processes = 010\nwork_mem = 0x80');
    expect(given.get('max_connections')?.value).toBe('128');
    expect(given.get('max_worker_processes')?.value).toBe('8');
    expect(given.get('work_mem')?.value).toBe('0x80');
  });

  test('problems are in the order of the lines', () => {
    const lines = ['port = 1', '!', 'ssl = on', 'fsync = off', 'jit ='];
    const numbers = read(lines.join('\n')).problems.map((problem) => problem.slice(0, 6));
    expect(numbers).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5']);
  });

  test('every managed setting is either refused by name or can be overridden', () => {
    const overridable = Object.keys(MANAGED_SETTINGS).filter(
      (name) => !read(`${name} = 'x'`).problems.some((text) => text.includes(`${name} is not`)),
    );
    expect(overridable).toEqual([
      'wal_level',
      'max_wal_senders',
      'max_replication_slots',
      'max_slot_wal_keep_size',
      'wal_keep_size',
      'wal_log_hints',
      'archive_mode',
      'archive_command',
      'wal_retrieve_retry_interval',
      'hot_standby_feedback',
      'max_standby_streaming_delay',
    ]);
  });
});
