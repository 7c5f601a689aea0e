import {
  type AttributeChange,
  canonicalize,
  compareSides,
  formatPath,
  isObject,
  type Sides,
  type Value,
} from './attributes.ts';
import { keepDrift } from './drift.ts';
import { findOpenings, type Opening } from './openings.ts';
import { type Change, type PlanDocument, parsePlan, type Resource } from './plan-document.ts';
import { createMask, listSensitive, mapTexts } from './sensitive.ts';
import { isStarter, isStarterRemoval } from './starter.ts';
import { findStranded } from './stranded-nodes.ts';

/** Actions on a resource. `read` is a data source read while applying; `forget` keeps the real object. */
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
  /** The `for_each` key or `count` number, or null. */
  readonly index: string | number | null;
  readonly action: Action;
  /** The provider's id before the change; null if the object does not exist yet. */
  readonly id: string | null;
  /** Its address in the state, if it moves. */
  readonly previousAddress: string | null;
  /** The id by which it is imported, or null. */
  readonly importId: string | null;
  /** Terraform's reason, e.g. `replace_because_cannot_update`. */
  readonly reason: string | null;
  /** Key of an object left over from an interrupted replacement, or null. */
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
  /** Whether this plan's changes depend on it. */
  readonly relevant: boolean;
  readonly attributes: readonly AttributeChange[];
}

/**
 * Resources per kind of change. A replacement counts once; a moved or imported resource may also count as a change. The
 * removal of a starter never counts.
 */
export interface PlanCounts {
  readonly add: number;
  readonly change: number;
  readonly replace: number;
  readonly destroy: number;
  readonly move: number;
  readonly import: number;
  readonly forget: number;
}

/** A plan for reports and operations. It contains no sensitive values. */
export interface PlanSummary {
  /** Version of Terraform. */
  readonly terraformVersion: string;
  readonly counts: PlanCounts;
  /** Whether an apply would change anything, including outputs and the removal of starters. */
  readonly hasChanges: boolean;
  /** All resources, including untouched ones (`no-op`), in the plan's order. */
  readonly resources: readonly ResourceChange[];
  readonly outputs: readonly OutputChange[];
  readonly drift: readonly DriftChange[];
  /** Names of the nodes that would have no way to the internet afterwards. */
  readonly stranded: readonly string[];
  /** The ports that rules outside Terraform open. */
  readonly openings: readonly Opening[];
}

/**
 * Summarizes the plan in `planJson`, the parsed output of `terraform show -json <plan file>` (Terraform's "JSON Output
 * Format", major version 1).
 *
 * Throws if it is another document, has another major version, or belongs to a failed plan.
 */
export function summarizePlan(planJson: unknown): PlanSummary {
  const plan = parsePlan(planJson);
  const mask = createMask(listPlanSensitive(plan));
  const compare = (entry: Change, options?: Parameters<typeof compareSides>[1]) =>
    compareSides(readSides(entry), options).map((attribute) => maskAttribute(attribute, mask));
  const resources = plan.resource_changes.map((entry) => summarizeResource(entry, compare));
  const outputs = Object.entries(plan.output_changes).flatMap(([name, output]) =>
    summarizeOutput(name, output, compare),
  );
  return {
    terraformVersion: plan.terraform_version,
    counts: countChanges(resources),
    hasChanges: outputs.length > 0 || resources.some(({ action }) => !isIdle(action)),
    resources,
    outputs,
    stranded: findStranded(plan),
    openings: findOpenings(plan),
    // A starter says nothing about its instance: the state of that is read from EC2.
    drift: plan.resource_drift
      .filter((drifted) => !isStarter(drifted))
      .flatMap((drifted) =>
        summarizeDrift(drifted, { relevant: plan.relevant_attributes, compare }),
      ),
  };
}

type Compare = (
  entry: Change,
  options?: Parameters<typeof compareSides>[1],
) => readonly AttributeChange[];

