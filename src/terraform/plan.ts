import { z } from 'zod';
import {
  type AttributeChange,
  canonicalize,
  compareSides,
  type Json,
  type Sides,
} from './attributes.ts';

/** What happens to a resource. `read` is a data source read while applying; `forget` leaves the real object alone. */
export type Action =
  | 'create'
  | 'update'
  | 'replace'
  | 'delete'
  | 'read'
  | 'no-op'
  | 'move'
  | 'import'
  | 'forget';

/** One resource instance of the plan. */
export interface ResourceChange {
  /** e.g. `aws_instance.node["1"]`. */
  readonly address: string;
  /** e.g. `aws_instance`. */
  readonly type: string;
  /** The name in the configuration, e.g. `node`. */
  readonly name: string;
  /** The `for_each` key or `count` number; null where there is neither. */
  readonly index: string | number | null;
  readonly action: Action;
  /** The provider's id before the change; null for what does not exist yet. */
  readonly id: string | null;
  /** Its address in the state, where it moves. */
  readonly previousAddress: string | null;
  /** Id under which it is imported. */
  readonly importId: string | null;
  /** Terraform's reason, e.g. `replace_because_cannot_update`. */
  readonly reason: string | null;
  /** Set for an object left over from an interrupted replacement. */
  readonly deposed: string | null;
  readonly attributes: readonly AttributeChange[];
}

/** A root output that changes. */
export interface OutputChange {
  readonly name: string;
  readonly action: 'create' | 'update' | 'delete';
  readonly attributes: readonly AttributeChange[];
}

/** A resource that was changed outside Terraform since the last apply. */
export interface DriftChange {
  readonly address: string;
  readonly type: string;
  readonly action: 'update' | 'delete';
  /** Whether this plan's changes follow from it. */
  readonly relevant: boolean;
  readonly attributes: readonly AttributeChange[];
}

/** Resources per kind of change. A replacement counts once, as such; a moved or imported one may count as a change too. */
export interface PlanCounts {
  readonly add: number;
  readonly change: number;
  readonly replace: number;
  readonly destroy: number;
  readonly move: number;
  readonly import: number;
  readonly forget: number;
}

/** A plan as the reports and operations need it. It holds no sensitive value. */
export interface PlanSummary {
  /** Version of the Terraform that planned. */
  readonly terraformVersion: string;
  readonly counts: PlanCounts;
  /** Whether applying would do anything, changes of outputs included. */
  readonly hasChanges: boolean;
  /** All resources, untouched ones (`no-op`) included, in the plan's order. */
  readonly resources: readonly ResourceChange[];
  readonly outputs: readonly OutputChange[];
  readonly drift: readonly DriftChange[];
}

const json: z.ZodType<Json> = z.any();
const path = z.array(z.union([z.string(), z.number()]));
const change = z.object({
  actions: z.array(z.string()),
  before: json.optional(),
  after: json.optional(),
  after_unknown: json.optional(),
  before_sensitive: json.optional(),
  after_sensitive: json.optional(),
  replace_paths: z.array(path).optional(),
  importing: z.object({ id: z.string().optional() }).nullish(),
});
const resource = z.object({
  address: z.string(),
  previous_address: z.string().optional(),
  mode: z.string(),
  type: z.string(),
  name: z.string(),
  index: z.union([z.string(), z.number()]).optional(),
  deposed: z.string().optional(),
  action_reason: z.string().optional(),
  change,
});
const planDocument = z.object({
  format_version: z.string(),
  terraform_version: z.string().default('unknown'),
  errored: z.boolean().default(false),
  resource_changes: z.array(resource).default([]),
  resource_drift: z.array(resource).default([]),
  output_changes: z.record(z.string(), change).default({}),
  relevant_attributes: z.array(z.object({ resource: z.string() })).default([]),
});

type Resource = z.infer<typeof resource>;
type Change = z.infer<typeof change>;

/**
 * The plan in `planJson`, the parsed output of `terraform show -json <plan file>` (Terraform's "JSON
 * Output Format", major version 1).
 *
 * Throws when it is not such a document, has another major version, or is of a plan that failed.
 */
export function summarizePlan(planJson: unknown): PlanSummary {
  const plan = parsePlan(planJson);
  const resources = plan.resource_changes.map(summarizeResource);
  const outputs = Object.entries(plan.output_changes).flatMap(([name, output]) =>
    summarizeOutput(name, output),
  );
  const relevant = plan.relevant_attributes.map((attribute) => attribute.resource);
  return {
    terraformVersion: plan.terraform_version,
    counts: countChanges(resources),
    hasChanges: outputs.length > 0 || resources.some(({ action }) => !isIdle(action)),
    resources,
    outputs,
    drift: plan.resource_drift.flatMap((drifted) => summarizeDrift(drifted, relevant)),
  };
}

