import type { DesiredCluster } from './desired.ts';
import type { NodeObservation } from './observation.ts';
import {
  findMostAdvanced,
  findUpstream,
  isRunningPrimary,
  isStoppedPrimary,
} from './replication.ts';
import type { Rollout } from './rollout.ts';
import { slotName } from './spec.ts';
import type { Step } from './step.ts';
import { computeTargets, readSynchronous } from './target.ts';

/**
 * The steps that make the most advanced replica the primary where the primary does not answer: first the
 * old one is fenced, so that there are never two. What is left to do then is an ordinary rollout's.
 *
 * `unreachable` are the nodes that nobody can log in to; `fenced` is the one of which a person says that it is
 * down and stays down.
 */
export function planFailover(
  {
    observed,
    unreachable,
  }: { observed: readonly NodeObservation[]; unreachable: readonly string[] },
  { desired, fenced }: { desired: DesiredCluster; fenced: string | null },
): Rollout {
  const running = observed.find(isRunningPrimary);
  if (running) {
    return refuse(
      `${running.name} answers as the primary, so there is nothing to fail over from. To make another node the primary give its name as input primary; to repair replicas deploy as usual.`,
    );
  }
  const old = findOldPrimary(observed, { unreachable, desired });
  const candidates = observed.filter(
    ({ name, data, standby }) => data === 'complete' && standby && name !== old,
  );
  // A replica that stands still may have less than it seems: one that runs comes first.
  const up = candidates.filter(({ postgres }) => postgres !== null);
  const best = findMostAdvanced(up.length > 0 ? up : candidates);
  if (!best) {
    return refuse(
      `No replica with data can be reached${unreachable.length === 0 ? '' : ` (out of reach: ${unreachable.join(', ')})`}, so there is nothing to promote. Bring a node back, or restore a backup.`,
    );
  }
  const problem =
    refuseFence(fenced, { old, unreachable }) ??
    refuseLoss(best, { unreachable: unreachable.filter((name) => name !== old) });
  if (problem !== null) return refuse(problem);

  const promotion: Step = {
    kind: 'promote',
    nodes: [best.name],
    primary: best.name,
    settings: computeTargets(desired, best).primary,
    slots: desired.nodes
      .filter(({ name }) => name !== best.name && !unreachable.includes(name))
      .map(({ name }) => slotName(name)),
  };
  return {
    refusals: [],
    primary: best.name,
    steps: [...fence(old, { observed, unreachable, fenced }), promotion],
    observeAgain: true,
  };
}

const refuse = (reason: string): Rollout => ({ refusals: [reason] });

/** The node that was primary: the one that holds a primary's data, or whom the replicas follow. */
function findOldPrimary(
  observed: readonly NodeObservation[],
  { unreachable, desired }: { unreachable: readonly string[]; desired: DesiredCluster },
): string | null {
  const stopped = observed.find(isStoppedPrimary);
  if (stopped) return stopped.name;
  const followed = observed
    .filter(({ data, standby }) => data === 'complete' && standby)
    .map((node) => findUpstream(node, desired))
    .find((name) => name !== null && !observed.some((node) => node.name === name && node.standby));
  return followed ?? (unreachable.length === 1 ? (unreachable[0] ?? null) : null);
}

function fence(
  old: string | null,
  options: {
    observed: readonly NodeObservation[];
    unreachable: readonly string[];
    fenced: string | null;
  },
): Step[] {
  const { observed, unreachable, fenced } = options;
  if (old === null) return [];
  if (unreachable.includes(old)) return old === fenced ? [] : [{ kind: 'replace', nodes: [old] }];
  const node = observed.find(({ name }) => name === old);
  // An instance made anew has no container that could start the old data.
  const isDown = node === undefined || (node.container === null && node.data !== 'complete');
  return isDown ? [] : [{ kind: 'fence', nodes: [old] }];
}

function refuseFence(
  fenced: string | null,
  { old, unreachable }: { old: string | null; unreachable: readonly string[] },
): string | null {
  if (fenced !== null && fenced !== old) {
    return `fenced: ${fenced} was not the primary${old === null ? '' : `, ${old} was`}. Name the node that was.`;
  }
  if (old === null && unreachable.length > 0) {
    return `Of the nodes out of reach (${unreachable.join(', ')}) nothing tells which one was primary. Bring all but that one back first.`;
  }
  return null;
}

/** With quorum commit an acknowledged row is on as many replicas as were asked for: they must not all be away. */
function refuseLoss(
  best: NodeObservation,
  { unreachable }: { unreachable: readonly string[] },
): string | null {
  const quorum = Number(/^ANY (\d+) /.exec(readSynchronous(best))?.[1] ?? 0);
  if (quorum === 0 || unreachable.length < quorum) return null;
  return `Commits waited for ${quorum} ${quorum === 1 ? 'replica' : 'replicas'}, and ${unreachable.join(', ')} cannot be reached: what was acknowledged may be there alone. Bring one of them back first.`;
}
