import type { BackupSpec } from '../cluster/backup.ts';
import type { Canary, RehearsalRecord, Verification } from '../cluster/rehearsal.ts';
import type { RunInfo } from './footer.ts';

/**
 * What a rehearsal does, in this order. `preparing`: removes what an earlier rehearsal left, writes the canary and archives
 * it; `making`: the node; `restoring`: everything from a new node to a restored primary; `recording`: on the nodes of the
 * cluster; `removing`: the rehearsal's node.
 */
export type RehearsalPhase =
  | 'preparing'
  | 'making'
  | 'restoring'
  | 'verifying'
  | 'recording'
  | 'removing';

/** The rehearsal of the restore of a cluster. */
export interface RehearsalReport {
  /** Name of the cluster whose backups are restored. */
  readonly cluster: string;
  /** Where the backups are. */
  readonly backup: Pick<BackupSpec, 'bucket' | 'prefix' | 'endpoint'>;
  /**
   * Age of the newest archived WAL when the rehearsal began, in seconds: what a disaster would have lost then; null if it is
   * not known.
   */
  readonly walAge: number | null;
  /** What is looked for in the restored database, and the moment to restore to; null until it is written. */
  readonly canary: Canary | null;
  /** What the restored node found; null until it is verified. */
  readonly verification: Verification | null;
  /** What the nodes of the cluster remember of this rehearsal; null until it is verified. */
  readonly record: RehearsalRecord | null;
  /** The last rehearsal before this one that succeeded (`findLastRehearsal`); null if none is known. */
  readonly last: RehearsalRecord | null;
  /** How long it took to make the node and to remove it, in seconds; null until then. */
  readonly seconds: { readonly making: number | null; readonly removing: number | null };
  readonly progress:
    | { readonly state: 'done' }
    | {
        readonly state: 'failed';
        readonly phase: RehearsalPhase;
        /** Raw messages of any length. */
        readonly error: string;
        /** What to do now, in a sentence. */
        readonly nextStep: string;
      }
    | { readonly state: 'cancelled'; readonly phase: RehearsalPhase };
  /** What could not be removed and is billed, in a sentence; null if nothing is left. */
  readonly left: string | null;
  readonly run: RunInfo;
}
