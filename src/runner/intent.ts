/** The four operations that can be called on their own. A failover, a replacement, a deletion, a backup, a rehearsal and the removal of a cluster are jobs of their own. */
export type Operation = 'generate' | 'plan' | 'apply' | 'configure';

/** The values of the input `command`. */
export const COMMANDS = [
  'auto',
  'generate',
  'plan',
  'apply',
  'configure',
  'failover',
  'replace',
  'discard',
  'backup',
  'rehearse',
  'destroy',
] as const;
/** A value of the input `command`. */
export type Command = (typeof COMMANDS)[number];
/** A command that names one job, whatever the event is. */
export type CalledCommand = Exclude<Command, 'auto'>;

/** A label set on a fork's pull request: it may ask for a plan of its commit. */
export interface Consent {
  /** The label's name as the repository spells it. */
  readonly label: string;
  /** Login of the account that set it. */
  readonly by: string;
}

/** What this run is for. */
export type Intent =
  /** Plans, and comments if there is a pull request. */
  | {
      readonly kind: 'review';
      readonly event: 'pull_request' | 'merge_group';
      /** Short name of the target branch; null if the event does not name it. */
      readonly base: string | null;
      /** The pull request whose comment shows the plan; null: no comment. */
      readonly pullRequest: number | null;
      /** The pull request that a merge queue is about to merge. */
      readonly queued: number | null;
      /** Why GitHub withholds secrets, as a noun phrase; null if the run has them. */
      readonly withoutSecrets: string | null;
      /** To be checked before anything of the pull request is read; null: nothing to check. */
      readonly consent: Consent | null;
      readonly sha: string;
      readonly why: string;
    }
  /** Comments how to ask for a plan of a fork's pull request, and plans nothing. */
  | {
      readonly kind: 'await';
      readonly pullRequest: number;
      /** Last commit of the fork's branch. */
      readonly sha: string;
      /** See review. */
      readonly base: string;
      readonly why: string;
    }
  /** Applies and configures what was merged; `pullRequest` null: looked up by the commit. */
  | {
      readonly kind: 'deploy';
      readonly pullRequest: number | null;
      /** See review. */
      readonly withoutSecrets: string | null;
      /** Short name of the pushed branch. */
      readonly branch: string;
      /** When it was pushed, in ISO 8601; null if the event does not say. */
      readonly pushedAt: string | null;
      /** A commit of the branch from before the merge; null if the event does not name one. */
      readonly before: string | null;
      readonly sha: string;
      readonly why: string;
    }
  /** Compares the running cluster with the spec and reports differences in an issue. */
  | { readonly kind: 'drift'; readonly sha: string; readonly why: string }
  /** Comments that nothing was applied. */
  | {
      readonly kind: 'close';
      readonly pullRequest: number;
      readonly fromFork: boolean;
      readonly why: string;
    }
  /** Runs one operation on its own. */
  | {
      readonly kind: 'operation';
      readonly operation: Operation;
      readonly body: unknown;
      readonly why: string;
    }
  /** Promotes a replica because the primary is lost. */
  | {
      readonly kind: 'failover';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Gives one node another instance. */
  | {
      readonly kind: 'replace';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Deletes data directories that were kept on one node. */
  | {
      readonly kind: 'discard';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Makes a backup. */
  | {
      readonly kind: 'backup';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Restores the backups into a cluster of its own, verifies them and removes it again. */
  | {
      readonly kind: 'rehearse';
      readonly body: unknown;
      readonly sha: string;
      readonly why: string;
    }
  /** Removes the whole cluster. */
  | {
      readonly kind: 'destroy';
      readonly body: unknown;
      /** The event's name: only a request by a person removes a cluster. */
      readonly event: string;
      readonly sha: string;
      readonly why: string;
    }
  | { readonly kind: 'skip'; readonly why: string };

/** Checks a pull request that removes the cluster file: only a cluster that does not exist may lose its file. */
export interface AbandonIntent {
  readonly kind: 'abandon';
  readonly pullRequest: number;
  /** Last commit of its branch. */
  readonly sha: string;
  /** Path of the file. */
  readonly path: string;
  readonly why: string;
}

/** An intent with work to do whose pull request may be read. */
export type RunnableIntent =
  | AbandonIntent
  | Exclude<Intent, { kind: 'skip' } | { kind: 'review' }>
  | (Extract<Intent, { kind: 'review' }> & { readonly consent: null });

/** Whether a run logs in to the nodes to change them. */
export function isConfiguring(intent: Intent): boolean {
  return (
    intent.kind === 'deploy' ||
    intent.kind === 'failover' ||
    intent.kind === 'replace' ||
    intent.kind === 'discard' ||
    intent.kind === 'backup' ||
    intent.kind === 'rehearse' ||
    (intent.kind === 'operation' && intent.operation === 'configure')
  );
}
