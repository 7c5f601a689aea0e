import { type Node, slotName } from './node.ts';
import type { Settings } from './settings/settings.ts';

/** The user that replicas connect as. */
export const REPLICATION_USER = 'replicator';

/** The database that the action's own sessions are in, over the socket (`psql.py` in `playbooks/module_utils`). */
const OWN_DATABASE = 'postgres_cluster';

/** The database in which replicas look for slots to copy. */
const SLOT_DATABASE = 'postgres';

/** Whether servers with these settings keep copies of their primary's failover slots while they are replicas. */
export function copiesSlots(settings: Settings): boolean {
  return settings.sync_replication_slots === 'on';
}

/** Where the passfile of a replica lies inside its container (PostgreSQL manual, 32.16). */
export const PASSFILE = '/etc/postgresql-cluster/replication.pass';

/**
 * `postgresql.conf` of a node, whole. `upstream` is the primary it follows, null on the primary itself.
 * It lies outside the data directory, so a clone never carries another node's identity along.
 */
export function renderPostgresqlConf(options: {
  node: string;
  clusterName: string;
  settings: Settings;
  upstream: Pick<Node, 'privateAddress'> | null;
}): string {
  const { node, clusterName, settings, upstream } = options;
  const identity: Settings = {
    cluster_name: `${clusterName}/${node}`,
    ...(upstream && {
      primary_conninfo: renderConninfo(node, upstream.privateAddress, copiesSlots(settings)),
      primary_slot_name: slotName(node),
    }),
  };
  const lines = Object.entries({ ...settings, ...identity })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return [
    '# Written by Postgres Cluster Action; changes made here are overwritten.',
    ...lines,
    '',
  ].join('\n');
}

/** Connection string of a replica. The password stays in the passfile: settings are readable by monitoring. */
function renderConninfo(node: string, address: string, copies: boolean): string {
  return [
    `host=${address}`,
    'port=5432',
    `user=${REPLICATION_USER}`,
    `passfile=${PASSFILE}`,
    `application_name=${slotName(node)}`,
    // A replica whose primary vanished without a FIN must notice and reconnect.
    'keepalives_idle=10',
    'keepalives_interval=5',
    'keepalives_count=3',
    // For the worker that copies slots alone: replication itself goes by no database.
    ...(copies ? [`dbname=${SLOT_DATABASE}`] : []),
  ].join(' ');
}

/**
 * A value as `postgresql.conf` takes it: in single quotes, doubled inside, backslash escapes (PostgreSQL
 * manual, 19.1.2). A line break would end the line, so it is written as an escape.
 */
function quoteSetting(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n');
  return `'${escaped}'`;
}

/**
 * Returns the value that a `postgresql.conf` of `renderPostgresqlConf` sets, or null where it does not set it. `text` is
 * null where the node has no file.
 */
export function readConfSetting(text: string | null, name: string): string | null {
  const quoted = new RegExp(`^${name.replaceAll('.', '\\.')} = '(.*)'$`, 'm').exec(text ?? '')?.[1];
  return quoted === undefined ? null : unquoteSetting(quoted);
}

/** Reverses `quoteSetting` for what is between the outer quotes. */
function unquoteSetting(quoted: string): string {
  return quoted.replace(/''|\\(.)/g, (_, escaped: string | undefined) =>
    escaped === undefined ? "'" : escaped === 'n' ? '\n' : escaped,
  );
}

/** Returns the address that a replica's `postgresql.conf` names as its primary, or null where it names none. */
export function readUpstreamAddress(text: string | null): string | null {
  const conninfo = readConfSetting(text, 'primary_conninfo');
  return /^host=(\S+) /.exec(conninfo ?? '')?.[1] ?? null;
}

/**
 * `pg_hba.conf`, whole and equal on all nodes, so that any of them can become the primary. The socket,
 * which only the container sees, is the administrator's door; everybody else needs a scram password;
 * replication comes from the nodes' own addresses only. `copiesSlots`: replicas log in to one database as well, where
 * they look for slots to copy.
 */
export function renderPgHba(
  nodes: readonly Node[],
  clientCidrs: readonly string[],
  { copiesSlots: copies = false }: { copiesSlots?: boolean } = {},
): string {
  const lines = [
    '# Written by Postgres Cluster Action; changes made here are overwritten.',
    'local all postgres peer',
    // The action's own, which nobody enters over the network, superusers with a password included.
    `host ${OWN_DATABASE} all all reject`,
    ...nodes.map(
      (node) => `host replication ${REPLICATION_USER} ${node.privateAddress}/32 scram-sha-256`,
    ),
    ...(copies
      ? nodes.map(
          (node) =>
            `host ${SLOT_DATABASE} ${REPLICATION_USER} ${node.privateAddress}/32 scram-sha-256`,
        )
      : []),
    // The replication user opens no other ordinary session: refuse it before the client rules match it.
    `host all ${REPLICATION_USER} all reject`,
    'host all all 127.0.0.1/32 scram-sha-256',
    ...clientCidrs.map((cidr) => `host all all ${cidr} scram-sha-256`),
  ];
  return `${lines.join('\n')}\n`;
}
