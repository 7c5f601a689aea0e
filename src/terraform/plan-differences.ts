import { nodeName } from '../cluster/node.ts';
import {
  type AttributeChange,
  canonicalize,
  type Json,
  UNKNOWN,
  type Value,
} from './attributes.ts';
import { kindOf } from './node-changes.ts';
import { type Action, isIdle, type PlanSummary, type ResourceChange } from './plan.ts';
import { isStarterRemoval } from './starter.ts';

/** The output with the requested configuration of the database. */
export const DATABASE_OUTPUT = 'database';

/** Outputs that only repeat values of the provider. */
const DERIVED_OUTPUTS = ['nodes'];

/** Attributes that a resize changes. The stop changes the public address (provider documentation, `aws_instance`). */
const RESIZED = ['instance_type', 'public_dns', 'public_ip'];

/**
 * Tags of the root volume. A changed default tag removes the old one from volumes that were created with it, and from no
 * others (provider documentation, `aws_instance`, "root_block_device").
 */
const ROOT_TAGS = /^root_block_device\[0\]\.tags(?:_all)?(?:$|[.[])/;

/** The part of a plan that is needed to compare it later. */
export type PlanChanges = Pick<PlanSummary, 'resources' | 'outputs'>;

/**
 * Returns the changes that need a review: without untouched resources and without outputs that only repeat values of the
 * provider, such as an address that changed because somebody stopped an instance.
 */
export function selectChanges({ resources, outputs }: PlanChanges): PlanChanges {
  return {
    resources: resources.filter((one) => !isIdle(one.action) && !isStarterRemoval(one)),
    outputs: outputs.filter(({ name }) => !DERIVED_OUTPUTS.includes(name)),
  };
}

/** Whether there is anything to review. */
export function hasChangesToReview(plan: PlanChanges): boolean {
  const { resources, outputs } = selectChanges(plan);
  return resources.length + outputs.length > 0;
}

/**
 * Lists the differences between the plan that is about to be applied and the reviewed one, in a sentence each. With
 * `partly` an apply of the reviewed plan had begun, and changes that it already made are not missing.
 */
export function findDifferences(
  now: PlanChanges,
  reviewed: PlanChanges,
  { partly }: { partly: boolean },
): string[] {
  const { resources: changes } = selectChanges(now);
  const beyond = changes.flatMap((change) => {
    const known = partly ? findInterrupted(change, reviewed) : null;
    return known === null ? compareWith(reviewed)(change) : compareMade(change, known);
  });
  return [
    ...beyond,
    ...(partly ? [] : findMissing(changes, reviewed)),
    ...compareOutputs(now, reviewed, { partly }),
  ];
}

/**
 * Returns the reviewed change that an interrupted apply left unfinished and `change` completes: it creates a tainted
 * object again, or completes a replacement of which only the old object was destroyed or only the new one created.
 * Null for any other change.
 */
function findInterrupted(change: ResourceChange, reviewed: PlanChanges): ResourceChange | null {
  const { address, action, deposed, reason } = change;
  const known = reviewed.resources.find((one) => one.address === address && one.deposed === null);
  if (known?.action !== 'create' && known?.action !== 'replace') return null;
  const isRest = deposed !== null && action === 'delete' && known.action === 'replace';
  const isRemade = action === 'replace' && reason === 'replace_because_tainted';
  const isMade = action === 'create' && known.action === 'replace';
  return isRest || (deposed === null && (isRemade || isMade)) ? known : null;
}

/** Compares the object to be created with the reviewed one. Its earlier state is ignored. */
function compareMade(change: ResourceChange, known: ResourceChange): string[] {
  if (change.action === 'delete') return [];
  return (
    change.attributes
      .filter(({ after }) => after.kind !== 'absent')
      .filter(
        ({ path, after }) =>
          !known.attributes.some(
            (one) =>
              (one.after.kind === 'unknown' && isWithin(path, one.path)) ||
              (one.path === path && allowsValue(one.after, after)),
          ),
      )
      // The review does not list attributes that it left unchanged.
      .filter(
        ({ path }) =>
          known.action === 'create' || known.attributes.some((one) => one.path === path),
      )
      .map((attribute) => describeDifference(change.address, attribute, known.attributes))
  );
}

/** Lists reviewed changes that the plan no longer has. */
function findMissing(changes: readonly ResourceChange[], reviewed: PlanChanges): string[] {
  return reviewed.resources.flatMap((known) => {
    const change = changes.find((one) => isSameObject(one, known));
    const { address, action } = known;
    if (change === undefined) return [`${address}: would no longer ${VERBS[action]}.`];
    if (change.action !== action || action === 'delete') return [];
    return known.attributes
      .filter(({ path }) => !change.attributes.some((one) => isWithin(one.path, path)))
      .map(
        ({ path, after }) => `${address}: ${path} would no longer become ${describeValue(after)}.`,
      );
  });
}

/** Compares outputs. One of them holds the requested settings, which also must match during an apply. */
function compareOutputs(
  now: PlanChanges,
  reviewed: PlanChanges,
  { partly }: { partly: boolean },
): string[] {
  const beyond = selectChanges(now).outputs.flatMap(({ name, attributes }) => {
    const known = reviewed.outputs.find((output) => output.name === name)?.attributes ?? [];
    return attributes
      .filter((attribute) => !known.some((one) => allows(one, attribute)))
      .map((attribute) => describeDifference('output', attribute, known));
  });
  if (partly) return beyond;
  const missing = selectChanges(reviewed).outputs.flatMap(({ attributes, name }) => {
    const planned = now.outputs.find((output) => output.name === name)?.attributes ?? [];
    return attributes
      .filter(({ path }) => !planned.some((one) => isWithin(one.path, path)))
      .map(({ path, after }) => `output: ${path} would no longer become ${describeValue(after)}.`);
  });
  return [...beyond, ...missing];
}

/**
 * Lists the changes of `stage` that the `reviewed` plan does not have; empty if the stage is a part of it. A value that
 * was unknown at the review may be any value, outputs are ignored, and a node that is destroyed later may be changed like
 * the other nodes first.
 */
export function findUnreviewedChanges(stage: PlanChanges, reviewed: PlanChanges): string[] {
  return selectChanges(stage).resources.flatMap((change) => {
    const known = reviewed.resources.find((one) => isSameObject(one, change));
    if (known?.action === 'delete' && change.action === 'update') {
      return findUnreviewedNodeChanges(change, reviewed);
    }
    return compareWith(reviewed)(change);
  });
}

const compareWith =
  (reviewed: PlanChanges) =>
  (change: ResourceChange): string[] => {
    const known = reviewed.resources.find((one) => isSameObject(one, change));
    if (known !== undefined) return compareChanges(change, known);
    const { action, address, attributes } = change;
    if (action !== 'update') return [describeUnreviewed(change, 'no-op')];
    return attributes.map((attribute) => describeDifference(address, attribute, []));
  };

const isSameObject = (a: ResourceChange, b: ResourceChange): boolean =>
  a.address === b.address && a.deposed === b.deposed;

function compareChanges(change: ResourceChange, known: ResourceChange): string[] {
  const { address, action, id } = change;
  if (action !== known.action) return [describeUnreviewed(change, known.action)];
  if (id !== known.id) return [`${address}: is ${id} now, the review was of ${known.id}.`];
  if (change.previousAddress !== known.previousAddress || change.importId !== known.importId) {
    return [`${address}: comes from elsewhere than in the review.`];
  }
  // The review names the object to destroy; its attributes do not matter.
  if (action === 'delete' || action === 'forget') return [];
  return change.attributes
    .filter((attribute) => !known.attributes.some((one) => allows(one, attribute)))
    .map((attribute) => describeDifference(address, attribute, known.attributes));
}

/** Lists changes to a node that is destroyed later, unless other nodes get them as well, or a tag leaves its root volume. */
function findUnreviewedNodeChanges(change: ResourceChange, reviewed: PlanChanges): string[] {
  const siblings = reviewed.resources.filter(
    (one) => kindOf(one) === kindOf(change) && one.action === 'update' && one.index !== null,
  );
  return change.attributes
    .filter(({ path, after }) => !(ROOT_TAGS.test(path) && after.kind === 'absent'))
    .filter(
      (attribute) =>
        RESIZED.includes(attribute.path) ||
        !siblings.some(({ index, attributes }) =>
          attributes
            .map((one) => renameNode(one, { from: index, to: change.index }))
            .some((one) => one.path === attribute.path && allowsValue(one.after, attribute.after)),
        ),
    )
    .map((attribute) => describeDifference(change.address, attribute, []));
}

/** Converts an attribute of one node to another's, since values contain the name of their node. */
function renameNode(
  attribute: AttributeChange,
  { from, to }: { from: ResourceChange['index']; to: ResourceChange['index'] },
): AttributeChange {
  const { after } = attribute;
  if (after.kind !== 'known' || typeof after.value !== 'string') return attribute;
  const own = new RegExp(`\\b${nodeName(Number(from))}(?!\\d)`, 'g');
  return {
    ...attribute,
    after: { ...after, value: after.value.replace(own, nodeName(Number(to))) },
  };
}

/** Whether a reviewed change covers a planned one. */
function allows(known: AttributeChange, now: AttributeChange): boolean {
  if (known.after.kind === 'unknown') return isWithin(now.path, known.path);
  return (
    now.path === known.path &&
    allowsValue(known.before, now.before) &&
    allowsValue(known.after, now.after)
  );
}

/** Whether `path` is `outer` or is inside it. */
function isWithin(path: string, outer: string): boolean {
  return path === outer || (path.startsWith(outer) && /^[.[]/.test(path.slice(outer.length)));
}

function allowsValue(known: Value, now: Value): boolean {
  if (known.kind === 'unknown') return true;
  if (known.kind !== 'known' || now.kind !== 'known') return known.kind === now.kind;
  return allowsJson(known.value, now.value);
}

/** Whether values are equal except for parts that were unknown. */
function allowsJson(known: Json | undefined, now: Json | undefined): boolean {
  if (known === UNKNOWN) return true;
  if (typeof known !== 'object' || known === null || typeof now !== 'object' || now === null) {
    return known === now;
  }
  if (Array.isArray(known) !== Array.isArray(now)) return false;
  const [before, after] = [known, now] as Readonly<Record<string, Json>>[];
  const keys = new Set([...Object.keys(known), ...Object.keys(now)]);
  return [...keys].every((key) => allowsJson(before?.[key], after?.[key]));
}

/** Descriptions of the actions, to follow `would`. */
export const VERBS: Readonly<Record<Action, string>> = {
  create: 'be created',
  update: 'be changed',
  replace: 'be replaced',
  delete: 'be destroyed',
  read: 'be read',
  'no-op': 'stay as it is',
  move: 'be moved',
  import: 'be imported',
  forget: 'be forgotten',
};

function describeUnreviewed(
  { address, action }: ResourceChange,
  reviewed: ResourceChange['action'],
): string {
  return `${address}: would ${VERBS[action]}; in the review it was to ${VERBS[reviewed]}.`;
}

function describeDifference(
  address: string,
  { path, before, after }: AttributeChange,
  known: readonly AttributeChange[],
): string {
  const reviewed = known.find((one) => one.path === path);
  const now = `${describeValue(before)} → ${describeValue(after)}`;
  const then = reviewed
    ? `the review said ${describeValue(reviewed.before)} → ${describeValue(reviewed.after)}`
    : 'the review left it as it is';
  return `${address}: ${path} would change ${now}; ${then}.`;
}

function describeValue(value: Value): string {
  if (value.kind === 'known') return canonicalize(value.value);
  return { absent: 'nothing', unknown: UNKNOWN, sensitive: '(sensitive value)' }[value.kind];
}
