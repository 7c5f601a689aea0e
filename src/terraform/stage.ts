import type { Node } from '../cluster/configuration.ts';
import { nodeName } from '../cluster/spec.ts';
import {
  type AttributeChange,
  canonicalize,
  type Json,
  UNKNOWN,
  type Value,
} from './attributes.ts';
import type { Stage } from './cli.ts';
import { isIdle, type PlanSummary, type ResourceChange } from './plan.ts';

/** What a plan does to the nodes, by name (`node-3`), in number order. A node stands in one of the first four at most. */
export interface NodeChanges {
  /** Their instance does not exist (any more). */
  readonly create: readonly string[];
  /** Their instance goes and another one comes. */
  readonly replace: readonly string[];
  /** Their instance is stopped, changed and started. */
  readonly resize: readonly NodeResize[];
  readonly destroy: readonly string[];
  /** Nodes that get a blank data volume. */
  readonly fresh: readonly string[];
}

/** A node whose instance type changes. */
export interface NodeResize {
  readonly node: string;
  readonly from: string;
  readonly to: string;
}

/** What a resize makes of an instance; a new address comes with the stop (`aws_instance` of the provider). */
const RESIZED = ['instance_type', 'public_dns', 'public_ip'];

/** Actions after which there is an instance that was not there before. */
const MAKING: readonly string[] = ['create', 'replace'];

/** Terraform's address of a node's instance, e.g. to have it replaced. */
export function instanceAddress(node: string): string {
  return `aws_instance.node["${nodeNumber(node)}"]`;
}

/** Terraform's address of the attachment of a node's data volume. */
export function attachmentAddress(node: string): string {
  return `aws_volume_attachment.data["${nodeNumber(node)}"]`;
}

/** The number in a node's name, as Terraform's keys have it: `3` of `node-3`. */
export function nodeNumber(node: string): string {
  return /\d+$/.exec(node)?.[0] ?? '';
}

/** What `plan` does to the nodes. */
export function describeNodes(plan: PlanSummary): NodeChanges {
  const instances = listNodes(plan, 'aws_instance.node');
  const volumes = listNodes(plan, 'aws_ebs_volume.data');
  const pick = (resources: typeof instances, ...actions: readonly string[]) =>
    resources.filter(({ resource }) => actions.includes(resource.action)).map(({ node }) => node);
  return {
    create: pick(instances, 'create'),
    replace: pick(instances, 'replace'),
    resize: instances.flatMap(({ node, resource }) => readResize(node, resource)),
    destroy: pick(instances, 'delete'),
    fresh: pick(volumes, 'create', 'replace'),
  };
}

/**
 * Nodes that leave with their data and whose instance is gone already: nobody can see whether what lies on the
 * volume is the primary's.
 */
export function findUnseenLosses(plan: PlanSummary): string[] {
  const { destroy } = describeNodes(plan);
  return listNodes(plan, 'aws_ebs_volume.data')
    .filter(({ node, resource }) => resource.action === 'delete' && !destroy.includes(node))
    .map(
      ({ node }) =>
        `${node} is to be removed with its data, and its instance is gone already, so nobody can see whether its data is the primary's. Deploy with the replica-count of before first, which brings the node back; then lower it.`,
    );
}

/**
 * The part of the `reviewed` plan in which nothing is destroyed and of all running instances only those of
 * `resized` have their new type; without any, the stage before the first resize. `standing` are the nodes
 * that the state holds. The last stage is the plan without a stage.
 */
export function keepNodes(
  reviewed: PlanSummary,
  { standing, resized }: { standing: readonly Node[]; resized: readonly string[] },
): Stage {
  const instances = listNodes(reviewed, 'aws_instance.node');
  const made = instances.filter(({ resource: { action } }) => MAKING.includes(action));
  const leaving = instances.filter(({ resource: { action } }) => action === 'delete');
  const kept = standing.filter(
    ({ name }) => !resized.includes(name) && !made.some(({ node }) => node === name),
  );
  const typeOf = ({ name, instanceType }: Node) => {
    // The plan has looked since the state was written: somebody may have changed the type by hand.
    const type = instances
      .find(({ node }) => node === name)
      ?.resource.attributes.find(({ path }) => path === 'instance_type')?.before;
    return type?.kind === 'known' ? String(type.value) : instanceType;
  };
  return {
    instanceTypes: Object.fromEntries(kept.map((one) => [nodeNumber(one.name), typeOf(one)])),
    keptNodeCount: Math.max(0, ...leaving.map(({ node }) => Number(nodeNumber(node)))),
  };
}

