import { describe, expect, test } from 'vitest';
import {
  readConfSetting,
  readUpstreamAddress,
  renderPgHba,
  renderPostgresqlConf,
} from './configuration.ts';
import { createNode } from './testing/fixtures.ts';

describe('renderPostgresqlConf', () => {
  const settings = { max_connections: '100', listen_addresses: '*' };

  test('of a primary: no upstream, sorted, quoted', () => {
    const text = renderPostgresqlConf({
      node: 'node-1',
      clusterName: 'orders',
      settings,
      upstream: null,
    });
    expect(text.split('\n').slice(1)).toEqual([
      "cluster_name = 'orders/node-1'",
      "listen_addresses = '*'",
      "max_connections = '100'",
      '',
    ]);
  });

  test('of a replica: its own slot and name, and no password', () => {
    const upstream = createNode(1);
    const text = renderPostgresqlConf({
      node: 'node-2',
      clusterName: 'orders',
      settings,
      upstream,
    });
    expect(text).toContain("primary_slot_name = 'node_2'");
    expect(text).toMatch(
      /^primary_conninfo = 'host=10\.42\.0\.11 .*user=replicator passfile=\S+ application_name=node_2 /m,
    );
    expect(text).not.toContain('password=');
  });

  test('a value cannot leave its quotes', () => {
    const hostile = { log_line_prefix: "'\nlisten_addresses = 'evil\\" };
    const text = renderPostgresqlConf({
      node: 'node-1',
      clusterName: 'a',
      settings: hostile,
      upstream: null,
    });
    // PostgreSQL reads a doubled quote as one, and a backslash as the start of an escape.
    expect(text).toContain("log_line_prefix = '''\\nlisten_addresses = ''evil\\\\'");
  });
});

describe('a rendered postgresql.conf read back', () => {
  const render = (settings: Record<string, string>, upstream = true) =>
    renderPostgresqlConf({
      node: 'node-2',
      clusterName: 'orders',
      settings,
      upstream: upstream ? createNode(1) : null,
    });

  test.each([
    ['a number', 'max_connections', '100'],
    ['quotes', 'synchronous_standby_names', `ANY 1 ("node_1", 'x')`],
    ['a backslash before n', 'log_line_prefix', '\\n'],
    ['a line break', 'log_line_prefix', "'\nmax_connections = '1"],
    ['a setting of an extension', 'pg_stat_statements.max', '5000'],
    ['nothing', 'archive_command', ''],
  ])('has the same value for %s', (_, name, value) => {
    expect(readConfSetting(render({ [name]: value }), name)).toBe(value);
  });

  test('has no value for a setting that is not in it, or without a file', () => {
    expect(
      readConfSetting(render({ pg_stat_statements_max: '1' }), 'pg_stat_statements.max'),
    ).toBeNull();
    expect(readConfSetting(null, 'max_connections')).toBeNull();
  });

  test('names the upstream of a replica, and none on a primary', () => {
    expect(readUpstreamAddress(render({}))).toBe('10.42.0.11');
    expect(readUpstreamAddress(render({}, false))).toBeNull();
  });
});

test('renderPgHba lets the nodes replicate and clients log in by password, and rejects everything else', () => {
  expect(renderPgHba([createNode(1), createNode(2)], ['10.0.0.0/8'])).toMatchInlineSnapshot(`
    "# Written by Postgres Cluster Action; changes made here are overwritten.
    local all postgres peer
    host postgres_cluster all all reject
    host replication replicator 10.42.0.11/32 scram-sha-256
    host replication replicator 10.42.0.12/32 scram-sha-256
    host all replicator all reject
    host all all 127.0.0.1/32 scram-sha-256
    host all all 10.0.0.0/8 scram-sha-256
    "
  `);
});

test('renderPgHba lets replicas that copy slots log in to one database', () => {
  const text = renderPostgresqlConf({
    node: 'node-2',
    clusterName: 'orders',
    settings: { sync_replication_slots: 'on' },
    upstream: { privateAddress: '10.42.0.11' },
  });
  expect(text).toMatch(/^primary_conninfo = 'host=10\.42\.0\.11 .* dbname=postgres'$/m);
  const hba = renderPgHba([createNode(1)], ['10.0.0.0/8'], { copiesSlots: true }).split('\n');
  const [allowed, rejected] = [
    'host postgres replicator 10.42.0.11/32 scram-sha-256',
    'host all replicator all reject',
  ].map((line) => hba.indexOf(line));
  expect(allowed).toBeGreaterThan(0);
  expect(rejected).toBe((allowed ?? 0) + 1);
});
