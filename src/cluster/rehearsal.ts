import { OWN_DATABASE } from './configuration.ts';
import { isFromRepository } from './image.ts';
import type { Settings } from './settings/settings.ts';
import type { ClusterSpec } from './spec.ts';

/** What the primary of a cluster wrote and had at the moment to which a rehearsal restores. */
export interface Canary {
  /** The value of the table of the proof. */
  readonly token: string;
  /** When it was committed, in RFC 3339: the moment to restore to. */
  readonly written: string;
  readonly roles: number;
  readonly databases: number;
  /** SHA-256 of the names of all roles and databases, in hexadecimal digits: the names themselves stay on the node. */
  readonly names: string;
}

/** What a node found when it verified what it had restored. */
export interface Verification {
  /** Label of the backup. */
  readonly backup: string;
  /** How long restore and recovery took, in seconds. */
  readonly restoreSeconds: number;
  /** How long it took to read all of it, in seconds. */
  readonly verifySeconds: number;
  /** Commit time of the last transaction that was recovered, in seconds since the epoch; null: none after the backup. */
  readonly lastCommit: number | null;
  readonly databases: number;
  /** Tables, and with `pg_amcheck` indexes, that were read; at least one. */
  readonly relations: number;
  /**
   * `pg_amcheck` checks every table and B-tree index for damage; `pg_dumpall`, for an image without pg_amcheck, only reads every
   * table.
   */
  readonly method: 'pg_amcheck' | 'pg_dumpall';
  /** Size of the restored database, in bytes. */
  readonly bytes: number;
}

/** The last rehearsal that succeeded, as the nodes of the cluster remember it. */
export interface RehearsalRecord {
  /** When it ended, in seconds since the epoch. */
  readonly ended: number;
  /** The moment that was restored, in seconds since the epoch. */
  readonly restoredTo: number;
  /** From the request for the node to its restored and proved server, in seconds. */
  readonly seconds: number;
  /** Size of the restored database, in bytes. */
  readonly bytes: number;
  /**
   * How old the newest commit in the restored database was at the moment that was restored, in seconds; null if that is not
   * known, as in what an earlier version recorded.
   */
  readonly commitAge: number | null;
}

/** Returns the last rehearsal that any of the nodes knows of: one that was away then remembers an older one. */
export function findLastRehearsal(
  observed: readonly { readonly rehearsal: RehearsalRecord | null }[],
): RehearsalRecord | null {
  const known = observed.flatMap(({ rehearsal }) => rehearsal ?? []);
  return known.reduce<RehearsalRecord | null>(
    (last, one) => (last === null || one.ended > last.ended ? one : last),
    null,
  );
}

/** Ends the name of a cluster that is a rehearsal. */
const SUFFIX = '-rehearsal';

/** Returns the name of the cluster that rehearses the restore of another one. */
export const nameRehearsal = (cluster: string): string => `${cluster}${SUFFIX}`;

/** Returns the name of the cluster that this one rehearses; null if its name is not that of a rehearsal. */
export const nameOriginal = (rehearsal: string): string | null =>
  rehearsal.endsWith(SUFFIX) ? rehearsal.slice(0, -SUFFIX.length) : null;

/**
 * Returns the rehearsal of this cluster as its removal sees it: what has its name. Nothing can be made from it, as it does not
 * say what is restored.
 */
export const describeRemains = (spec: ClusterSpec): ClusterSpec => ({
  ...spec,
  name: nameRehearsal(spec.name),
  replicaCount: 0,
  synchronousReplicas: 0,
  primary: null,
  clientCidrs: [],
  network: { ...spec.network, dnsZoneId: null },
  vpcCidr: nextNetwork(spec.vpcCidr),
  ...{ backup: null, snapshots: null, restore: null, rehearsal: null },
});

/**
 * What keeps a copy of a database from acting by itself as the original does: on the publishers of its subscriptions, whose
 * slots it would empty, and on whatever its jobs reach. Where an extension is not loaded, its settings have no effect.
 */
export const QUIET_SETTINGS: Settings = {
  // The launcher of apply workers is not even registered (ApplyLauncherRegister in launcher.c).
  max_logical_replication_workers: '0',
  // pg_cron has the first since 1.6 only; it finds its jobs in one database, and has none in this one.
  'cron.launch_active_jobs': 'off',
  'cron.database_name': OWN_DATABASE,
  // Its launcher ends at once (ts_bgw_cluster_launcher_main in bgw_launcher.c).
  'timescaledb.max_background_workers': '0',
};

/**
 * Returns a cluster of one node that is restored from the backups of `spec`, up to the canary, and that nobody can connect to.
 * Its database does nothing by itself. Everything else is as in the cluster itself: what is rehearsed is its restore.
 *
 * @param options.running the image that the cluster runs, e.g. `postgres@sha256:…`, as its tag may have moved; null if it is
 *   not known
 * @throws Error if the cluster has no backups
 */
export function describeRehearsal(
  spec: ClusterSpec,
  { canary, running }: { canary: Canary; running: string | null },
): ClusterSpec {
  const { backup, name, imageTag } = spec;
  if (backup === null) throw new Error(`${name} has no backups to rehearse.`);
  const { bucket, prefix, endpoint, kmsKey, cipher, permissionsBoundary } = backup;
  return {
    ...describeRemains(spec),
    imageTag: pinTag(spec.image, { imageTag, running }),
    settings: { ...spec.settings, ...QUIET_SETTINGS },
    restore: {
      from: { bucket, prefix, cluster: name, endpoint, kmsKey, cipher, permissionsBoundary },
      time: canary.written,
    },
    rehearsal: canary,
  };
}

/** Adds the digest of the running image to a tag without one, if it is of the same repository. */
function pinTag(
  image: string,
  { imageTag, running }: { imageTag: string; running: string | null },
): string {
  const digest = running?.split('@')[1];
  if (running === null || digest === undefined || imageTag.includes('@')) return imageTag;
  if (!isFromRepository(running, image)) return imageTag;
  return `${imageTag}@${digest}`;
}

/**
 * Returns the network of the same size beside this one, so that an address tells the cluster from its rehearsal. It is in
 * the same range of private addresses (RFC 1918: the longest common prefix of a range is 16 bits).
 */
export function nextNetwork(cidr: string): string {
  const [address = '', length = ''] = cidr.split('/');
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  // The only range whose longest network is the whole range.
  if (cidr === '192.168.0.0/16') return '10.168.0.0/16';
  // Every second network and its successor share all bits but one.
  const next = (number / size) % 2 === 0 ? number + size : number - size;
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(next / 2 ** shift) % 256);
  return `${bytes.join('.')}/${length}`;
}
