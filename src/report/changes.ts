import { listSome } from '../messages/list-some.ts';
import {
  buildNodeChanges,
  findOrphanedVolumes,
  kindOf,
  listNodes,
} from '../terraform/node-changes.ts';
import { isIdle, type PlanSummary, type ResourceChange } from '../terraform/plan.ts';
import { isStarterRemoval } from '../terraform/starter.ts';
import { listVolumeChanges } from '../terraform/volume-changes.ts';
import { countNoun } from './markdown.ts';

/** `ahead`: `adds node-4`; `done`: `added node-4`. */
export type Tense = 'ahead' | 'done';

/** Names that a headline lists; more are counted. */
const MAX_NAMES = 2;

/** The resources that belong to one node and change with it. */
const NODE_KINDS: readonly string[] = [
  'aws_instance.node',
  'aws_ebs_volume.data',
  'aws_volume_attachment.data',
];

const ACCESS_KINDS: readonly string[] = [
  'aws_vpc_security_group_ingress_rule.ssh',
  'aws_vpc_security_group_ingress_rule.clients',
];

/** What the role of the nodes consists of, with which they reach the bucket of the backups. */
const ROLE_KINDS: readonly string[] = [
  'aws_iam_role.nodes',
  'aws_iam_role_policy.nodes',
  'aws_iam_instance_profile.nodes',
];

/** What makes snapshots of the data volumes. */
const SNAPSHOT_KINDS: readonly string[] = [
  'aws_dlm_lifecycle_policy.snapshots',
  'aws_iam_role.snapshots',
  'aws_iam_role_policy.snapshots',
];

/** The tag by which a data volume is found for its snapshots (templates/aws/snapshots.tf). */
const SNAPSHOT_TAGS: readonly string[] = ['tags.SnapshotsOf', 'tags_all.SnapshotsOf'];

/**
 * Returns what a plan does to the infrastructure in a person's units, e.g. `removes node-3`: nodes first, losses before
 * additions, then everything else by number of resources. Plain text without words of others; empty without changes.
 */
export function summarizeChanges(plan: PlanSummary, tense: Tense = 'ahead'): string[] {
  const changes = groupNodes(plan);
  const { create, replace, destroy, orphans, blank, resized, grown } = changes;
  if (isNewCluster(plan)) {
    const verb = tense === 'ahead' ? '' : 'made a ';
    return [`${verb}new cluster of ${countNoun(create.length, 'node')}`];
  }
  const { access, role, snapshots, rest } = listOthers(plan, changes);
  const say = (verb: keyof typeof VERBS) => VERBS[verb][tense];
  const nodes = [
    ...name(destroy, (names) => `${say('remove')} ${names}`),
    ...name(orphans, (names) => `${say('remove')} the data of ${names}`),
    ...name(blank, (names) => `${say('replace')} the data of ${names}`),
    ...name(replace, (names) => `${say('replace')} ${names}`),
    ...name(create, (names) => `${say('add')} ${names}`),
    ...name(resized, (names) => `${say('resize')} ${names}`),
    ...name(grown, (names) => `${say('change')} the storage of ${names}`),
    ...WAYS.flatMap(([type, what]) => [
      ...(has(rest, type, 'delete') ? [`${say('remove')} ${what}`] : []),
      ...(has(rest, type, 'replace') ? [`${say('replace')} ${what}`] : []),
      ...(has(rest, type, 'create') ? [`${say('add')} ${what}`] : []),
    ]),
    ...(access.length > 0 ? [`${say('change')} who may connect`] : []),
    ...(role.length > 0 ? [`${say(findVerb(role, 'aws_iam_role'))} the role of the nodes`] : []),
    ...(snapshots.length > 0
      ? [`${say(findVerb(snapshots, 'aws_dlm_lifecycle_policy'))} snapshots of the volumes`]
      : []),
  ];
  return [
    ...nodes,
    ...countRest(
      rest.filter(({ type }) => !WAYS.some(([way]) => way === type)),
      { tense, other: nodes.length > 0 },
    ),
  ];
}

/** Resources that are worth a word of their own in a headline. */
const WAYS: readonly (readonly [string, string])[] = [
  ['aws_ec2_instance_connect_endpoint', 'the Instance Connect Endpoint'],
  ['aws_nat_gateway', 'the NAT gateway'],
];

const has = (
  resources: readonly ResourceChange[],
  type: string,
  action: ResourceChange['action'],
): boolean => resources.some((one) => one.type === type && one.action === action);

/** Returns the number of changed resources that belong to no node that a report names. */
export function countUndescribed(plan: PlanSummary): number {
  if (isNewCluster(plan)) return 0;
  const { access, role, snapshots, rest } = listOthers(plan, groupNodes(plan));
  return access.length + role.length + snapshots.length + rest.length;
}

