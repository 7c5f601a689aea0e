import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { isCopying, isRunningPrimary, isStreaming } from '../replication.ts';
import { refuseUnfitVolume } from './refuse-copies.ts';
import { type Rollout, rollout } from './rollout.ts';
import { explainNode, type Step } from './step.ts';

/**
 * Returns the next steps that give `node` another instance. If it is the primary, another node takes over first; its server
 * is stopped if it answers; Terraform replaces the instance; then (`isReplaced`) it starts as a replica. Every other node
 * has to be up meanwhile, as only one may be down at a time. `withVolume`: it gets a blank data volume as well.
 */
export function planReplacement(
  {
    observed,
    unreachable,
  }: {
    readonly observed: readonly NodeObservation[];
    /** Nodes that could not be observed. */
    readonly unreachable: readonly string[];
  },
  {
    desired,
    node,
    withVolume,
    isReplaced,
  }: { desired: DesiredCluster; node: string; withVolume: boolean; isReplaced: boolean },
): Rollout {
  const unobserved = unreachable.filter((name) => isReplaced || name !== node);
  if (unobserved.length > 0) {
    return refuse(
      unobserved.includes(node)
        ? `${node} got another instance, which does not answer SSH. Look at its console in EC2 and deploy once it answers: the deploy brings it back as a replica.`
        : `${unobserved.join(', ')} cannot be reached, and only one node may be down at a time, so ${node} was not replaced. Bring ${unobserved.join(', ')} back first.`,
    );
  }
  if (isReplaced) {
    const found = rollout(observed, desired);
    return limitToNode(found, { node, primary: observed.find(isRunningPrimary)?.name });
  }

  const [primary, second] = observed.filter(isRunningPrimary);
  // The rollout refuses two primaries, with the reason.
  if (second) return rollout(observed, desired);
  if (!primary) {
    return refuse(
      `No node answers as the primary, so ${node} was not replaced. If ${node} was the primary and is lost, run the action with command: failover; if another one was, bring it back first.`,
    );
  }
  const others = observed.filter(({ name }) => name !== node);
  const follows = (one: NodeObservation) => isStreaming(one, { primary: primary.name, desired });
  const behind = others.filter((one) => one !== primary && !follows(one)).map(({ name }) => name);
  if (behind.length > 0) {
    return refuse(
      `${behind.join(', ')} ${behind.length === 1 ? 'does' : 'do'} not follow the primary ${primary.name}, and only one node may be down at a time, so ${node} was not replaced. Deploy first, which repairs what it can.`,
    );
  }
  const { dataGib } = desired.storage;
  const unfit = withVolume ? refuseUnfitVolume(node, { source: primary, dataGib }) : [];
  if (unfit.length > 0) return { kind: 'refused', refusals: unfit };
  if (primary.name === node) return switchOver(observed, { desired, node });
  if (observed.some((one) => one.name === node && isCopying(one) && !follows(one))) {
    return refuse(
      `${node} is being copied to, and another instance would end that copy, so ${node} was not replaced. Deploy: that goes on with the copy. If the copy is to be given up, end it on ${node} first (systemctl stop postgres-cluster-${desired.name}-clone.service).`,
    );
  }
  const reasons = explainNode(node, { kind: 'replacement', node });
  const answers = observed.some(({ name, postgres }) => name === node && postgres !== null);
  return {
    kind: 'steps',
    primary: primary.name,
    steps: [
      ...(answers
        ? [{ kind: 'stop', nodes: [node], primary: primary.name, reasons } as const]
        : []),
      { kind: 'replace', nodes: [node], reasons },
    ],
    observeAgain: true,
  };
}

/** Makes the first replica take over; all replicas stream. */
function switchOver(
  observed: readonly NodeObservation[],
  { desired, node }: { desired: DesiredCluster; node: string },
): Rollout {
  const successor = desired.nodes.find(({ name }) => name !== node)?.name;
  const alone = `${node} is the primary, and no replica can take over, so it was not replaced. Deploy with a larger replica-count first.`;
  if (successor === undefined) return refuse(alone);
  const found = rollout(observed, { ...desired, primary: successor });
  if (found.kind === 'refused') return found;
  const turn = found.steps.findIndex(({ kind }) => kind === 'switchover');
  if (turn === -1) return refuse(alone);
  const before = found.steps.slice(0, turn).filter(stopsServer);
  if (before.length > 0) {
    const more = before.map(({ kind, nodes }) => `${kind} of ${nodes.join(', ')}`).join(', ');
    return refuse(
      `The values of this run ask for more than another instance (${more}), and a replacement does nothing else, so ${node} was not replaced. Deploy first, or give the values of the last deploy.`,
    );
  }
  const move = found.steps[turn] as Step;
  const primary = move.nodes[1];
  const reasons = explainNode(node, { kind: 'replacement', node });
  const rest = limitToNode({ ...found, steps: found.steps.slice(turn + 1) }, { node, primary });
  return {
    ...rest,
    steps: [...found.steps.slice(0, turn), { ...move, reasons }, ...rest.steps],
    observeAgain: true,
  };
}

/** Whether the step stops a server that may be running. */
const stopsServer = ({ kind }: Step): boolean =>
  ['restart', 'switchover', 'stop', 'fence', 'resize', 'halt', 'replace', 'destroy'].includes(kind);

/**
 * Cuts the steps before the first one that stops the server of another node. Whatever else the values of the run ask for
 * is left to a deploy, which may be refused; it is not tried either. `primary`: the primary meanwhile.
 */
export function limitToNode<Found extends Rollout>(
  found: Found,
  { node, primary }: { node: string; primary: string | undefined },
): Found {
  if (found.kind === 'refused') return found;
  const end = found.steps.findIndex(
    (step) => stopsServer(step) && step.nodes.some((name) => name !== node),
  );
  if (end === -1) return found;
  const steps = found.steps.slice(0, end).filter(({ kind }) => kind !== 'check');
  return { ...found, steps, primary: primary ?? found.primary };
}

const refuse = (reason: string): Rollout => ({ kind: 'refused', refusals: [reason] });