/**
 * Everything that `stage` does and the `reviewed` plan did not say: a sentence each, none when the stage is
 * a part of what was reviewed. A value that was not known at the review may be anything, outputs do not
 * count, and a node that is to be destroyed may get on the way what the other nodes get.
 */
export function findBeyondReview(stage: PlanSummary, reviewed: PlanSummary): string[] {
  return stage.resources
    .filter(({ action }) => !isIdle(action))
    .flatMap((change) => {
      const known = reviewed.resources.find((one) => isSameObject(one, change));
      if (known?.action === 'delete' && change.action === 'update') {
        return findBeyondSiblings(change, reviewed);
      }
      return known === undefined
        ? [sayNotReviewed(change, 'no-op')]
        : compareChanges(change, known);
    });
}

/**
 * Everything that `stage` does beyond giving `node` another instance and attaching its volume to it: a
 * sentence each, none when it does nothing else.
 */
export function findBeyondReplacement(stage: PlanSummary, node: string): string[] {
  const expected = [instanceAddress(node), attachmentAddress(node)];
  return stage.resources
    .filter(({ action }) => !isIdle(action))
    .filter(
      ({ address, action, deposed }) =>
        !(expected.includes(address) && MAKING.includes(action) && deposed === null),
    )
    .map(
      ({ address, action }) =>
        `${address}: would ${VERBS[action]}, but only the instance of ${node} is to be replaced.`,
    );
}

function listNodes(
  plan: PlanSummary,
  kind: string,
): { readonly node: string; readonly resource: ResourceChange }[] {
  return plan.resources
    .filter((resource) => kindOf(resource) === kind && resource.deposed === null)
    .map((resource) => ({ node: nodeName(Number(resource.index)), resource }))
    .sort((a, b) => Number(a.resource.index) - Number(b.resource.index));
}

const kindOf = ({ type, name }: ResourceChange): string => `${type}.${name}`;

function readResize(node: string, { action, address, attributes }: ResourceChange): NodeResize[] {
  const change = attributes.find(({ path }) => path === 'instance_type');
  if (action !== 'update' || change === undefined) return [];
  const [from, to] = [change.before, change.after].map((side) =>
    side.kind === 'known' && typeof side.value === 'string' ? side.value : undefined,
  );
  if (from === undefined || to === undefined) {
    throw new Error(`The plan does not tell the instance types of ${address}.`);
  }
  return [{ node, from, to }];
}

const isSameObject = (a: ResourceChange, b: ResourceChange): boolean =>
  a.address === b.address && a.deposed === b.deposed;

function compareChanges(change: ResourceChange, known: ResourceChange): string[] {
  const { address, action, id } = change;
  if (action !== known.action) return [sayNotReviewed(change, known.action)];
  if (id !== known.id) return [`${address}: is ${id} now, the review was of ${known.id}.`];
  if (change.previousAddress !== known.previousAddress || change.importId !== known.importId) {
    return [`${address}: comes from elsewhere than in the review.`];
  }
  // Which object goes was reviewed; what it looked like at its end is not a change.
  if (action === 'delete' || action === 'forget') return [];
  return change.attributes
    .filter((attribute) => !known.attributes.some((one) => allows(one, attribute)))
    .map((attribute) => sayDifference(address, attribute, known.attributes));
}

/** A node that leaves is no less a part of the cluster until then, so what concerns all nodes concerns it. */
function findBeyondSiblings(change: ResourceChange, reviewed: PlanSummary): string[] {
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
    .map((attribute) => sayDifference(change.address, attribute, []));
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

const VERBS: Readonly<Record<ResourceChange['action'], string>> = {
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

function sayNotReviewed(
  { address, action }: ResourceChange,
  reviewed: ResourceChange['action'],
): string {
  return `${address}: would ${VERBS[action]}; in the review it was to ${VERBS[reviewed]}.`;
}

function sayDifference(
  address: string,
  { path, before, after }: AttributeChange,
  known: readonly AttributeChange[],
): string {
  const reviewed = known.find((one) => one.path === path);
  const now = `${sayValue(before)} → ${sayValue(after)}`;
  const then = reviewed
    ? `the review said ${sayValue(reviewed.before)} → ${sayValue(reviewed.after)}`
    : 'the review left it as it is';
  return `${address}: ${path} would change ${now}; ${then}.`;
}

function sayValue(value: Value): string {
  if (value.kind === 'known') return canonicalize(value.value);
  return { absent: 'nothing', unknown: UNKNOWN, sensitive: '(sensitive value)' }[value.kind];
}
