import { type Node, slotName } from './node.ts';
import type { Settings } from './settings/settings.ts';

/** The user that replicas connect as. */
export const REPLICATION_USER = 'replicator';

/** The database of the action's own sessions, over the socket (`psql.py` in `playbooks/module_utils`). */
export const OWN_DATABASE = 'postgres_cluster';

/** The database in which replicas look for slots to copy. */
const SLOT_DATABASE = 'postgres';

/** Whether replicas with these settings keep copies of their primary's failover slots. */
export function copiesSlots(settings: Settings): boolean {
  return settings.sync_replication_slots === 'on';
}

/** Path of a replica's passfile inside its container (PostgreSQL manual, 32.16). */
export const PASSFILE = '/etc/postgresql-cluster/replication.pass';

/**
 * Returns the complete `postgresql.conf` of a node. `upstream` is the primary it follows, null on the primary itself.
 * The file is outside the data directory, so that a clone never copies another node's identity.
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

/** Returns the connection string of a replica. The password stays in the passfile: monitoring can read settings. */
function renderConninfo(node: string, address: string, copies: boolean): string {
  return [
    `host=${address}`,
    'port=5432',
    `user=${REPLICATION_USER}`,
    `passfile=${PASSFILE}`,
    `application_name=${slotName(node)}`,
    // A replica has to notice and reconnect when its primary disappears without a FIN.
    'keepalives_idle=10',
    'keepalives_interval=5',
    'keepalives_count=3',
    // Only the worker that copies slots uses a database; replication does not.
    ...(copies ? [`dbname=${SLOT_DATABASE}`] : []),
  ].join(' ');
}

/**
 * Quotes a value for `postgresql.conf`: in single quotes, doubled inside, with backslash escapes (PostgreSQL manual,
 * 19.1.2). A line break would end the line, so it is escaped.
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
 * Returns the complete `pg_hba.conf`, the same on all nodes, so that any of them can become the primary. The
 * administrator uses the socket, which only the container has; every other user needs a scram password; replication comes
 * from the nodes' own addresses only. `copiesSlots`: replicas also log in to one database, to find slots to copy.
 */
export function renderPgHba(
  nodes: readonly Node[],
  clientCidrs: readonly string[],
  { copiesSlots: copies = false }: { copiesSlots?: boolean } = {},
): string {
  const lines = [
    '# Written by Postgres Cluster Action; changes made here are overwritten.',
    'local all postgres peer',
    // The action's own database is closed to the network, also for superusers with a password.
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
    // The replication user needs no other ordinary session: reject it before the client rules match.
    `host all ${REPLICATION_USER} all reject`,
    'host all all 127.0.0.1/32 scram-sha-256',
    ...clientCidrs.map((cidr) => `host all all ${cidr} scram-sha-256`),
  ];
  return `${lines.join('\n')}\n`;
}
