import { nodeName } from '../cluster/node.ts';
import {
  type AttributeChange,
  canonicalize,
  type Json,
  UNKNOWN,
  type Value,
} from './attributes.ts';
import {
  type Action,
  isIdle,
  isStarterRemoval,
  type PlanSummary,
  type ResourceChange,
} from './plan.ts';

/** The output that holds what the nodes were asked to run. */
export const DATABASE_OUTPUT = 'database';

/** Outputs that hold what the provider said. */
const DERIVED_OUTPUTS = ['nodes'];

/** What a resize makes of an instance; a new address comes with the stop (`aws_instance` of the provider). */
const RESIZED = ['instance_type', 'public_dns', 'public_ip'];

/** As much of a plan as it takes to tell later what is different. */
export type PlanChanges = Pick<PlanSummary, 'resources' | 'outputs'>;

/**
 * What `plan` does, without what it leaves as it is and without outputs that only tell what became of it: an
 * address that changed since somebody stopped an instance is nothing that anybody would have to review.
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
 * Every difference between the plan that is about to be applied and the one that was reviewed: a sentence
 * each, none when they do the same. `partly`: an apply of the reviewed plan had begun, so what is left of it
 * is no difference.
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
 * The reviewed change that an interrupted apply left unfinished and `change` finishes: a half-made object is made
 * again, one that was to be replaced is gone already, or its old self is not. Null for anything else.
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

/** What is made must be what was to be made, whatever was there before. */
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
      // What the review left as it is was not an attribute of its changes.
      .filter(
        ({ path }) =>
          known.action === 'create' || known.attributes.some((one) => one.path === path),
      )
      .map((attribute) => describeDifference(change.address, attribute, known.attributes))
  );
}

/** What the review had and the plan no longer does. */
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

/** The settings that are asked for stand in an output, so half way they still are what was reviewed. */
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
 * Everything that `stage` does and the `reviewed` plan did not say: a sentence each, none when the stage is
 * a part of what was reviewed. A value that was not known at the review may be anything, outputs do not
 * count, and a node that is to be destroyed may get on the way what the other nodes get.
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

const kindOf = ({ type, name }: ResourceChange): string => `${type}.${name}`;

const isSameObject = (a: ResourceChange, b: ResourceChange): boolean =>
  a.address === b.address && a.deposed === b.deposed;

function compareChanges(change: ResourceChange, known: ResourceChange): string[] {
  const { address, action, id } = change;
  if (action !== known.action) return [describeUnreviewed(change, known.action)];
  if (id !== known.id) return [`${address}: is ${id} now, the review was of ${known.id}.`];
  if (change.previousAddress !== known.previousAddress || change.importId !== known.importId) {
    return [`${address}: comes from elsewhere than in the review.`];
  }
  // Which object goes was reviewed; what it looked like at its end is not a change.
  if (action === 'delete' || action === 'forget') return [];
  return change.attributes
    .filter((attribute) => !known.attributes.some((one) => allows(one, attribute)))
    .map((attribute) => describeDifference(address, attribute, known.attributes));
}

/** A node that leaves is no less a part of the cluster until then, so what concerns all nodes concerns it. */
function findUnreviewedNodeChanges(change: ResourceChange, reviewed: PlanChanges): string[] {
  const siblings = reviewed.resources.filter(
    (one) => kindOf(one) === kindOf(change) && one.action === 'update' && one.index !== null,
  );
  return change.attributes
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

/** An attribute of one node as another node has it: names contain the node's own. */
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

/** Whether a change that was reviewed covers one that is planned now. */
function allows(known: AttributeChange, now: AttributeChange): boolean {
  if (known.after.kind === 'unknown') return isWithin(now.path, known.path);
  return (
    now.path === known.path &&
    allowsValue(known.before, now.before) &&
    allowsValue(known.after, now.after)
  );
}

/** Whether `path` is `outer` or a part of it. */
function isWithin(path: string, outer: string): boolean {
  return path === outer || (path.startsWith(outer) && /^[.[]/.test(path.slice(outer.length)));
}

function allowsValue(known: Value, now: Value): boolean {
  if (known.kind === 'unknown') return true;
  if (known.kind !== 'known' || now.kind !== 'known') return known.kind === now.kind;
  return allowsJson(known.value, now.value);
}

/** Equal, or different only in parts that were not known. */
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

/** What a plan does to a resource, after `would`. */
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
