import type { BackupType } from './backup.ts';
import type { RehearsalRecord } from './rehearsal.ts';
import type { SettingInForce, Settings } from './settings/settings.ts';

/** What was observed on a node. Observing changes nothing. */
export interface NodeObservation {
  /** `node-1`, `node-2`, … */
  readonly name: string;
  readonly host: HostObservation;
  readonly volume: VolumeObservation;
  readonly storage: StorageObservation;
  /** Work that runs on the node on its own, or that has ended and nobody has collected; null without any. */
  readonly work: WorkObservation | null;
  /**
   * `absent`: no data directory. `partial`: only the working directory of an initialisation or a clone
   * that did not finish. `unrecorded`: a data directory without a record, whose creation was interrupted just before its
   * end. `complete`: a data directory with its record.
   */
  readonly data: 'absent' | 'partial' | 'unrecorded' | 'complete';
  /** Whether the data directory has `standby.signal`. On a running primary: it was fenced, and restarts as a replica. */
  readonly standby: boolean;
  /** What was written on the volume when its data became complete. */
  readonly record: DataRecord | null;
  readonly container: ContainerObservation | null;
  /** Text of the configuration files on the node, null without one. They hold no secret. */
  readonly files: {
    readonly postgresqlConf: string | null;
    readonly pgHba: string | null;
    /** Where pgBackRest keeps backups and WAL. WAL is archived while it exists. */
    readonly pgbackrestConf: string | null;
    /** When backups are due. */
    readonly backupJson: string | null;
  };
  /**
   * What ALTER SYSTEM wrote into the data directory (`postgresql.auto.conf`), by lower-case name. It overrides every file
   * that a step writes, at the latest from the next start on. `primary_conninfo`, which may hold a password, is empty.
   */
  readonly overrides: Settings;
  /** The control file of data whose server does not answer; null while it answers, or without data. */
  readonly control: ControlObservation | null;
  /**
   * Whether the primary in the node's configuration accepts connections from the node; null where the configuration names
   * none.
   */
  readonly upstreamAnswers: boolean | null;
  /** Null when PostgreSQL does not answer. */
  readonly postgres: PostgresObservation | null;
  /** The backups of the cluster; null except on a running primary that archives into a repository. */
  readonly backup: BackupObservation | null;
  /** The last rehearsal that succeeded; null if the node knows of none. */
  readonly rehearsal: RehearsalRecord | null;
}

/** From `pg_controldata` (PostgreSQL manual, reference of server applications) and the names of WAL segments. */
export interface ControlObservation {
  /** "Database cluster state": `shut down`, `shut down in recovery`, `in production`, `in archive recovery`, … */
  readonly state: string;
  /** The latest timeline with WAL: the control file itself is as old as the latest checkpoint. */
  readonly timeline: number;
  /** "Latest checkpoint location" or "Minimum recovery ending location", whichever is later, e.g. `0/3000148`. */
  readonly lsn: string;
}

/** The machine under the node. */
export interface HostObservation {
  /** Null without Docker. */
  readonly dockerVersion: string | null;
  /** Whether Docker starts at boot and runs now. */
  readonly dockerReady: boolean;
  /** Whether Docker has an image by the desired reference. */
  readonly imageReady: boolean;
  /** The digest (`sha256:…`) that this reference resolves to here; null where neither node nor registry tells. */
  readonly imageDigest: string | null;
  /** RAM in MiB. */
  readonly memoryMib: number;
  /** Whether the key in use is authorised, and keys that were rotated out are not. */
  readonly authorizedKeysCurrent: boolean;
  /** Major version of Debian, e.g. 13; null on another system. */
  readonly debian: number | null;
  /** pgBackRest, the program that makes backups, and its timer. */
  readonly backupTools: 'absent' | 'outdated' | 'ready';
  /**
   * Whether pgbackrest.conf has the given key of the repository, which never leaves the node; null if the file names no
   * cipher, or no key was given.
   */
  readonly backupKeyCurrent: boolean | null;
}

/** The data volume, found by its EBS id. */
export interface VolumeObservation {
  /** Null if no device with the volume's id is attached. */
  readonly device: string | null;
  /** Its file system; null on a blank volume. */
  readonly filesystem: string | null;
  /** Whether it is mounted at the right place, by UUID, also after a reboot. */
  readonly ready: boolean;
  /** Whether it rejects writes: the kernel makes it read-only after a file system error. */
  readonly readOnly: boolean;
}