/** Names of nodes by what happens to them; a node is in at most one of the first five lists. */
interface NodeGroups {
  readonly destroy: readonly string[];
  /** Nodes whose volume goes and whose instance is gone. */
  readonly orphans: readonly string[];
  /** Nodes that stay and get a blank volume. */
  readonly blank: readonly string[];
  /** Nodes that get another instance around their volume. */
  readonly replace: readonly string[];
  readonly create: readonly string[];
  readonly resized: readonly string[];
  /** Nodes of which a volume gets another size, IOPS or throughput. */
  readonly grown: readonly string[];
}

function groupNodes(plan: PlanSummary): NodeGroups {
  const { create, replace, resize, destroy, fresh } = buildNodeChanges(plan);
  const blank = fresh.filter((node) => !create.includes(node));
  return {
    destroy,
    orphans: findOrphanedVolumes(plan),
    blank,
    replace: replace.filter((node) => !blank.includes(node)),
    create,
    resized: resize.map(({ node }) => node),
    grown: [...new Set(listVolumeChanges(plan).map(({ node }) => node))],
  };
}

/** Returns the changed resources that are not those of a named node. */
function listOthers(
  plan: PlanSummary,
  { resized, grown, ...touched }: NodeGroups,
): Readonly<Record<'access' | 'role' | 'snapshots' | 'rest', readonly ResourceChange[]>> {
  const replaced = new Set(Object.values(touched).flat());
  const updated = new Set([...replaced, ...resized, ...grown]);
  const isSaid = (one: ResourceChange) =>
    (NODE_KINDS.includes(kindOf(one)) || one.type === 'aws_route53_record') &&
    (one.action === 'update' ? updated : replaced).has(`node-${one.index}`);
  const busy = plan.resources.filter(
    (one) => !isIdle(one.action) && !isStarterRemoval(one) && !isSaid(one),
  );
  const isAccess = (one: ResourceChange) => ACCESS_KINDS.includes(kindOf(one));
  return {
    access: busy.filter(isAccess),
    role: busy.filter(isRole),
    snapshots: busy.filter(isSnapshots),
    rest: busy.filter((one) => !isAccess(one) && !isRole(one) && !isSnapshots(one)),
  };
}

/** Whether a change is of what makes snapshots, or of a volume's tag for them and nothing else. */
function isSnapshots(one: ResourceChange): boolean {
  const isMarked =
    kindOf(one) === 'aws_ebs_volume.data' &&
    one.action === 'update' &&
    one.attributes.length > 0 &&
    one.attributes.every(({ path }) => SNAPSHOT_TAGS.includes(path));
  return isMarked || SNAPSHOT_KINDS.includes(kindOf(one));
}

/** Whether a change is of the role of the nodes, or gives an instance its profile and nothing else. */
function isRole(one: ResourceChange): boolean {
  const isGiven =
    kindOf(one) === 'aws_instance.node' &&
    one.action === 'update' &&
    one.attributes.length > 0 &&
    one.attributes.every(({ path }) => path === 'iam_instance_profile');
  return isGiven || ROLE_KINDS.includes(kindOf(one));
}

/** Returns the word for what happens to the one of `changes` that has the type. */
function findVerb(changes: readonly ResourceChange[], type: string): 'add' | 'remove' | 'change' {
  const does = (action: ResourceChange['action']) => has(changes, type, action);
  return does('create') ? 'add' : does('delete') ? 'remove' : 'change';
}

/** Whether the plan makes the first nodes of a cluster. */
export function isNewCluster(plan: PlanSummary): boolean {
  const nodes = listNodes(plan, 'aws_instance.node');
  // The volumes of a terminated cluster are still there.
  const volumes = listNodes(plan, 'aws_ebs_volume.data');
  return (
    nodes.length > 0 && [...nodes, ...volumes].every(({ resource }) => resource.action === 'create')
  );
}

function name(nodes: readonly string[], say: (names: string) => string): string[] {
  if (nodes.length === 0) return [];
  return [say(nodes.length > MAX_NAMES ? `${nodes.length} nodes` : listSome(nodes, MAX_NAMES))];
}

const VERBS = {
  remove: { ahead: 'removes', done: 'removed' },
  replace: { ahead: 'replaces', done: 'replaced' },
  add: { ahead: 'adds', done: 'added' },
  resize: { ahead: 'resizes', done: 'resized' },
  change: { ahead: 'changes', done: 'changed' },
} as const;

/** Other resources by action, destructive ones first. */
const REST: readonly (readonly [ResourceChange['action'], string, string])[] = [
  ['delete', 'destroys', 'destroyed'],
  ['replace', 'replaces', 'replaced'],
  ['create', 'creates', 'created'],
  ['update', 'changes', 'changed'],
  ['move', 'moves', 'moved'],
  ['import', 'imports', 'imported'],
  ['forget', 'forgets', 'forgot'],
];

function countRest(
  resources: readonly ResourceChange[],
  { tense, other }: { tense: Tense; other: boolean },
): string[] {
  return REST.flatMap(([action, ahead, done]) => {
    const count = resources.filter((one) => one.action === action).length;
    if (count === 0) return [];
    return [
      `${tense === 'ahead' ? ahead : done} ${countNoun(count, `${other ? 'other ' : ''}resource`)}`,
    ];
  });
}
