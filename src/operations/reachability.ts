import { networkInterfaces } from 'node:os';
import type { ClusterObservation, NodeAccess } from '../ansible/nodes.ts';
import type { DesiredCluster } from '../cluster/desired.ts';
import { compareNames, type Node } from '../cluster/node.ts';
import { buildFreshObservation, type NodeObservation } from '../cluster/observation.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import {
  explainUnreachable,
  type RunnerNetwork,
  type UnreachableNodes,
} from '../cluster/unreachable.ts';
import { UserError } from '../messages/errors.ts';

/** Returns the networks and addresses that this runner may log in from. */
export function findVantage({ inputs, route }: NodeAccess): RunnerNetwork {
  const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const addresses = interfaces
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
  const via = route.kind === 'endpoint' ? 'instance-connect-endpoint' : 'direct';
  return { via, sshCidrs: inputs.spec.sshCidrs, addresses };
}

/** Nodes could not be reached. What ssh said is for the log and the job summary, not for a comment. */
export class UnreachableError extends UserError {
  /** Why, and what to do: sentences, at least one. */
  readonly explanation: readonly string[];
  /** What failed on nodes that can be logged in to. */
  readonly failures: readonly string[];
  /** One message per failed node. */
  readonly transcripts: readonly string[];

  constructor(
    explanation: readonly string[],
    { failures, transcripts }: Pick<UnreachableError, 'failures' | 'transcripts'>,
  ) {
    if (explanation.length === 0) throw new Error('A refusal needs at least one sentence.');
    super([...explanation, ...failures]);
    this.name = 'UnreachableError';
    this.explanation = explanation;
    this.failures = failures;
    this.transcripts = transcripts;
  }
}

/**
 * Checks that enough nodes were observed to continue, and returns the unreachable ones. A node may be unreachable if
 * another one answers as the primary: a node that stays is skipped, and one that leaves needs no more work. Exceptions are
 * nodes that this run created, and nodes whose SSH server answers: their PostgreSQL may still be running.
 *
 * @throws UnreachableError with the likely cause and the fix first, then what failed on nodes that can be logged in to
 */
export function requireObservation(
  { observed, unreachable, broken, locked, failures }: ClusterObservation,
  desired: DesiredCluster,
  options: {
    asked: readonly Node[];
    /** Nodes that were given up earlier. */
    away?: readonly string[];
    /** Nodes that this run created. */
    fresh?: readonly string[];
    states: UnreachableNodes['states'];
    vantage: RunnerNetwork;
  },
): { readonly observed: readonly NodeObservation[]; readonly away: readonly string[] } {
  const { asked, away: before = [], fresh = [], states, vantage } = options;
  const leaves = (name: string) => desired.leaving.some((node) => node.name === name);
  const silent = unreachable.filter((name) => !broken.includes(name) && !locked.includes(name));
  const lost = [...silent, ...locked.filter(leaves)];
  const lockedOut = locked.filter((name) => !leaves(name));
  const away = [...before, ...lost].filter((name) => !leaves(name)).sort(compareNames);
  if (lost.length + before.length + broken.length + lockedOut.length === 0) {
    return { observed, away };
  }
  const isPrimarySeen = observed.some(isRunningPrimary);
  const isSafe =
    broken.length === 0 &&
    lockedOut.length === 0 &&
    isPrimarySeen &&
    !away.some((name) => fresh.includes(name));
  if (isSafe) {
    const gone = [...before, ...lost].filter(leaves);
    return { observed: [...observed, ...gone.map(buildFreshObservation)], away };
  }
  const messages = Object.fromEntries(
    asked.flatMap(({ name }) => {
      const own = selectFailures(failures, [name]);
      return own.length === 0 ? [] : [[name, own.join('\n')]];
    }),
  );
  const problem = {
    ...{ asked, noAnswer: [...before, ...silent], loginRefused: locked, states },
    messages,
  };
  throw new UnreachableError(
    [
      ...explainUnreachable(problem, { vantage, isPrimarySeen }),
      ...(broken.length === 0
        ? []
        : [
            `${broken.join(', ')} can be logged in to, but the look at it failed, so nothing more was done. Fix what the messages name; its server may run as ever.`,
          ]),
    ],
    { failures: selectFailures(failures, broken), transcripts: failures },
  );
}

/** Returns the messages about these nodes, each of which begins with the node's name. */
function selectFailures(failures: readonly string[], nodes: readonly string[]): string[] {
  return failures.filter((failure) => nodes.some((node) => failure.startsWith(`${node}: `)));
}

/** Returns the cluster without unreachable nodes; a later run brings them back. */
export function removeNodes(desired: DesiredCluster, names: readonly string[]): DesiredCluster {
  const remains = ({ name }: Node) => !names.includes(name);
  return {
    ...desired,
    primary: names.includes(desired.primary ?? '') ? null : desired.primary,
    nodes: desired.nodes.filter(remains),
    leaving: desired.leaving.filter(remains),
  };
}