/** Devices and file systems as the node sees them, whatever Terraform's state says. */
export interface StorageObservation {
  /** The data volume; null while it is not mounted. */
  readonly data: FileSystemObservation | null;
  /** The root file system; null if it has no device of its own. */
  readonly root: FileSystemObservation | null;
  /** Data directories that were set aside on the data volume. */
  readonly kept: readonly KeptDirectory[];
}

/** A mounted file system; all values in bytes. */
export interface FileSystemObservation {
  /** Size of the whole device. */
  readonly deviceBytes: number;
  /** Size of the file system, which is smaller while it has not grown into the device. */
  readonly filesystemBytes: number;
  /** Capacity, used and free space for files, from statvfs. */
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** A data directory that was set aside. */
export interface KeptDirectory {
  /** E.g. `data.old-20261126T101500Z`. */
  readonly name: string;
  readonly bytes: number;
  /** Whether its server was a primary when it stopped, so that it may hold rows that no other node has. */
  readonly formerPrimary: boolean;
}

/** Returns the size of kept directories in bytes. */
export function sumKept(kept: readonly KeptDirectory[]): number {
  return kept.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Long work on a node, which runs as a systemd unit and outlives the connection that started it. */
export interface WorkObservation {
  readonly kind: 'clone' | 'restore' | 'verify';
  /** `done`: the copy is complete and not in place yet. `failed`: it ended, and what it wrote is deleted. */
  readonly state: 'running' | 'done' | 'failed';
  /** Private address of the node that is copied; of a restore the path of the repository. */
  readonly source: string;
  readonly doneBytes: number;
  /** Estimate; null until it is known. */
  readonly totalBytes: number | null;
  readonly seconds: number;
  /** Why it failed, in a sentence; null unless `failed`. */
  readonly problem: string | null;
}

/** The repository of a cluster as `pgbackrest info` and the node's own files tell it. Times are seconds since the epoch. */
export interface BackupObservation {
  /** Why the repository could not be read, in a sentence; null if it was. The values from it are then empty. */
  readonly problem: string | null;
  /** Of the newest database in the repository; null without one. */
  readonly systemIdentifier: string | null;
  /** Those with which a recovery of this cluster can begin, oldest first. */
  readonly backups: readonly BackupRecord[];
  /**
   * Those of a branch that the cluster left, by a restore into the same folder or a failover. They take room, and count when
   * pgBackRest chooses what it deletes. A report of an earlier version has none.
   */
  readonly abandoned?: readonly BackupRecord[];
  /** The oldest and newest WAL segments of the newest database, e.g. `000000010000000000000003`; null without any. */
  readonly oldestWal: string | null;
  readonly newestWal: string | null;
  /** Size of all archived WAL after the newest backup; null if this node did not measure it then. */
  readonly walBytes: number | null;
  /** When the server archived its newest segment; null if it has archived none since its statistics began. */
  readonly archivedAt: number | null;
  /** WAL that the archive will never have, and that the newest full backup needs; null if there is none. */
  readonly dropped: { readonly files: number; readonly since: number } | null;
  /** The backup that runs now. */
  readonly running: BackupRun | null;
  /** The last run of this node that ended. `problem` is null if it succeeded. */
  readonly last: { readonly ended: number; readonly problem: string | null } | null;
}

/** One backup. */
export interface BackupRecord {
  /** E.g. `20261126-023001F`. */
  readonly label: string;
  readonly type: 'full' | 'diff' | 'incr';
  readonly started: number;
  readonly ended: number;
  /** Size of the database, and of what this backup added to the repository, in bytes. */
  readonly databaseBytes: number;
  readonly repositoryBytes: number;
  /** Whether pgBackRest found damaged pages. */
  readonly damaged: boolean;
  /** Of a full backup that closed a gap: since when WAL before it is missing. Null for any other. */
  readonly missingSince: number | null;
}

/** A backup that runs. */
export interface BackupRun {
  readonly type: BackupType;
  readonly started: number;
  readonly doneBytes: number;
  /** Null until it is known. */
  readonly totalBytes: number | null;
}

/** Identity of the data on a volume; no part of it changes silently. */
export interface DataRecord {
  readonly major: number;
  /** C library family of the image, which decides the sort order. */
  readonly libc: 'glibc' | 'musl';
  /** The requested reference, e.g. `postgres:17`. */
  readonly image: string;
  /** The image as pinned, e.g. `postgres@sha256:…`. */
  readonly digest: string;
  readonly locale: string;
  /** 64-bit number in decimal. */
  readonly systemIdentifier: string;
}

/** The PostgreSQL container of a node. */
export interface ContainerObservation {
  /** Docker's state: `running`, `exited`, `created`, `restarting`, … */
  readonly state: string;
  /** Whether it was created with the options and image that are used now. */
  readonly current: boolean;
}

/** What a running PostgreSQL reports. */
export interface PostgresObservation {
  readonly inRecovery: boolean;
  readonly systemIdentifier: string;
  /** On a replica the timeline of the changes it received last, which its checkpoints record only later. */
  readonly timeline: number;
  /** Where each earlier timeline ended, from the history file of the current one. */
  readonly history: readonly { readonly timeline: number; readonly switchLsn: string }[];
  /** Start of the oldest retained WAL segment, e.g. `0/2000000`. */
  readonly oldestLsn: string;
  /** `server_version_num`, e.g. 170006. */
  readonly version: number;
  /**
   * By lower-case name: those that the action manages, those of the team and those set in a file. Settings that the server
   * does not know are missing.
   */
  readonly settings: Readonly<Record<string, SettingInForce>>;
  /** Whether the server has read its configuration since it was last written. */
  readonly filesLoaded: boolean;
  /** Physical slots. */
  readonly slots: readonly SlotObservation[];
  readonly logicalSlots: readonly LogicalSlotObservation[];
  readonly senders: readonly SenderObservation[];
  readonly receiver: ReceiverObservation | null;
  /** Null where this node archives nothing. */
  readonly archiver: ArchiverObservation | null;
  /** Roles and databases for which a commit waits for less than replicas; at most 20. */
  readonly weakCommits: readonly WeakCommit[];
  readonly replayPaused: boolean;
  /** Write position of a primary; on a replica the later of its receive and replay positions, e.g. `0/3000148`. */
  readonly lsn: string;
  /**
   * Whether the passwords in force (primary) and in the passfile (every node) are the given ones; null when none was
   * given.
   */
  readonly passwordsCurrent: boolean | null;
  /** Sort orders of its databases, except by code point. */
  readonly collations: readonly CollationObservation[];
  /**
   * What the settings need and the image lacks, by position in `listImageNeeds`; null where the node does not run the
   * desired image.
   */
  readonly imageLacks: readonly number[] | null;
}

/** A sort order that a library decides. */
export interface CollationObservation {
  readonly provider: 'libc' | 'icu';
  /** E.g. `en_US.utf8`; unusual characters are written `?`. */
  readonly locale: string;
  /** Version of the library, as PostgreSQL recorded it; null where it did not, as in 14. */
  readonly version: string | null;
}

/** State of WAL archiving, from `pg_stat_archiver` and the files that wait. */
export interface ArchiverObservation {
  /** `failing`: the last attempt failed; `unconfigured`: no archive command is set. */
  readonly state: 'archiving' | 'failing' | 'unconfigured';
  /** Failed attempts since the statistics were reset. */
  readonly failed: number;
  /** File of the last failed attempt. */
  readonly lastFailed: string | null;
  /** Files that wait, and their approximate size in bytes. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** Since when the oldest of them waits, in seconds since the epoch; null if none waits. */
  readonly waitingSince: number | null;
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
  /** WAL that the server keeps for it, in bytes; 0 while never used, or lost. */
  readonly retainedBytes: number;
}

/** A logical row of `pg_replication_slots` that outlives its session (PostgreSQL manual, 53.20). */
export interface LogicalSlotObservation {
  readonly name: string;
  /** The database whose changes it decodes. */
  readonly database: string;
  /** The output plugin, e.g. `pgoutput`. */
  readonly plugin: string;
  /** Whether a consumer is connected. */
  readonly active: boolean;
  /** Whether replicas may keep a copy; false before PostgreSQL 17. */
  readonly failover: boolean;
  /** Whether it is a replica's copy of the primary's slot, or was one before the node was promoted. */
  readonly synced: boolean;
  /** Whether it is unusable: its WAL or its catalog rows are gone. */
  readonly invalid: boolean;
  /** On a replica: whether it is from the node's time as primary, and unused. */
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

/** Returns the observation of a node that Terraform has just created: no Docker, a blank volume. */
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
      debian: null,
      backupTools: 'absent',
      backupKeyCurrent: null,
    },
    volume: { device: '/dev/nvme1n1', filesystem: null, ready: false, readOnly: false },
    storage: { data: null, root: null, kept: [] },
    work: null,
    data: 'absent',
    standby: false,
    record: null,
    container: null,
    files: { postgresqlConf: null, pgHba: null, pgbackrestConf: null, backupJson: null },
    overrides: {},
    control: null,
    upstreamAnswers: null,
    postgres: null,
    backup: null,
    rehearsal: null,
  };
}
