import type { BackupSource, BackupType } from '../backup.ts';
import type { KeptDirectory } from '../observation.ts';
import type { Canary, RehearsalRecord } from '../rehearsal.ts';
import type { Settings } from '../settings/settings.ts';
import type { ToolsChange } from './backups.ts';
import type { StepReason } from './reason.ts';

/**
 * One step of a rollout: idempotent, and done on all of its nodes at the same time. Terraform does `provision`, `boot`,
 * `resize`, `halt`, `replace` and `destroy`; Ansible does the rest. `reasons`: why the rollout chose it.
 */
export type Step = StepAction & { readonly reasons?: StepReasons };

/** A step with the reasons for which the rollout chose it. */
export type PlannedStep = StepAction & { readonly reasons: StepReasons };

/** By the name of a node: why the step is done on it, and why now. */
export type StepReasons = Readonly<Record<string, readonly StepReason[]>>;

type StepAction =
  /** Terraform: create these nodes, and everything else of the plan that needs no order. */
  | { readonly kind: 'provision'; readonly nodes: readonly string[] }
  /** Terraform: start the stopped instances of these nodes, with the desired type; null: the type they have. */
  | {
      readonly kind: 'boot';
      readonly nodes: readonly string[];
      readonly instanceType: string | null;
    }
  /**
   * Make the host ready: authorised keys, Docker, data volume, image. `fenced`: another node is the primary, so data
   * that is found starts as a replica's only; Docker would otherwise start its server as what it was. `tools`: what happens
   * to the programs for backups; without it they stay as they are.
   */
  | {
      readonly kind: 'prepare';
      readonly nodes: readonly string[];
      readonly fenced?: true;
      readonly tools?: ToolsChange;
    }
  /**
   * Grow the file systems of data and root volume, online, into volumes of these sizes in GiB. Waits until EC2 has grown the
   * volumes; a volume that is larger is left alone.
   */
  | {
      readonly kind: 'grow';
      readonly nodes: readonly string[];
      readonly dataGib: number;
      readonly rootGib: number;
    }
  /** Try the settings: a throw-away server without data starts with them, in the desired image. */
  | StepWithConfiguration<'check', readonly [string]>
  /** Create the cluster's data, which no node holds yet, and start the primary. */
  | StepWithConfiguration<'initialise', readonly [string]>
  /**
   * Create the cluster's data from backups, in place of `initialise`: restore, recover to `time` (null: the newest moment),
   * promote.
   */
  | (StepWithConfiguration<'restore', readonly [string]> & {
      readonly source: BackupSource;
      readonly time: string | null;
    })
  /**
   * Begin to archive WAL, or end it: write where backups are kept and when they are made, or remove that. The primary
   * creates the repository's stanza first.
   */
  | { readonly kind: 'archive'; readonly nodes: readonly string[]; readonly primary: string }
  /** Make a backup on the primary, or go on with the one that runs. */
  | {
      readonly kind: 'backup';
      readonly nodes: readonly [string];
      readonly primary: string;
      readonly type: BackupType;
    }
  /** Read every table and B-tree index of a restored primary, and find what the restore must have brought back. */
  | {
      readonly kind: 'verify';
      readonly nodes: readonly [string];
      readonly primary: string;
      readonly canary: Canary;
    }
  /** Remember a rehearsal that succeeded. */
  | {
      readonly kind: 'record';
      readonly nodes: readonly string[];
      readonly primary: string;
      readonly rehearsal: RehearsalRecord;
    }
  /** On the primary: roles and passwords, a slot per replica, retired slots dropped, pg_hba.conf reloaded. */
  | (StepWithConfiguration<'admit', readonly [string]> & {
      readonly slots: readonly string[];
      readonly retiredSlots: readonly string[];
    })
  /** Copy `source` beside existing data, or go on with the copy that runs, then follow the primary. */
  | (StepWithConfiguration<'clone'> & CopyOptions)
  /**
   * Start nodes that hold data. A node that is not `primary` starts as its replica, even if it was the primary before;
   * it is cloned again if it does not start with its data: from the primary, unless the options say otherwise.
   * `fromArchive`: before that it takes from the archive the WAL that the primary no longer has, if there is any.
   */
  | (StepWithConfiguration<'start'> & Partial<CopyOptions> & { readonly fromArchive?: true })
  /** Write the configuration and reread it; a replica drops slots from its time as primary. */
  | StepWithConfiguration<'reload'>
  /** Write the configuration and restart one node, or re-create its container. */
  | StepWithConfiguration<'restart', readonly [string]>
  /** Stop PostgreSQL on nodes that leave, or whose instance is about to stop, and remove the container. */
  | { readonly kind: 'stop'; readonly nodes: readonly string[]; readonly primary: string }
  /**
   * The planned change of the primary: `nodes` are the old one, which is left stopped as a replica, and the new one,
   * which gets a slot per other node. Without `losesSlots` it does not begin where a consumer's slot would be lost.
   * `holdsExpiry`: backups of the new primary delete none that expired, see keepExpired().
   */
  | (StepWithConfiguration<'switchover', readonly [string, string]> & {
      readonly slots: readonly string[];
      readonly losesSlots?: true;
      readonly holdsExpiry?: true;
    })
  /** Stop a former primary, whose host can be reached, so that it can only start as a replica. */
  | { readonly kind: 'fence'; readonly nodes: readonly [string] }
  /**
   * Delete directories that were kept on a node's volume and, with `data`, the data that it has now. Only the command
   * `discard` plans it.
   */
  | {
      readonly kind: 'discard';
      readonly nodes: readonly [string];
      readonly primary: string;
      readonly directories: readonly KeptDirectory[];
      readonly data: boolean;
    }
  /** Make a replica the primary if there is none. `holdsExpiry`: as in a switchover. */
  | (StepWithConfiguration<'promote', readonly [string]> & {
      readonly slots: readonly string[];
      readonly holdsExpiry?: true;
    })
  /** Terraform: another instance type for a node whose PostgreSQL is stopped. */
  | {
      readonly kind: 'resize';
      readonly nodes: readonly [string];
      readonly instanceType: string;
    }
  /** Terraform: stop the instance of a former primary by force, where its host cannot be reached. */
  | { readonly kind: 'halt'; readonly nodes: readonly [string] }
  /** Terraform: a new instance for an unreachable node, or for one whose replacement was requested. */
  | { readonly kind: 'replace'; readonly nodes: readonly [string] }
  /** Terraform: remove nodes whose PostgreSQL is stopped and whose slot is dropped. */
  | { readonly kind: 'destroy'; readonly nodes: readonly string[] };

