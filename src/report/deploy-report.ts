import type { EndedRun, NodeWork } from '../cluster/progress.ts';
import type { NodeProof } from '../cluster/proof.ts';
import type { Step } from '../cluster/rollout/step.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import type { BackupReport } from './backups.ts';
import type { RunInfo } from './footer.ts';
import type { IgnoredRestore } from './ignored-restore.ts';
import type { LossReport } from './losses.ts';
import type { NodeNote } from './notes.ts';

/** Work that can be under way, fail or be cancelled. */
export type Phase = 'planning' | 'applying' | 'configuring';

/** The state of a deploy, or of the plan before it. */
export type DeployState =
  | { readonly state: Phase }
  | {
      readonly state: 'done';
      /** libpq's, without a password: the private addresses, or names, for clients in the cluster's network. */
      readonly connectionString: string;
      /** The same with public addresses; absent or null where a node has none. */
      readonly publicConnectionString?: string | null;
      /** The number of tasks that changed something on the nodes. */
      readonly changes: number;
    }
  | {
      readonly state: 'failed';
      readonly phase: Phase | 'checking the inputs';
      /** Raw messages of any length. */
      readonly error: string;
      /** Why nodes could not be reached, sentences; `error` has the rest, or is empty. */
      readonly explanation?: readonly string[];
      /** What ssh said where nodes could not be reached, one message per node. */
      readonly transcripts?: readonly string[];
      /** What to do now, in a sentence. */
      readonly nextStep: string;
    }
  | { readonly state: 'cancelled'; readonly phase: Phase }
  /** The time of the run is over, and nodes still work. */
  | {
      readonly state: 'continuing';
      readonly run: EndedRun;
      readonly nodes: readonly string[];
      /** The value of `wait-minutes`. */
      readonly minutes: number;
    }
  /**
   * All steps that stop no server are done and proved; the rest, named by the warnings, waits for nodes that are away.
   */
  | { readonly state: 'incomplete'; readonly away: readonly string[] }
  /** The plan differs from the reviewed one. */
  | {
      readonly state: 'changed';
      /** Any number of sentences. */
      readonly differences: readonly string[];
      /** What to do now, in a sentence. */
      readonly nextStep: string;
    }
  /** Another run has taken over, named by a sentence. */
  | { readonly state: 'superseded'; readonly by: string }
  /** The pull request removes the file of a cluster that has been destroyed. */
  | { readonly state: 'gone' }
  /** The pull request was closed without a merge. */
  | { readonly state: 'not-applied' }
  /** The pull request comes from a fork, and a plan of its last commit was not requested. */
  | {
      readonly state: 'awaiting';
      /** The label that requests a plan; null if pull requests from forks are never planned. */
      readonly label: string | null;
      /** Full SHA of the commit that would be planned. */
      readonly commit: string;
    };

/** The review that a deploy applies. */
export interface ReviewInfo {
  /** Full SHA of the commit that was planned. */
  readonly commit: string;
  /** Whether its signature was checked. */
  readonly signed: boolean;
  /** Whether an earlier apply of it was interrupted and this deploy applied the rest. */
  readonly partly: boolean;
}

/** What a merge changes, or changed, in a cluster. */
export interface DeployReport {
  /** Cluster name. */
  readonly cluster: string;
  readonly progress: DeployState;
  /** Null before the plan. */
  readonly plan: PlanSummary | null;
  /** The rollout; null before it is decided. */
  readonly steps: readonly Step[] | null;
  /** What nodes are doing that takes long. */
  readonly work: readonly NodeWork[];
  /** Empty before the end. */
  readonly proof: readonly NodeProof[];
  /** The review that is applied; null without one. */
  readonly reviewed: ReviewInfo | null;
  /** Use of a data volume, in percent, from which the proof warns; undefined: it does not. */
  readonly storageAlertPercent?: number;
  /** The backups before the last steps; absent before the nodes are looked at. */
  readonly backups?: BackupReport;
  /** A restore that the merge asked for and that did not happen; absent without one. */
  readonly ignoredRestore?: IgnoredRestore;
  /** What the plan loses, and what allows it; absent before that is checked. */
  readonly losses?: Omit<LossReport, 'plan'>;
  readonly notes: readonly NodeNote[];
  /** Sentences. */
  readonly warnings: readonly string[];
  readonly run: RunInfo;
}
