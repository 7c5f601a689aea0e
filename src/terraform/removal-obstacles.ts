import { nodeName } from '../cluster/node.ts';
import { nameOriginal } from '../cluster/rehearsal.ts';
import type { ClusterSpec } from '../cluster/spec.ts';
import { quoteValue } from '../messages/quote-value.ts';
import { describeResourceLoss, INSTANCE, isOwn, VOLUME } from './losses.ts';
import { kindOf } from './node-changes.ts';
import { isIdle, type PlanSummary, type ResourceChange } from './plan.ts';
import { VERBS } from './plan-differences.ts';
import { isStarterRemoval } from './starter.ts';

/** What is to be removed. */
export interface RemovalScope {
  readonly cluster: Pick<ClusterSpec, 'name' | 'region'>;
  /**
   * Whether it may only be a rehearsal, which nobody confirms. Its one node bears the tag of a rehearsal, and its volume leaves
   * no last snapshot. A cluster has no such tag, and all its volumes leave one.
   */
  readonly isRehearsal: boolean;
}

/** The index of the one node of a rehearsal. */
const ONLY_NODE = '1';

/** The tag that only a rehearsal sets (templates/aws/versions.tf). */
const REHEARSAL_TAG = 'RehearsalOf';

/**
 * Lists what speaks against the removal of a cluster: a resource that is not the templates', or is another cluster's by its
 * tag or region, changes besides, and what is a rehearsal's or loses data; of a rehearsal, what is a cluster's.
 */
export function findObstaclesToRemoval(
  plan: PlanSummary,
  { cluster, isRehearsal }: RemovalScope,
): string[] {
  return plan.resources
    .filter((one) => !isIdle(one.action) && !isStarterRemoval(one))
    .flatMap((one) => {
      if (one.action !== 'delete') {
        return [`${one.address}: would ${VERBS[one.action]}, but everything is to be destroyed.`];
      }
      if (!isOwn(one)) {
        return [
          `${describeResourceLoss(one)}, and it is not a resource of this cluster. Remove it from the state first (terraform state rm).`,
        ];
      }
      return [
        ...findOtherOwner(one, cluster),
        ...(isRehearsal
          ? findOthersThanRehearsal(one, cluster.name)
          : [...findRehearsal(one), ...findLostData(one)]),
      ];
    });
}

function findOtherOwner(
  resource: ResourceChange,
  { name, region }: Pick<ClusterSpec, 'name' | 'region'>,
): string[] {
  const expected = [
    ['tags_all.Cluster', name, 'its tag Cluster is'],
    ['region', region, 'its region is'],
  ] as const;
  return expected.flatMap(([path, wanted, what]) => {
    const found = readBefore(resource, path);
    if (found === null || found === wanted) return [];
    return [
      `${resource.address}: ${what} ${quoteValue(String(found))} and not ${wanted}, so it is not destroyed. Find out who wrote the state, and restore the one of the last apply.`,
    ];
  });
}

function findLostData(resource: ResourceChange): string[] {
  if (kindOf(resource) !== VOLUME || readBefore(resource, 'final_snapshot') === true) return [];
  return [
    `${resource.address}: its data would be gone, because the state does not ask for a last snapshot. Deploy first, which corrects that.`,
  ];
}

function findRehearsal(resource: ResourceChange): string[] {
  const found = readBefore(resource, `tags_all.${REHEARSAL_TAG}`);
  if (found === null) return [];
  return [
    `${resource.address}: it belongs to a rehearsal of ${quoteValue(String(found))} by its tag ${REHEARSAL_TAG}, and not to a cluster. Run the action with command: rehearse for that cluster, which removes it, or give the state of the cluster that is to be destroyed.`,
  ];
}

/**
 * Lists why a node is not the one that a rehearsal makes. The tag is one that nothing else sets. Snapshots alone would not tell:
 * the provider notes no last snapshot for a volume that was imported.
 */
function findOthersThanRehearsal(resource: ResourceChange, name: string): string[] {
  const kind = kindOf(resource);
  if (kind !== INSTANCE && kind !== VOLUME) return [];
  const original = nameOriginal(name);
  const found = readBefore(resource, `tags_all.${REHEARSAL_TAG}`);
  const tag = found === null ? 'no tag' : `the value ${quoteValue(String(found))} as tag`;
  const reasons = [
    ...(original !== null && found === original
      ? []
      : [`has ${tag} ${REHEARSAL_TAG}, where a rehearsal has ${original ?? 'its cluster'}`]),
    ...(resource.index === ONLY_NODE
      ? []
      : [`is not of ${nodeName(Number(ONLY_NODE))}, the only node of a rehearsal`]),
    ...(kind === INSTANCE || readBefore(resource, 'final_snapshot') === false
      ? []
      : ['leaves a last snapshot, or does not say']),
  ];
  if (reasons.length === 0) return [];
  return [
    `${resource.address}: it is not a rehearsal's, so it is not destroyed: it ${reasons.join(', and ')}. A rehearsal needs a name and a state that no cluster has. If a cluster has them, give one of the two others; if it is what an interrupted rehearsal left, destroy it by hand.`,
  ];
}

/** Returns the value of an attribute before the change; null if it is not set or not known. */
function readBefore({ attributes }: ResourceChange, path: string): unknown {
  const before = attributes.find((one) => one.path === path)?.before;
  return before?.kind === 'known' ? before.value : null;
}