interface StepWithConfiguration<Kind extends string, Nodes = readonly string[]> {
  readonly kind: Kind;
  readonly nodes: Nodes;
  /** The primary that the nodes' configuration is written for: after the step, where the step changes it. */
  readonly primary: string;
  readonly settings: Settings;
}

/** How data is copied to the nodes of a step. */
export interface CopyOptions {
  /** The node that is copied: the primary, or a replica that follows it. */
  readonly source: string;
  /** The most that the source sends to each node, in kB (1,024 bytes) per second; null: no limit. */
  readonly maxRate: number | null;
  /** How much room the copy takes at most on each node, in bytes; a node is missing where that is not known. */
  readonly neededBytes: Readonly<Record<string, number>>;
}

/** The step of one kind. */
export type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;

/** Steps that Terraform does: the nodes are observed again after each. */
export type TerraformStep = StepOf<
  'provision' | 'boot' | 'resize' | 'halt' | 'replace' | 'destroy'
>;

/** Whether Terraform does the step. */
export function isTerraformStep(step: Step): step is TerraformStep {
  return ['provision', 'boot', 'resize', 'halt', 'replace', 'destroy'].includes(step.kind);
}

/** Returns the step without its reasons: what is done, and nothing else. */
export function withoutReasons<Any extends Step>(step: Any): Omit<Any, 'reasons'> {
  const { reasons, ...action } = step;
  return action;
}

/** The reasons of a step on one node. */
export function explainNode(node: string, ...reasons: readonly StepReason[]): StepReasons {
  return { [node]: reasons };
}

/** The reasons of a step on several nodes. */
export function explainNodes<Any extends { readonly name: string }>(
  nodes: readonly Any[],
  explain: (node: Any) => readonly StepReason[],
): StepReasons {
  return Object.fromEntries(nodes.map((node) => [node.name, explain(node)]));
}
