import { compareNames, nodeName } from '../cluster/node.ts';
import { explainPermission, isAllowed } from '../inputs/permission-label.ts';
import { UserError } from '../messages/errors.ts';
import {
  attachmentAddress,
  CREATING_ACTIONS,
  instanceAddress,
  kindOf,
  listNodes,
  STARTER_RESOURCE,
  starterAddress,
  volumeAddress,
} from './node-changes.ts';
import { isIdle, type PlanSummary, type ResourceChange } from './plan.ts';
import { findUnreviewedChanges, VERBS } from './plan-differences.ts';

const INSTANCE = 'aws_instance.node';
const VOLUME = 'aws_ebs_volume.data';
const ATTACHMENT = 'aws_volume_attachment.data';
/** In a directory of its own: `templates/halt`. */
const HALT = 'aws_ec2_instance_state.node';

/** The resources of the templates. Every other one is somebody else's. */
const OWN_RESOURCES: ReadonlySet<string> = new Set([
  INSTANCE,
  VOLUME,
  ATTACHMENT,
  STARTER_RESOURCE,
  'aws_internet_gateway.own',
  'aws_key_pair.nodes',
  'aws_route.internet',
  'aws_route_table.own',
  'aws_route_table_association.own',
  'aws_security_group.nodes',
  'aws_subnet.own',
  'aws_vpc.own',
  'aws_vpc_security_group_egress_rule.all',
  'aws_vpc_security_group_ingress_rule.clients',
  'aws_vpc_security_group_ingress_rule.replication',
  'aws_vpc_security_group_ingress_rule.ssh',
]);

/** A binary plan file and what is in it. */
export interface PlannedFile {
  readonly planFile: string;
  readonly summary: PlanSummary;
}

/** On what grounds a plan is to be applied. */
export type ApplyScope =
  /** The whole plan. Data may go only where the pull request carries the label. */
  | {
      readonly kind: 'plan';
      /** The input `allow-destroy-label`; null: nothing allows a loss. */
      readonly label: string | null;
      /** Of the pull request; null without one. */
      readonly labels: readonly string[] | null;
      /** It is the rest of a reviewed plan whose apply had begun. */
      readonly partly?: boolean;
    }
  /** A part of a plan that is permitted. */
  | {
      readonly kind: 'stage';
      readonly whole: Permit;
      /** Names of nodes whose stopped instance it starts besides. */
      readonly starts?: readonly string[];
    }
  /** The forced stop of one instance, in a directory of its own. */
  | { readonly kind: 'halt' }
  /** Another instance for one node. Its data volume stays, unless a person asked for a blank one as well (`volume`). */
  | { readonly kind: 'replacement'; readonly node: string; readonly volume?: boolean };

/** That a plan file may be applied. Only `permit` makes one, so there is no apply that was not decided on. */
class Permit {
  readonly #planned: PlannedFile;

  constructor(planned: PlannedFile) {
    this.#planned = planned;
  }

  get planFile(): string {
    return this.#planned.planFile;
  }

  get summary(): PlanSummary {
    return this.#planned.summary;
  }
}

/** The type alone: a permit is made here and nowhere else. */
export type { Permit };

/**
 * Permits a plan to be applied on these grounds.
 *
 * @throws UserError with everything that `refuse` says
 */
export function permit(planned: PlannedFile, ground: ApplyScope): Permit {
  const problems = explainApplyRefusal(planned.summary, ground);
  if (problems.length > 0) throw new UserError(problems);
  return new Permit(planned);
}

/** Why a plan may not be applied on these grounds, a sentence each, with the way out; none where it may. */
export function explainApplyRefusal(plan: PlanSummary, ground: ApplyScope): string[] {
  switch (ground.kind) {
    case 'plan':
      return refuseLosses(plan, ground);
    case 'stage':
      return findUnreviewedChanges(withoutStarts(plan, ground.starts ?? []), ground.whole.summary);
    case 'halt':
      return findChangesBesidesHalt(plan);
    case 'replacement':
      return findChangesBesidesReplacement(plan, ground);
  }
}

/** The plan without what starts these nodes: that their instance is stopped was seen after the review. */
function withoutStarts(plan: PlanSummary, nodes: readonly string[]): PlanSummary {
  const starters = nodes.map(starterAddress);
  const isStart = ({ address, action }: ResourceChange) =>
    action === 'create' && starters.includes(address);
  return { ...plan, resources: plan.resources.filter((one) => !isStart(one)) };
}

