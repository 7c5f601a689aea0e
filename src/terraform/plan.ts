import {
  type AttributeChange,
  canonicalize,
  compareSides,
  formatPath,
  isEmpty,
  type Json,
  type Sides,
  type Value,
} from './attributes.ts';
import { STARTER_RESOURCE } from './node-changes.ts';
import { type Change, type PlanDocument, parsePlan, type Resource } from './plan-document.ts';
import { createMask, listSensitive, mapTexts } from './sensitive.ts';

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

/**
 * Resources per kind of change. A replacement counts once, as such; a moved or imported one may count as a change too, a
 * spent starter never.
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

/** A plan as the reports and operations need it. It holds no sensitive value. */
export interface PlanSummary {
  /** Version of the Terraform that planned. */
  readonly terraformVersion: string;
  readonly counts: PlanCounts;
  /** Whether applying would do anything, changes of outputs and spent starters included. */
  readonly hasChanges: boolean;
  /** All resources, untouched ones (`no-op`) included, in the plan's order. */
  readonly resources: readonly ResourceChange[];
  readonly outputs: readonly OutputChange[];
  readonly drift: readonly DriftChange[];
}

/**
 * The plan in `planJson`, the parsed output of `terraform show -json <plan file>` (Terraform's "JSON
 * Output Format", major version 1).
 *
 * Throws when it is not such a document, has another major version, or is of a plan that failed.
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
 * `text`, Terraform's wording of the plan in `planJson`, without its sensitive values: Terraform hides
 * them where they are marked, but not where a provider copied them to.
 */
export function hideSensitive(text: string, planJson: unknown): string {
  return createMask(listPlanSensitive(parsePlan(planJson)))(text);
}

/**
 * What the plan changes as one text, for a digest. Equal for plans that do the same: wording, order,
 * time stamps and untouched resources do not count. Sensitive values do not either, or a published
 * digest would let a short one be guessed.
 */
export function canonicalizePlan(summary: Pick<PlanSummary, 'resources' | 'outputs'>): string {
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

/** Whether the change only removes what started an instance from the state, which touches no instance. */
export function isStarterRemoval(resource: ResourceChange): boolean {
  return isStarter(resource) && resource.action === 'delete';
}

function isStarter({ type, name }: Pick<ResourceChange, 'type' | 'name'>): boolean {
  return `${type}.${name}` === STARTER_RESOURCE;
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
  const attributes = action === 'delete' ? [] : compare(dropFilledIn(entry.change));
  if (action === 'update' && attributes.length === 0) return [];
  const answered = relevant
    .filter(({ resource }) => address === resource || address.startsWith(`${resource}[`))
    .map(({ attribute }) => formatPath(attribute))
    .some(
      (path) =>
        action === 'delete' || attributes.some((attribute) => attribute.path.startsWith(path)),
    );
  return [{ address, type, action, relevant: answered, attributes }];
}

/**
 * Attributes that had no value before are filled in by the plan's other resources (a volume attached to
 * an instance, a rule in a group) and read back on the next refresh: nobody changed anything.
 */
function dropFilledIn(entry: Change): Change {
  const { before, after } = entry;
  if (!isRecord(before) || !isRecord(after)) return entry;
  const filled = new Set(Object.keys(before).filter((key) => !isEmpty(before[key])));
  const keep = (side: Readonly<Record<string, Json>>) =>
    Object.fromEntries(Object.entries(side).filter(([key]) => filled.has(key)));
  return { ...entry, before: keep(before), after: keep(after) };
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
  const hidden = sensitive === true || (isRecord(sensitive) && sensitive.id === true);
  return typeof before.id === 'string' && !hidden ? before.id : null;
}

const isRecord = (value: Json | undefined): value is Readonly<Record<string, Json>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