/**
 * What the plan changes as one text, for a digest. Equal for plans that do the same: wording, order,
 * time stamps and untouched resources do not count. Sensitive values do not either, or a published
 * digest would let a short one be guessed.
 */
export function canonicalizePlan(summary: PlanSummary): string {
  const resources = summary.resources
    .filter(({ action }) => !isIdle(action))
    // What a destroyed object looked like does not matter, only which one it is.
    .map(({ reason: _, index: __, attributes, ...rest }) =>
      canonicalize({ ...rest, attributes: rest.action === 'delete' ? [] : attributes }),
    )
    .sort();
  const outputs = summary.outputs.map(canonicalize).sort();
  return ['resources', ...resources, 'outputs', ...outputs, ''].join('\n');
}

/** Whether the action leaves everything, the state included, as it is. */
export function isIdle(action: Action): boolean {
  return action === 'no-op' || action === 'read';
}

function parsePlan(planJson: unknown): z.infer<typeof planDocument> {
  const version = z.object({ format_version: z.string() }).safeParse(planJson).data?.format_version;
  if (version === undefined) {
    throw new Error(
      'The plan is not in the format of `terraform show -json <plan file>`: it has no format_version.',
    );
  }
  if (!version.startsWith('1.')) {
    throw new Error(
      `The plan JSON has format version ${version}; this action reads version 1. Use a Terraform 1.x, or a newer release of this action.`,
    );
  }
  const parsed = planDocument.safeParse(planJson);
  if (!parsed.success) {
    throw new Error(`The plan JSON cannot be read: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  if (parsed.data.errored) {
    throw new Error(
      'Terraform could not finish this plan. Its messages are in the log of the plan.',
    );
  }
  return parsed.data;
}

function summarizeResource(entry: Resource): ResourceChange {
  const action = findAction(entry);
  return {
    address: entry.address,
    type: entry.type,
    name: entry.name,
    index: entry.index ?? null,
    action,
    id: readId(entry.change),
    previousAddress: entry.previous_address ?? null,
    importId: entry.change.importing?.id ?? null,
    reason: entry.action_reason ?? null,
    deposed: entry.deposed ?? null,
    attributes:
      action === 'no-op'
        ? []
        : compareSides(readSides(entry.change), { replacePaths: entry.change.replace_paths ?? [] }),
  };
}

function findAction({
  address,
  change: { actions, importing },
  previous_address,
}: Resource): Action {
  const words = [...actions].sort().join(' ');
  if (words === 'no-op') {
    if (importing) return 'import';
    return previous_address === undefined ? 'no-op' : 'move';
  }
  const action = ACTIONS[words];
  if (action === undefined) {
    throw new Error(
      `The plan wants to "${actions.join(', ')}" ${address}, which this release does not know. Update this action.`,
    );
  }
  return action;
}

/** Terraform's action lists, sorted, since both orders of a replacement mean the same to a reader. */
const ACTIONS: Readonly<Record<string, Action>> = {
  create: 'create',
  read: 'read',
  update: 'update',
  delete: 'delete',
  forget: 'forget',
  'create delete': 'replace',
  'create forget': 'replace',
};

function summarizeOutput(name: string, output: Change): OutputChange[] {
  const [action] = output.actions;
  if (action !== 'create' && action !== 'update' && action !== 'delete') return [];
  return [{ name, action, attributes: compareSides(readSides(output), { root: [name] }) }];
}

function summarizeDrift(entry: Resource, relevant: readonly string[]): DriftChange[] {
  const action = findAction(entry);
  if (action !== 'update' && action !== 'delete') return [];
  const attributes = compareSides(readSides(entry.change));
  // The provider wrote an empty value in another way: nobody changed anything.
  if (action === 'update' && attributes.length === 0) return [];
  const { address, type } = entry;
  return [{ address, type, action, relevant: relevant.includes(address), attributes }];
}

function countChanges(resources: readonly ResourceChange[]): PlanCounts {
  const count = (test: (resource: ResourceChange) => boolean) => resources.filter(test).length;
  return {
    add: count(({ action }) => action === 'create'),
    change: count(({ action }) => action === 'update'),
    replace: count(({ action }) => action === 'replace'),
    destroy: count(({ action }) => action === 'delete'),
    move: count(({ previousAddress }) => previousAddress !== null),
    import: count(({ importId, action }) => importId !== null || action === 'import'),
    forget: count(({ action }) => action === 'forget'),
  };
}

function readSides(entry: Change): Sides {
  return {
    before: entry.before,
    after: entry.after,
    unknown: entry.after_unknown,
    beforeSensitive: entry.before_sensitive,
    afterSensitive: entry.after_sensitive,
  };
}

function readId({ before, before_sensitive: sensitive }: Change): string | null {
  if (typeof before !== 'object' || before === null || !('id' in before)) return null;
  const hidden = sensitive === true || (isRecord(sensitive) && sensitive.id === true);
  return typeof before.id === 'string' && !hidden ? before.id : null;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
