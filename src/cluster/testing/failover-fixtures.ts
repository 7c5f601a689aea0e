import type { NodeObservation } from '../observation.ts';
import type { FailoverObservation, planFailover } from '../rollout/failover.ts';
import { createDesired, createHealthy } from './fixtures.ts';

// Clusters whose primary is lost.

const desired = createDesired();
/** What EC2 reports while all instances run. */
export const RUNNING = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };

/** The cluster after its primary died: node-1 is stopped, or cannot be reached. */
export function createFailed(
  { reachable, lsn = {} }: { reachable: boolean; lsn?: Readonly<Record<string, string>> },
  cluster = desired,
): Pick<FailoverObservation, 'terminated' | 'states'> & {
  observed: NodeObservation[];
  unreachable: string[];
} {
  const observed = createHealthy(cluster).map((node): NodeObservation => {
    const { postgres } = node;
    if (node.name === 'node-1') {
      const control = { state: 'in production', timeline: 1, lsn: '0/3000100' };
      return { ...node, postgres: null, control };
    }
    return {
      ...node,
      upstreamAnswers: false,
      postgres: postgres && { ...postgres, receiver: null, lsn: lsn[node.name] ?? postgres.lsn },
    };
  });
  return reachable
    ? { observed, unreachable: [], terminated: [], states: RUNNING }
    : { observed: observed.slice(1), unreachable: ['node-1'], terminated: [], states: RUNNING };
}

/** The same once node-1 was fenced. */
export function createFenced(
  overrides: Partial<NodeObservation> = {},
  lsn: Readonly<Record<string, string>> = {},
): ReturnType<typeof createFailed> {
  const failed = createFailed({ reachable: true, lsn });
  const container = { state: 'exited', current: true };
  return {
    ...failed,
    observed: failed.observed.map((node) =>
      node.name === 'node-1' ? { ...node, standby: true, container, ...overrides } : node,
    ),
  };
}

/** Returns kind and nodes of each step; empty if the failover is refused. */
export const listSteps = (result: ReturnType<typeof planFailover>): string[] =>
  result.kind === 'steps' ? result.steps.map(({ kind, nodes }) => `${kind} ${nodes}`) : [];
