import type { SettingInForce, Settings } from './settings/settings.ts';

/** What one look at a node found. Everything is read, nothing is changed to learn it. */
export interface NodeObservation {
  /** `node-1`, `node-2`, … */
  readonly name: string;
  readonly host: HostObservation;
  readonly volume: VolumeObservation;
  /**
   * `absent`: no data directory. `partial`: only the working directory of an initialisation or a clone
   * that did not finish. `unrecorded`: a data directory whose record was never written, so it was
   * interrupted just before its end. `complete`: a data directory with its record.
   */
  readonly data: 'absent' | 'partial' | 'unrecorded' | 'complete';
  /** Whether the data directory carries `standby.signal`. On a running primary: it was fenced, and will not come back as one. */
  readonly standby: boolean;
  /** What was written on the volume when its data became complete. */
  readonly record: DataRecord | null;
  readonly container: ContainerObservation | null;
  /** Text of the configuration files on the node, null where there is none. They hold no secret. */
  readonly files: { readonly postgresqlConf: string | null; readonly pgHba: string | null };
  /**
   * What ALTER SYSTEM wrote into the data directory (`postgresql.auto.conf`), by lower-case name. It goes before every
   * file that a step writes, at the latest from the next start on. `primary_conninfo`, which may hold a password, is
   * empty.
   */
  readonly overrides: Settings;
  /** What the control file says of data whose server does not answer; null while it answers, or without data. */
  readonly control: ControlObservation | null;
  /**
   * Whether the primary that the node's configuration names takes connections from here, whatever anybody
   * else can reach; null where it names none.
   */
  readonly upstreamAnswers: boolean | null;
  /** Null when PostgreSQL does not answer. */
  readonly postgres: PostgresObservation | null;
}

/** From `pg_controldata` (PostgreSQL manual, reference of server applications) and the names of WAL segments. */
export interface ControlObservation {
  /** "Database cluster state": `shut down`, `shut down in recovery`, `in production`, `in archive recovery`, … */
  readonly state: string;
  /** The latest of which there is WAL: the control file itself is as old as the latest checkpoint. */
  readonly timeline: number;
  /** "Latest checkpoint location" or "Minimum recovery ending location", whichever is later, e.g. `0/3000148`. */
  readonly lsn: string;
}

/** The machine under the node. */
export interface HostObservation {
  /** Null: Docker is not installed. */
  readonly dockerVersion: string | null;
  /** Docker starts at boot and runs now. */
  readonly dockerReady: boolean;
  /** Docker has an image by the reference that is asked for. */
  readonly imageReady: boolean;
  /** The digest (`sha256:…`) that this reference stands for here; null where neither node nor registry tells. */
  readonly imageDigest: string | null;
  /** RAM in MiB. */
  readonly memoryMib: number;
  /** The public half of the key in use is authorised, and keys that were rotated out are not. */
  readonly authorizedKeysCurrent: boolean;
}

/** The data volume, found by its EBS id. */
export interface VolumeObservation {
  /** Null: no device with the volume's id is attached. */
  readonly device: string | null;
  /** Filesystem found on it; null: the volume is blank. */
  readonly filesystem: string | null;
  /** Mounted at the right place, by UUID, also after a reboot. */
  readonly ready: boolean;
  /** It takes no writes: the kernel made it read-only after an error of the file system, or somebody did. */
  readonly readOnly: boolean;
}

/** Identity of the data on a volume; a change of any of it is never silent. */
export interface DataRecord {
  readonly major: number;
  /** C library family of the image: it decides collation order. */
  readonly libc: 'glibc' | 'musl';
  /** The reference asked for, e.g. `postgres:17`. */
  readonly image: string;
  /** The image as pinned, e.g. `postgres@sha256:…`. */
  readonly digest: string;
  readonly locale: string;
  /** 64-bit number in decimal. */
  readonly systemIdentifier: string;
}

/** The PostgreSQL container of a node. */
export interface ContainerObservation {
  /** Docker's word: `running`, `exited`, `created`, `restarting`, … */
  readonly state: string;
  /** Made with the options and image that would be used today. */
  readonly current: boolean;
}