function refuseLosses(
  plan: PlanSummary,
  { label, labels, partly = false }: Extract<ApplyScope, { kind: 'plan' }>,
): string[] {
  const losses = findLosses(plan, { partly });
  if (losses.length === 0) return [];
  if (isAllowed({ label, labels })) return [];
  const last = losses.length - 1;
  const wayOut = ` A node that holds data is protected. ${explainPermission({ input: 'allow-destroy-label', label, labels })}`;
  return losses.map((loss, index) => `${loss}.${index === last ? wayOut : ''}`);
}

/**
 * What the plan destroys or replaces and must not, a sentence each without its full stop: the instance or data volume
 * of a node, the attachment of a volume to an instance that stays, and everything that the templates do not make.
 * What an interrupted apply left half made (`partly`) holds nothing. An object that Terraform calls left over from a
 * replacement may: nodes and volumes are not replaced so that one is left, and a state can say it of any object.
 */
function findLosses(plan: PlanSummary, { partly = false } = {}): string[] {
  const gone = new Set(
    plan.resources.filter(
      ({ action, reason }) =>
        action === 'delete' ||
        (action === 'replace' && !(partly && reason === 'replace_because_tainted')),
    ),
  );
  const [volumes, instances, attachments] = [VOLUME, INSTANCE, ATTACHMENT].map((kind) =>
    [...gone]
      .filter((resource) => isOwn(resource) && kindOf(resource) === kind)
      .map((resource) => ({ node: nodeName(Number(resource.index)), resource })),
  ) as [Owned, Owned, Owned];
  // An attachment goes with its instance or its volume. Alone it would be torn from a running server.
  const made = listNodes(plan, INSTANCE).filter(({ resource }) => resource.action === 'create');
  const covered = new Set([...volumes, ...instances, ...made].map(({ node }) => node));
  const torn = attachments.filter(({ node }) => !covered.has(node));
  const lost = [...volumes, ...instances, ...torn];
  return [
    ...[...new Set(lost.map(({ node }) => node))].sort(compareNames).map((node) => {
      const resources = lost.filter((one) => one.node === node).map(({ resource }) => resource);
      return `${node}: ${resources.map(describeResourceLoss).join(', ')}`;
    }),
    ...[...gone]
      .filter((one) => !isOwn(one))
      .map((one) => `${describeResourceLoss(one)}, and it is not a resource of this cluster`),
  ];
}

/** Whether the templates make it. */
const isOwn = (resource: ResourceChange): boolean => {
  const kind = kindOf(resource);
  return resource.address.startsWith(kind) && OWN_RESOURCES.has(kind);
};

type Owned = ReturnType<typeof listNodes>;

const describeResourceLoss = ({ address, action, id, deposed }: ResourceChange): string =>
  `${address}${deposed === null ? '' : ` (${id}, left over)`} would ${VERBS[action]}`;

/** Everything that a plan does beyond stopping one instance, a sentence each. */
function findChangesBesidesHalt(plan: PlanSummary): string[] {
  return plan.resources
    .filter(({ action }) => !isIdle(action))
    .filter(({ address, action }) => address !== HALT || action !== 'create')
    .map(
      ({ address, action }) =>
        `${address}: would ${VERBS[action]}, but only one instance is to be stopped.`,
    );
}

/**
 * Everything that `stage` does beyond giving `node` another instance, with `volume` a blank data volume as well, and
 * attaching its volume to it: a sentence each, none when it does nothing else.
 */
function findChangesBesidesReplacement(
  stage: PlanSummary,
  { node, volume = false }: Extract<ApplyScope, { kind: 'replacement' }>,
): string[] {
  const expected = [
    instanceAddress(node),
    attachmentAddress(node),
    ...(volume ? [volumeAddress(node)] : []),
  ];
  return stage.resources
    .filter(({ action }) => !isIdle(action))
    .filter(
      ({ address, action, deposed }) =>
        !(expected.includes(address) && CREATING_ACTIONS.includes(action) && deposed === null),
    )
    .map(
      ({ address, action }) =>
        `${address}: would ${VERBS[action]}, but only the instance of ${node} is to be replaced.`,
    );
}
