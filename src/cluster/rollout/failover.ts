import { readConfSetting } from '../configuration.ts';
import { type DesiredCluster, findNode } from '../desired.ts';
import { isBefore } from '../lsn.ts';
import { slotName } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import {
  findMostAdvanced,
  findUpstream,
  isCopying,
  isRunningPrimary,
  isStoppedPrimary,
} from '../replication.ts';
import { keepExpired } from './backups.ts';
import { computeNodeSettings, listSynchronous, readQuorum } from './node-settings.ts';
import type { Rollout } from './rollout.ts';
import { explainNode, type Step } from './step.ts';

/** The facts that a failover is decided on. */
export interface FailoverObservation {
  readonly observed: readonly NodeObservation[];
  /** Nodes that cannot be logged in to. */
  readonly unreachable: readonly string[];
  /** The unreachable nodes that are down for good: their instance was terminated or replaced. */
  readonly terminated: readonly string[];
  /** EC2's state of each other node's instance (`running`, `stopped`, …); null: AWS could not be asked. */
  readonly states: Readonly<Record<string, string>> | null;
  /** Nodes that this run has observed. They must be fenced: a declaration does not replace that, even if a step failed. */
  readonly reached?: readonly string[];
  /** The node that an earlier observation showed as primary. Once its instance is replaced, this is the only record. */
  readonly formerPrimary?: string | null;
}

/**
 * Returns the next steps that make the most advanced replica the primary where the primary does not answer. First the old
 * primary is fenced, so that there are never two; then, after another observation, a replica is promoted. An ordinary
 * rollout does the rest.
 *
 * `fenced` is the node that a person declares to be down for good. EC2's state takes precedence. If AWS does not answer,
 * the declaration is accepted: an outage of the AWS API must not prevent a failover.
 */
export function planFailover(
  observation: FailoverObservation,
  { desired, fenced }: { desired: DesiredCluster; fenced: string | null },
): Rollout {
  const { observed, unreachable } = observation;
  const running = observed.find(isRunningPrimary);
  if (running) {
    return refuse(
      `${running.name} answers as the primary, so there is nothing to fail over from. To make another node the primary give its name as input primary; to repair replicas deploy as usual.`,
    );
  }
  // If the observations do not show it, the declaration does.
  const old =
    observation.formerPrimary ?? findFormerPrimary(observed, { unreachable, desired }) ?? fenced;
  const candidates = observed.filter(
    (node) => node.data === 'complete' && node.standby && node.name !== old && !isCopying(node),
  );
  const best = findBest(candidates);
  if (!best) {
    const copying = observed.filter((node) => node.data === 'complete' && isCopying(node));
    const [first] = copying;
    if (first) return refuse(explainCopying(first, desired));
    return refuse(
      `No replica with data can be reached${unreachable.length === 0 ? '' : ` (out of reach: ${unreachable.join(', ')})`}, so there is nothing to promote. Bring a node back, or restore a backup.`,
    );
  }
  const problem =
    refuseFence(fenced, { old, unreachable, terminated: observation.terminated }) ??
    refuseRunningPrimary(old, observation, desired) ??
    refuseReadOnly(best, old, observed) ??
    refuseFencedClaim(fenced, observation, desired) ??
    refuseLoss(best, {
      quorum: findQuorum(observed, desired),
      candidates,
      unfinished: observed.filter((node) => isUnfinished(node) && node.name !== old),
      // A terminated instance was given up on purpose.
      missing: unreachable.filter((name) => name !== old && !observation.terminated.includes(name)),
    });
  if (problem !== null) return refuse(problem);

  const fence = fencePrimary(old, { ...observation, fenced });
  if (fence !== null)
    return { kind: 'steps', primary: best.name, steps: [fence], observeAgain: true };
  const promotion: Step = {
    kind: 'promote',
    nodes: [best.name],
    primary: best.name,
    settings: computeNodeSettings(desired, best).primary,
    reasons: explainNode(best.name, { kind: 'failover', primary: old }),
    slots: desired.nodes
      .filter(({ name }) => name !== best.name && !unreachable.includes(name))
      .map(({ name }) => slotName(name)),
    ...keepExpired(desired, best),
  };
  return { kind: 'steps', primary: best.name, steps: [promotion], observeAgain: true };
}