/** What a running PostgreSQL says of itself. */
export interface PostgresObservation {
  readonly inRecovery: boolean;
  readonly systemIdentifier: string;
  /** Of a replica the one whose changes it received last, which its checkpoints know of only later. */
  readonly timeline: number;
  /** Where each earlier timeline ended, from the history file of the present one. */
  readonly history: readonly { readonly timeline: number; readonly switchLsn: string }[];
  /** Start of the oldest WAL segment that is still there, e.g. `0/2000000`. */
  readonly oldestLsn: string;
  /** `server_version_num`, e.g. 170006. */
  readonly version: number;
  /**
   * By lower-case name: those the action manages, those the team chose and those set in a file. One the
   * server does not know is missing.
   */
  readonly settings: Readonly<Record<string, SettingInForce>>;
  /** Whether the server has read its configuration since it was last written. */
  readonly filesLoaded: boolean;
  /** The physical ones. */
  readonly slots: readonly SlotObservation[];
  readonly logicalSlots: readonly LogicalSlotObservation[];
  readonly senders: readonly SenderObservation[];
  readonly receiver: ReceiverObservation | null;
  /** Null where nothing is archived on this node. */
  readonly archiver: ArchiverObservation | null;
  /** Roles and databases for which a commit waits for less than replicas; at most 20. */
  readonly weakCommits: readonly WeakCommit[];
  readonly replayPaused: boolean;
  /** Write position of a primary; of a replica the later of what it received and what it replayed, e.g. `0/3000148`. */
  readonly lsn: string;
  /**
   * Whether the passwords in force (primary) and in the passfile (every node) are the ones given; null when
   * none was given.
   */
  readonly passwordsCurrent: boolean | null;
  /** In which orders its databases sort, but for those that sort by code point. */
  readonly collations: readonly CollationObservation[];
  /**
   * What the settings need and the image lacks, by its position in `listImageNeeds`; null where the node does not run
   * the image that is asked for.
   */
  readonly imageLacks: readonly number[] | null;
}

/** An order that a library decides. */
export interface CollationObservation {
  readonly provider: 'libc' | 'icu';
  /** E.g. `en_US.utf8`; what a locale's name seldom has is written `?`. */
  readonly locale: string;
  /** Of the library, as it was recorded; null where it was not, as by 14. */
  readonly version: string | null;
}

/** What `pg_stat_archiver` and the files that wait tell of WAL archiving. */
export interface ArchiverObservation {
  /** `failing`: the last attempt failed; `unconfigured`: there is nothing to archive with. */
  readonly state: 'archiving' | 'failing' | 'unconfigured';
  /** Attempts that failed since the statistics began. */
  readonly failed: number;
  /** The file of the last one of them. */
  readonly lastFailed: string | null;
  /** Files that wait, and about how many bytes they are. */
  readonly waiting: number;
  readonly waitingBytes: number;
}

/** ALTER ROLE or ALTER DATABASE with `synchronous_commit`; null: for all roles, or in every database. */
export interface WeakCommit {
  readonly role: string | null;
  readonly database: string | null;
  readonly value: string;
}

/** A physical row of `pg_replication_slots`. */
export interface SlotObservation {
  readonly name: string;
  readonly active: boolean;
  /** `reserved`, `extended`, `unreserved`, `lost`, or null while never used. */
  readonly walStatus: string | null;
}

/** A logical row of `pg_replication_slots` that outlives its session (PostgreSQL manual, 53.20). */
export interface LogicalSlotObservation {
  readonly name: string;
  /** The database that its changes are decoded from. */
  readonly database: string;
  /** The output plugin, e.g. `pgoutput`. */
  readonly plugin: string;
  /** A consumer is connected. */
  readonly active: boolean;
  /** Replicas may keep a copy of it; false before PostgreSQL 17. */
  readonly failover: boolean;
  /** It is a replica's copy of the primary's, or was one before the node was promoted. */
  readonly synced: boolean;
  /** Nothing can be read from it any more: its WAL or its catalog rows are gone. */
  readonly invalid: boolean;
  /** On a replica: it was made while the node was the primary, and nobody uses it. */
  readonly leftover: boolean;
}

/** A row of `pg_stat_replication`. */
export interface SenderObservation {
  readonly applicationName: string;
  readonly state: string;
  readonly syncState: string;
  readonly replayLsn: string | null;
}

/** The row of `pg_stat_wal_receiver`. */
export interface ReceiverObservation {
  readonly status: string;
  readonly senderHost: string | null;
  readonly slotName: string | null;
}

/** A node as it is straight after Terraform made it: no Docker, a blank volume. */
export function buildFreshObservation(name: string): NodeObservation {
  return {
    name,
    host: {
      dockerVersion: null,
      dockerReady: false,
      imageReady: false,
      imageDigest: null,
      memoryMib: 0,
      authorizedKeysCurrent: true,
    },
    volume: { device: '/dev/nvme1n1', filesystem: null, ready: false, readOnly: false },
    data: 'absent',
    standby: false,
    record: null,
    container: null,
    files: { postgresqlConf: null, pgHba: null },
    overrides: {},
    control: null,
    upstreamAnswers: null,
    postgres: null,
  };
}