function maskAttribute(
  { before, after, ...rest }: AttributeChange,
  mask: (text: string) => string,
): AttributeChange {
  const hide = (side: Value): Value =>
    side.kind === 'known' ? { kind: 'known', value: mapTexts(side.value, mask) } : side;
  return { ...rest, before: hide(before), after: hide(after) };
}

/**
 * Hides the plan's sensitive values in `text`, as Terraform prints the plan. Terraform hides marked values, but not the
 * copies that a provider makes of them.
 */
export function hideSensitive(text: string, planJson: unknown): string {
  return createMask(listPlanSensitive(parsePlan(planJson)))(text);
}

/**
 * Returns the changes of a plan as text for a digest. It is equal for plans with the same changes: wording, order, time
 * stamps and untouched resources are left out. So are sensitive values, since a published digest would let short ones be
 * guessed.
 */
export function canonicalizePlan(summary: Pick<PlanSummary, 'resources' | 'outputs'>): string {
  const resources = summary.resources
    .filter(({ action }) => !isIdle(action))
    // The attributes of a destroyed object do not matter, only its identity.
    .map(({ reason: _, index: __, attributes, ...rest }) =>
      canonicalize({ ...rest, attributes: rest.action === 'delete' ? [] : attributes }),
    )
    .sort();
  const outputs = summary.outputs.map(canonicalize).sort();
  return ['resources', ...resources, 'outputs', ...outputs, ''].join('\n');
}

/** Whether the action changes nothing, not even the state. */
export function isIdle(action: Action): boolean {
  return action === 'no-op' || action === 'read';
}

function listPlanSensitive(plan: PlanDocument): string[] {
  const resources = [...plan.resource_changes, ...plan.resource_drift];
  return [...resources.map((entry) => entry.change), ...Object.values(plan.output_changes)].flatMap(
    ({ before, before_sensitive, after, after_sensitive }) => [
      ...listSensitive(before, before_sensitive),
      ...listSensitive(after, after_sensitive),
    ],
  );
}

function summarizeResource(entry: Resource, compare: Compare): ResourceChange {
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
        : compare(entry.change, { replacePaths: entry.change.replace_paths ?? [] }),
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

/** Terraform's action lists, sorted: both orders of a replacement are one action here. */
const ACTIONS: Readonly<Record<string, Action>> = {
  create: 'create',
  read: 'read',
  update: 'update',
  delete: 'delete',
  forget: 'forget',
  'create delete': 'replace',
  'create forget': 'replace',
};

function summarizeOutput(name: string, output: Change, compare: Compare): OutputChange[] {
  const [action] = output.actions;
  if (action !== 'create' && action !== 'update' && action !== 'delete') return [];
  return [{ name, action, attributes: compare(output, { root: [name] }) }];
}

function summarizeDrift(
  entry: Resource,
  { relevant, compare }: { relevant: PlanDocument['relevant_attributes']; compare: Compare },
): DriftChange[] {
  const { address, type } = entry;
  const action = findAction(entry);
  if (action !== 'update' && action !== 'delete') return [];
  const attributes = action === 'delete' ? [] : compare(keepDrift(entry));
  if (action === 'update' && attributes.length === 0) return [];
  const isRelevant = relevant
    .filter(({ resource }) => address === resource || address.startsWith(`${resource}[`))
    .map(({ attribute }) => formatPath(attribute))
    .some(
      (path) =>
        action === 'delete' || attributes.some((attribute) => attribute.path.startsWith(path)),
    );
  return [{ address, type, action, relevant: isRelevant, attributes }];
}

function countChanges(resources: readonly ResourceChange[]): PlanCounts {
  const counted = resources.filter((resource) => !isStarterRemoval(resource));
  const count = (test: (resource: ResourceChange) => boolean) => counted.filter(test).length;
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
  const hidden = sensitive === true || (isObject(sensitive) && sensitive.id === true);
  return typeof before.id === 'string' && !hidden ? before.id : null;
}