/** Why old data is not promoted while it is being replaced. */
function explainCopying({ name, work }: NodeObservation, desired: DesiredCluster): string {
  if (work?.state === 'done') {
    const source = desired.nodes.find(({ privateAddress }) => privateAddress === work.source)?.name;
    return `${name} has the only data that can be reached. It is old, and a complete copy of ${source ?? work.source} lies beside it, which is newer and has not replaced it yet, so it is not promoted. If the node that was copied does not come back, put the copy in place on ${name}: in /var/lib/postgresql-cluster rename data to data.old-replaced and data.partial to data, then delete work.json. Then run this again.`;
  }
  return `${name} has the only data that can be reached. It is old, and a copy that is to replace it has not ended, so it is not promoted. If the node that is copied does not come back, end the copy on ${name} (systemctl stop postgres-cluster-${desired.name}-clone.service) and run this again.`;
}

/** Returns the most advanced candidate; among equals one whose volume accepts writes. */
function findBest(candidates: readonly NodeObservation[]): NodeObservation | undefined {
  const best = findMostAdvanced(candidates);
  const writable = findMostAdvanced(candidates.filter(({ volume }) => !volume.readOnly));
  return best && writable && hasNothingBeyond(best, writable) ? writable : best;
}

const refuse = (reason: string): Rollout => ({ kind: 'refused', refusals: [reason] });

/**
 * Returns the node that was primary last: the one that the replicas of the latest timeline follow. A node with a primary's
 * data of an earlier timeline was primary before it.
 */
function findFormerPrimary(
  observed: readonly NodeObservation[],
  { unreachable, desired }: { unreachable: readonly string[]; desired: DesiredCluster },
): string | null {
  const timelineOf = ({ postgres, control }: NodeObservation) =>
    postgres?.timeline ?? control?.timeline ?? 0;
  const withData = observed.filter(({ data }) => data === 'complete');
  const latest = Math.max(0, ...withData.map(timelineOf));
  const current = withData.filter((node) => timelineOf(node) === latest);
  const stopped = current.find(isStoppedPrimary);
  if (stopped) return stopped.name;
  const replicas = current.filter(({ standby }) => standby);
  const followed = replicas
    .map((node) => findUpstream(node, desired))
    .find((name) => name !== null);
  if (followed) return followed;
  // They follow a node whose address has changed, which is not necessarily the unreachable one.
  const isUnknown = replicas.some(
    ({ files }) => readConfSetting(files.postgresqlConf, 'primary_conninfo') !== null,
  );
  return unreachable.length === 1 && !isUnknown ? (unreachable[0] ?? null) : null;
}

/** Returns the step that keeps the old primary down; null if it can no longer come up as a primary. */
function fencePrimary(
  old: string | null,
  options: FailoverObservation & { fenced: string | null },
): Step | null {
  const { observed, unreachable, terminated, states, reached = [], fenced } = options;
  // A declaration counts only for a node that cannot be observed; a reachable one is fenced, even a second time.
  if (old === null || terminated.includes(old)) return null;
  const reasons = explainNode(old, { kind: 'failover', primary: old });
  if (unreachable.includes(old)) {
    const isDown =
      states === null ? old === fenced && !reached.includes(old) : states[old] === 'stopped';
    return isDown ? null : { kind: 'halt', nodes: [old], reasons };
  }
  const node = observed.find(({ name }) => name === old);
  if (!node) return null;
  // A new instance has no container that could start the old data. Where Docker is down and the volume is not mounted
  // there may be one: `prepare` raises the fence when the volume is mounted, before Docker starts.
  const isNew = node.container === null && node.data !== 'complete';
  // A fence that was only begun does not count: its container must be observed stopped.
  const isFenced = node.standby && node.postgres === null && node.container?.state !== 'running';
  return isNew || (isFenced && node.host.dockerReady)
    ? null
    : { kind: 'fence', nodes: [old], reasons };
}

function refuseFence(
  fenced: string | null,
  {
    old,
    unreachable,
    terminated,
  }: { old: string | null; unreachable: readonly string[]; terminated: readonly string[] },
): string | null {
  if (fenced !== null && fenced !== old) {
    return `fenced: ${fenced} was not the primary${old === null ? '' : `, ${old} was`}. Name the node that was.`;
  }
  const missing = unreachable.filter((name) => !terminated.includes(name));
  if (old === null && missing.length > 0) {
    return `Of the nodes out of reach (${missing.join(', ')}) nothing tells which one was primary. Bring all but that one back first, or name it in fenced where it is down and stays down.`;
  }
  return null;
}

/** Refuses if a person declares the node to be down but EC2 reports that it is not. */
function refuseFencedClaim(
  fenced: string | null,
  { unreachable, terminated, states }: FailoverObservation,
  desired: DesiredCluster,
): string | null {
  if (fenced === null || !unreachable.includes(fenced) || terminated.includes(fenced)) return null;
  const state = states?.[fenced];
  if (state === undefined || state === 'stopped') return null;
  const { instanceId } = findNode(desired, fenced);
  return `fenced: ${fenced} is said to be down, but EC2 says that its instance ${instanceId} is ${state}: it could take writes beside the next primary. Leave fenced out, and this action stops the instance by force. Or do that yourself (aws ec2 stop-instances --force --instance-ids ${instanceId}) and run this again once EC2 says stopped.`;
}

