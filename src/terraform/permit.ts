import { explainPermission, isAllowed } from '../inputs/permission-label.ts';
import { UserError } from '../messages/errors.ts';
import { explainFixedValues } from './fixed-values.ts';
import { describeLoss, findLosses } from './losses.ts';
import {
  attachmentAddress,
  CREATING_ACTIONS,
  dnsRecordAddress,
  instanceAddress,
  starterAddress,
  volumeAddress,
} from './node-changes.ts';
import { isIdle, type PlanSummary, type ResourceChange } from './plan.ts';
import { findUnreviewedChanges, VERBS } from './plan-differences.ts';
import { findObstaclesToRemoval, type RemovalScope } from './removal-obstacles.ts';
import { explainSnapshotLoss } from './snapshot-changes.ts';

/** In the separate directory `templates/halt`. */
const HALT = 'aws_ec2_instance_state.node';

/** A binary plan file and its summary. */
export interface PlannedFile {
  readonly planFile: string;
  readonly summary: PlanSummary;
}

/** What an apply is permitted to change. */
export type ApplyScope =
  /** The whole plan. It may destroy data only if the pull request has the label. */
  | {
      readonly kind: 'plan';
      /** The input `allow-destroy-label`; null if no label allows a loss. */
      readonly label: string | null;
      /** Of the pull request; null without a pull request. */
      readonly labels: readonly string[] | null;
      /** Whether it is the rest of a reviewed plan whose apply had begun. */
      readonly partly?: boolean;
    }
  /** A part of a permitted plan. */
  | {
      readonly kind: 'stage';
      readonly whole: Permit;
      /** Names of nodes whose stopped instance it also starts. */
      readonly starts?: readonly string[];
    }
  /** The forced stop of one instance, in a separate directory. */
  | { readonly kind: 'halt' }
  /** The removal of everything in the state of this cluster. A person confirms it with the cluster's name. */
  | ({ readonly kind: 'removal' } & RemovalScope)
  /** The removal of the blank volumes of nodes whose instance could not be created, and nothing else. */
  | { readonly kind: 'blank'; readonly nodes: readonly string[] }
  /** A new instance for one node, and with `volume` a blank data volume, which requires a request by a person. */
  | { readonly kind: 'replacement'; readonly node: string; readonly volume?: boolean };

/** The permission to apply a plan file. Only `permit` creates one, so every apply was checked. */
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

/** Only the type is exported, so that no other module can create a permit. */
export type { Permit };

/**
 * Permits the apply of a plan within this scope.
 *
 * @throws UserError with all reasons of `explainApplyRefusal`
 */
export function permit(planned: PlannedFile, scope: ApplyScope): Permit {
  const problems = explainApplyRefusal(planned.summary, scope);
  if (problems.length > 0) throw new UserError(problems);
  return new Permit(planned);
}

/**
 * Returns the reasons, with the next step, why a plan may not be applied within this scope; empty if it may. A smaller
 * volume and another network of the VPC are refused in every scope, whatever the labels.
 */
export function explainApplyRefusal(plan: PlanSummary, scope: ApplyScope): string[] {
  const fixed = explainFixedValues(plan);
  return fixed.length > 0 ? fixed : explainScope(plan, scope);
}

function explainScope(plan: PlanSummary, scope: ApplyScope): string[] {
  switch (scope.kind) {
    case 'plan':
      return refuseLosses(plan, scope);
    case 'stage':
      return findUnreviewedChanges(withoutStarts(plan, scope.starts ?? []), scope.whole.summary);
    case 'halt':
      return findChangesBesidesHalt(plan);
    case 'removal':
      return findObstaclesToRemoval(plan, scope);
    case 'blank':
      return findChangesBesidesBlank(plan, scope.nodes);
    case 'replacement':
      return findChangesBesidesReplacement(plan, scope);
  }
}

/** Removes the starters of these nodes, whose instances stopped after the review. */
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
  if (isAllowed({ label, labels })) return [];
  const wayOut = explainPermission({ input: 'allow-destroy-label', label, labels });
  const losses = findLosses(plan, { partly }).map(describeLoss);
  const last = losses.length - 1;
  const snapshots = explainSnapshotLoss(plan);
  return [
    ...losses.map(
      (loss, index) =>
        `${loss}.${index === last ? ` A node that holds data is protected. ${wayOut}` : ''}`,
    ),
    ...(snapshots === null ? [] : [`${snapshots} ${wayOut}`]),
  ];
}

/** Lists all changes besides the stop of one instance. */
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
 * Lists all changes besides the new instance of `node`, its attachment, its DNS record's new address and, with `volume`,
 * its blank data volume.
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
        !(expected.includes(address) && CREATING_ACTIONS.includes(action) && deposed === null) &&
        !(address === dnsRecordAddress(node) && (action === 'update' || action === 'create')),
    )
    .map(
      ({ address, action }) =>
        `${address}: would ${VERBS[action]}, but only the instance of ${node} is to be replaced.`,
    );
}

/** Lists all changes besides the removal of the data volumes of these nodes. */
function findChangesBesidesBlank(plan: PlanSummary, nodes: readonly string[]): string[] {
  const expected = nodes.map(volumeAddress);
  return plan.resources
    .filter(({ action }) => !isIdle(action))
    .filter(
      ({ address, action, deposed }) =>
        !(expected.includes(address) && action === 'delete' && deposed === null),
    )
    .map(
      ({ address, action }) =>
        `${address}: would ${VERBS[action]}, but only blank volumes are to be removed.`,
    );
}
