import type { Settings } from '../settings/settings.ts';

/**
 * One piece of a rollout: idempotent, and done on all of its nodes at the same time. Terraform does
 * `provision`, `boot`, `resize`, `halt`, `replace` and `destroy`; Ansible does the rest.
 */
export type Step =
  /** Terraform: make these nodes, and everything else of the plan that needs no order. */
  | { readonly kind: 'provision'; readonly nodes: readonly string[] }
  /**
   * Terraform: start the instances of these nodes, which EC2 says are stopped, with the type that is asked for; null:
   * the type they have.
   */
  | {
      readonly kind: 'boot';
      readonly nodes: readonly string[];
      readonly instanceType: string | null;
    }
  /**
   * Make the host ready: authorised keys, Docker, data volume, image. `fenced`: another node is the primary, so
   * whatever data turns up comes back as a replica's only; Docker would start its server as what it was.
   */
  | { readonly kind: 'prepare'; readonly nodes: readonly string[]; readonly fenced?: true }
  /** Try the settings: a throw-away server with no data starts with them, in the image that is asked for. */
  | StepWithConfiguration<'check', readonly [string]>
  /** Create the cluster's data where no node holds any, and start the primary. */
  | StepWithConfiguration<'initialise', readonly [string]>
  /** On the primary: roles and passwords, a slot per replica, retired slots dropped, pg_hba.conf reloaded. */
  | (StepWithConfiguration<'admit', readonly [string]> & {
      readonly slots: readonly string[];
      readonly retiredSlots: readonly string[];
    })
  /** Copy the primary beside whatever is there, then follow it. */
  | StepWithConfiguration<'clone'>
  /**
   * Start nodes that hold data. A node that is not `primary` comes up as its replica, also when it was the
   * primary before; one that does not come up with its data is cloned again.
   */
  | StepWithConfiguration<'start'>
  /** Write the configuration and have it reread; a replica drops slots that it kept from its time as primary. */
  | StepWithConfiguration<'reload'>
  /** Write the configuration and restart, or re-create the container, one node. */
  | StepWithConfiguration<'restart', readonly [string]>
  /** Stop PostgreSQL on nodes that leave, or whose instance is about to stop, and remove the container. */
  | { readonly kind: 'stop'; readonly nodes: readonly string[]; readonly primary: string }
  /**
   * The planned change of the primary: `nodes` are the old one, which is left stopped as a replica, and the
   * new one, which gets a slot per other node. Without `losesSlots` it is not begun where a consumer's slot would be lost.
   */
  | (StepWithConfiguration<'switchover', readonly [string, string]> & {
      readonly slots: readonly string[];
      readonly losesSlots?: true;
    })
  /** Make sure that a former primary is down and can only come back as a replica: where its host can be reached. */
  | { readonly kind: 'fence'; readonly nodes: readonly [string] }
  /** Make a replica the primary, where there is none. */
  | (StepWithConfiguration<'promote', readonly [string]> & { readonly slots: readonly string[] })
  /** Terraform: another instance type for a node whose PostgreSQL is stopped. */
  | {
      readonly kind: 'resize';
      readonly nodes: readonly [string];
      readonly instanceType: string;
    }
  /** Terraform: stop the instance of a former primary by force, where its host cannot be reached. */
  | { readonly kind: 'halt'; readonly nodes: readonly [string] }
  /** Terraform: another instance for a node that cannot be reached, or of which a person asked for it. */
  | { readonly kind: 'replace'; readonly nodes: readonly [string] }
  /** Terraform: remove nodes whose PostgreSQL is stopped and whose slot is gone. */
  | { readonly kind: 'destroy'; readonly nodes: readonly string[] };

interface StepWithConfiguration<Kind extends string, Nodes = readonly string[]> {
  readonly kind: Kind;
  readonly nodes: Nodes;
  /** The primary that the nodes' configuration is written for: after the step, where the step changes it. */
  readonly primary: string;
  readonly settings: Settings;
}

/** The step of one kind. */
export type StepOf<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>;

/** Steps that Terraform does: between them the nodes are looked at anew. */
export type TerraformStep = StepOf<
  'provision' | 'boot' | 'resize' | 'halt' | 'replace' | 'destroy'
>;

/** Whether Terraform does it. */
export function isTerraformStep(step: Step): step is TerraformStep {
  return ['provision', 'boot', 'resize', 'halt', 'replace', 'destroy'].includes(step.kind);
}
