/** A setting whose change requires a restart; values as a person would write them. */
export interface SettingReason {
  readonly kind: 'setting';
  readonly name: string;
  /** What the server runs with. */
  readonly before: string;
  /** Null: the setting is removed, and has no default. */
  readonly after: string | null;
}

/** Why a server has to restart. */
export type RestartReason =
  | SettingReason
  | { readonly kind: 'image'; readonly before: string; readonly after: string }
  /** The container was not created with the options that are used now. */
  | { readonly kind: 'container' };

/** Why a node that holds data can never follow the primary with it. Positions are WAL positions, e.g. `0/3000148`. */
export type Obstacle =
  /** The primary no longer has the WAL that the node needs. */
  | { readonly kind: 'slot-lost' }
  | { readonly kind: 'wal-removed'; readonly lsn: string; readonly oldest: string }
  /** The primary does not descend from the node's timeline. */
  | { readonly kind: 'unrelated-timeline'; readonly timeline: number }
  /** A primary that crashed may have written more than anybody received. */
  | { readonly kind: 'crashed-primary'; readonly timeline: number }
  /** The node wrote past the position at which the primary left its timeline. */
  | {
      readonly kind: 'diverged';
      readonly timeline: number;
      readonly lsn: string;
      readonly end: string;
    };

/** A part of a host that is not ready. */
export type HostPart = 'ssh-keys' | 'docker' | 'volume' | 'image' | 'backup-tools' | 'unused-tools';

/** A part of the configuration that is not as it should be. */
export type ConfigurationPart =
  | 'postgresql.conf'
  | 'pg_hba.conf'
  | 'passwords'
  /** The files are right, and the server has not reread them. */
  | 'not-loaded'
  /** Slots from the node's time as primary. */
  | 'leftover-slots';

/** A file system is smaller than its volume, or the volume than requested. Sizes in bytes. */
export interface GrowReason {
  readonly kind: 'grow';
  readonly volume: 'data' | 'root';
  /** Size of the file system. */
  readonly before: number;
  /** Size of the volume. */
  readonly after: number;
}

/** Why a step is done: why on this node, and why now. */
export type StepReason =
  | RestartReason
  | GrowReason
  | Obstacle
  /** The node does not exist yet. */
  | { readonly kind: 'missing' }
  /** EC2 says that the instance is stopped. */
  | { readonly kind: 'instance-stopped' }
  | { readonly kind: 'host'; readonly parts: readonly HostPart[] }
  /** What the volume holds, or what runs on the host, cannot be observed yet. */
  | { readonly kind: 'unobservable' }
  /** No node holds data. */
  | { readonly kind: 'no-cluster' }
  | { readonly kind: 'no-data' }
  /** A copy of the primary did not finish. */
  | { readonly kind: 'unfinished-copy' }
  /** A copy to the node runs, or is complete and not in place yet. `totalBytes`: estimate; null where it is not known. */
  | {
      readonly kind: 'copy-runs';
      readonly source: string;
      readonly isComplete: boolean;
      readonly doneBytes: number;
      readonly totalBytes: number | null;
    }
  /** The copy that runs on the node is of a node that neither is the primary nor follows it. */
  | { readonly kind: 'copy-outlived'; readonly source: string }
  /** A copy runs on a node whose server is up and needs none. */
  | { readonly kind: 'stray-copy' }
  /** The last copy ended without success. `problem`: the node's words; null without any. */
  | { readonly kind: 'copy-failed'; readonly problem: string | null }
  /** A replica was to be copied, and none can be. */
  | { readonly kind: 'no-replica-to-copy' }
  /** PostgreSQL does not answer. */
  | { readonly kind: 'down' }
  /** The replica runs and does not receive the primary's changes. */
  | { readonly kind: 'not-streaming' }
  /** The replica is configured to follow another node. */
  | { readonly kind: 'other-upstream' }
  /** No node is the primary. */
  | { readonly kind: 'no-primary' }
  /** The former primary does not answer, so that it may still run. */
  | { readonly kind: 'may-be-primary' }
  /** An interrupted switchover left the primary fenced. */
  | { readonly kind: 'left-fenced' }
  /** What ALTER SYSTEM wrote keeps these settings below the primary's, and cannot be reset while the server is down. */
  | { readonly kind: 'overrides-below'; readonly settings: readonly string[] }
  | { readonly kind: 'instance-type'; readonly before: string; readonly after: string }
  /** The requested cluster does not include the node. */
  | { readonly kind: 'leaves'; readonly node: string }
  /** The archive has the WAL that the primary no longer has. `bytes`: how much the replica has to replay. */
  | { readonly kind: 'wal-archived'; readonly bytes: number }
  /** How many replicas a commit waits for. */
  | { readonly kind: 'quorum'; readonly before: number; readonly after: number }
  /** Settings or an image that require a restart are tried first. */
  | { readonly kind: 'before-restarts' }
  | {
      readonly kind: 'slots';
      readonly missing: readonly string[];
      readonly retired: readonly string[];
    }
  | { readonly kind: 'configuration'; readonly parts: readonly ConfigurationPart[] }
  /** The node was requested as the primary. */
  | { readonly kind: 'wanted-primary'; readonly node: string }
  /** The primary restarts last, and another node takes over before that. */
  | { readonly kind: 'primary-last'; readonly primary: string; readonly successor: string }
  /** The node takes over next, and has no copies of the primary's logical slots yet. */
  | { readonly kind: 'slot-copies' }
  /** A new instance for the node was requested. */
  | { readonly kind: 'replacement'; readonly node: string }
  /** What changes about the WAL archive: `repository`: where it is; `options`: for how long, how and when. */
  | {
      readonly kind: 'archive';
      readonly change: 'begins' | 'repository' | 'options' | 'ends';
    }
  /** There is no full backup. */
  | { readonly kind: 'no-backup' }
  /** So many WAL files were dropped that the newest full backup needs. */
  | { readonly kind: 'wal-dropped'; readonly files: number }
  /** A failover was requested. */
  | { readonly kind: 'failover'; readonly primary: string | null };
