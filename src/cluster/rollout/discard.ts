import type { DesiredCluster } from '../desired.ts';
import { namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findObstacle, isCopying, isRunningPrimary, isStreaming } from '../replication.ts';
import { limitToNode } from './replacement.ts';
import { type Rollout, rollout } from './rollout.ts';

/**
 * Returns the next steps that delete what was kept on `node` and, `withData`, the data that it has now; then (`isDone`)
 * those that make the node follow the primary.
 *
 * A person has decided that the kept data may go. It is refused while it could still be needed: without a running primary,
 * or while neither the node nor all other replicas follow it. The node's present data goes only if it is not the primary's,
 * its server does not run or can never follow, and the rollout would start or clone the node anyway.
 */
export function planDiscard(
  {
    observed,
    unreachable,
  }: {
    readonly observed: readonly NodeObservation[];
    /** Nodes that could not be observed. */
    readonly unreachable: readonly string[];
  },
  options: { desired: DesiredCluster; node: string; withData: boolean; isDone: boolean },
): Rollout {
  const { desired, node, withData, isDone } = options;
  const end = isDone ? `What was asked for on ${node} is deleted.` : 'Nothing was deleted.';
  if (unreachable.length > 0) {
    return refuse(
      `${unreachable.join(', ')} cannot be reached, so it is not known whether what ${node} keeps is needed. ${end} Bring ${unreachable.join(', ')} back first.`,
    );
  }
  // What is deleted may be what leaves no room for a copy.
  const found = rollout(observed, desired, { checksRoom: isDone });
  // It may say why there is no primary, or why there are two.
  if (found.kind === 'refused') return refuse(...found.refusals, end);
  const [primary] = observed.filter(isRunningPrimary);
  const target = observed.find(({ name }) => name === node);
  if (!primary || !target) {
    return refuse(
      `No node answers as the primary, so what ${node} keeps may hold the latest rows. ${end} If the primary is lost, run the action with command: failover first.`,
    );
  }
  if (isDone) return limitToNode(found, { node, primary: primary.name });

  const follows = (one: NodeObservation) => isStreaming(one, { primary: primary.name, desired });
  const behind = observed.filter((one) => one !== primary && one !== target && !follows(one));
  const isCurrent = target === primary || follows(target);
  const use = withData ? findUse(target, { primary, found, isCurrent }) : null;
  if (use !== null) return refuse(`${use} ${end}`);
  if (behind.length > 0 && (withData || !isCurrent)) {
    const names = namesOf(behind).join(', ');
    return refuse(
      `${names} ${behind.length === 1 ? 'does' : 'do'} not follow the primary ${primary.name}${isCurrent ? '' : `, and neither does ${node}`}. ${end} Deploy first, which repairs what it can.`,
    );
  }
  return {
    kind: 'steps',
    primary: primary.name,
    steps: [
      {
        kind: 'discard',
        nodes: [node],
        primary: primary.name,
        directories: target.storage.kept,
        // An earlier run has deleted it, and the copy that followed goes on.
        data: withData && !isCopying(target),
      },
    ],
    observeAgain: true,
  };
}

/** Returns why the present data of a node must stay, a sentence; null if it may be deleted. */
function findUse(
  node: NodeObservation,
  {
    primary,
    found,
    isCurrent,
  }: {
    primary: NodeObservation;
    found: Extract<Rollout, { kind: 'steps' }>;
    isCurrent: boolean;
  },
): string | null {
  const { name } = node;
  if (node === primary) return `discard-data: ${name} is the primary, so its data stays.`;
  if (isCurrent) return `discard-data: ${name} follows ${primary.name}, so its data stays.`;
  if (isCopying(node)) {
    const hasData = node.data === 'complete' || node.data === 'unrecorded';
    return hasData
      ? `discard-data: ${name} is being copied to, and the copy would end, so its data stays. Deploy: that goes on with the copy and then deletes what it replaces.`
      : null;
  }
  const mayFollow = node.data === 'complete' && findObstacle(node, primary) === null;
  if (node.postgres !== null && mayFollow) {
    return `discard-data: PostgreSQL runs on ${name}, and it may still follow ${primary.name}, so its data stays. Deploy first; if it does not follow then, the deploy says why.`;
  }
  const isRebuilt = found.steps.some(
    ({ kind, nodes }) => (kind === 'clone' || kind === 'start') && nodes.includes(name),
  );
  if (!isRebuilt) {
    return `discard-data: a deploy would neither clone nor start ${name} now, so its data stays. Deploy first.`;
  }
  return null;
}

const refuse = (...refusals: readonly string[]): Rollout => ({ kind: 'refused', refusals });