/** Refuses if a replica still reaches the primary: its clients may reach it too, so it is not lost. */
function refuseRunningPrimary(
  old: string | null,
  { observed, terminated }: FailoverObservation,
  desired: DesiredCluster,
): string | null {
  if (old === null || terminated.includes(old)) return null;
  // It is fenced already: its replicas reach a replica.
  if (observed.some(({ name, postgres }) => name === old && postgres?.inRecovery)) return null;
  const witness = observed.find(
    (node) => node.upstreamAnswers === true && findUpstream(node, desired) === old,
  );
  if (!witness) return null;
  if (observed.some(({ name }) => name === old)) {
    return `${old} lets this action open no session, but its PostgreSQL answers ${witness.name}: it is not lost. Its connections may all be taken: end some of them. If it hangs nevertheless, stop its container there (docker stop) and run this again.`;
  }
  return `${old} cannot be logged in to, but its PostgreSQL answers ${witness.name}: it is not lost. Fix the way to it (address, ssh-cidrs, key) and use input primary to move; or stop its instance in EC2 and run this again.`;
}

/** Fencing and promoting both write to the volume. */
function refuseReadOnly(
  best: NodeObservation,
  old: string | null,
  observed: readonly NodeObservation[],
): string | null {
  if (best.volume.readOnly) {
    return `${best.name} has the most changes, and its data volume takes no writes, so it cannot be promoted. Read journalctl -k there, then reboot the instance, which checks and repairs the file system, and run this again.`;
  }
  if (!observed.some(({ name, volume }) => name === old && volume.readOnly)) return null;
  return `The data volume of ${old}, which was primary, takes no writes, so it cannot be fenced there. Stop its instance in EC2 and run this again.`;
}

/**
 * Whether the node holds an unfinished copy, or is being copied to. It is never promoted, but may have received commits:
 * while it streamed before it was recorded, as a replica before it was copied again, or during a copy that an earlier
 * version began.
 */
function isUnfinished(node: NodeObservation): boolean {
  const { data, standby } = node;
  return data === 'partial' || (data === 'unrecorded' && standby) || isCopying(node);
}

/**
 * Returns the minimum number of replicas that have every acknowledged row: the smallest number above 0 that is requested
 * or configured on a node. The smallest, because a change of the number may have reached only some of the nodes. Above 0,
 * because a file that lost the line must not disable the check; so 0 is returned only if all agree on it.
 */
function findQuorum(
  observed: readonly NodeObservation[],
  { synchronousReplicas }: DesiredCluster,
): number {
  const told = observed.flatMap(listSynchronous).map(readQuorum);
  const quorums = [synchronousReplicas, ...told].filter((quorum) => quorum > 0);
  return quorums.length === 0 ? 0 : Math.min(...quorums);
}

/** Refuses if acknowledged rows may exist only on nodes whose position is unknown: as many as commits waited for. */
function refuseLoss(
  best: NodeObservation,
  {
    quorum,
    candidates,
    unfinished,
    missing,
  }: {
    quorum: number;
    candidates: readonly NodeObservation[];
    unfinished: readonly NodeObservation[];
    missing: readonly string[];
  },
): string | null {
  // It is not known how much a stopped replica has received.
  const silent = candidates.filter((node) => node.postgres === null && node !== best);
  const copies = unfinished.filter((node) => !hasNothingBeyond(node, best));
  const unknown = [...missing, ...[...silent, ...copies].map(({ name }) => name)];
  if (quorum === 0 || unknown.length < quorum) return null;
  const unfinishedNames = copies.map(({ name }) => name).join(', ');
  const note =
    unfinishedNames === ''
      ? ''
      : ` (unfinished copies, which are not promoted: ${unfinishedNames})`;
  return `Commits waited for ${quorum} ${quorum === 1 ? 'replica' : 'replicas'}, and what ${unknown.join(', ')} received cannot be seen: an acknowledged row may be there alone${note}. Bring one of them back first; where that is impossible, detach it by terminating its instance.`;
}

/** Whether a node answers, and has nothing that `best` lacks. */
function hasNothingBeyond({ postgres }: NodeObservation, best: NodeObservation): boolean {
  const position = best.postgres ?? best.control;
  if (postgres === null || position === null) return false;
  if (postgres.timeline !== position.timeline) return postgres.timeline < position.timeline;
  return !isBefore(position.lsn, postgres.lsn);
}
