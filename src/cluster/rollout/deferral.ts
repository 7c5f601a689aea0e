import type { DesiredCluster } from '../desired.ts';
import type { NodeObservation } from '../observation.ts';
import { awaitsArchive } from './backups.ts';
import { ClusterState } from './cluster-state.ts';
import { findRestartReasons, readQuorum, readSynchronous } from './node-settings.ts';

/** A part of a change that is deferred until every node can be reached. */
export type DeferredChange =
  /** Servers that have to restart: for these settings, for another image, or because their container is re-created. */
  | {
      readonly kind: 'restart';
      readonly nodes: readonly string[];
      readonly settings: readonly string[];
      readonly image: boolean;
    }
  | { readonly kind: 'resize'; readonly nodes: readonly string[]; readonly instanceType: string }
  | { readonly kind: 'switchover'; readonly to: string }
  | { readonly kind: 'remove'; readonly nodes: readonly string[] }
  /** Backups begin: the primary has to restart before. */
  | { readonly kind: 'archive' }
  /** How many replicas a commit waits for. */
  | { readonly kind: 'synchronous'; readonly from: number; readonly to: number };

/** What a rollout defers because nodes cannot be reached. */
export interface Deferral {
  /** The unreachable nodes. Nothing is done on them; their slots and addresses stay. */
  readonly nodes: readonly string[];
  /** Empty when everything was done on the other nodes. */
  readonly deferred: readonly DeferredChange[];
}

/**
 * Returns what is still to be done at the end of a rollout around `desired.unreachable`. `end`: the nodes as they are then.
 * Null where every node can be reached.
 */
export function findDeferral(
  end: readonly NodeObservation[],
  desired: DesiredCluster,
): Deferral | null {
  const { unreachable = [], instanceType } = desired;
  if (unreachable.length === 0) return null;
  const cluster = ClusterState.fromObservation(end, { ...desired, unreachable: [] });
  const { final } = cluster.settings;
  const restarted = cluster.nodes.filter((node) => cluster.needsRestart(node, final));
  const settings = new Set(
    restarted.flatMap((node) => findRestartReasons(node, final).map(({ name }) => name)),
  );
  const resized = cluster.nodes.filter(({ name }) => cluster.needsResize(name));
  const leaving = desired.leaving.map(({ name }) => name);
  const wanted = desired.primary;
  const quorums = {
    from: readQuorum(readSynchronous(cluster.primaryNode)),
    to: readQuorum(final.synchronous_standby_names ?? ''),
  };
  const names = (nodes: readonly NodeObservation[]) => nodes.map(({ name }) => name);
  return {
    nodes: unreachable,
    deferred: [
      ...(restarted.length === 0
        ? []
        : [
            {
              kind: 'restart',
              nodes: names(restarted),
              settings: [...settings].sort(),
              image: restarted.some((node) => cluster.changesImage(node)),
            } as const,
          ]),
      ...(resized.length === 0 || instanceType === null
        ? []
        : [{ kind: 'resize', nodes: names(resized), instanceType } as const]),
      ...(wanted === null || wanted === cluster.primary
        ? []
        : [{ kind: 'switchover', to: wanted } as const]),
      ...(leaving.length === 0 ? [] : [{ kind: 'remove', nodes: leaving } as const]),
      ...(awaitsArchive(cluster) ? [{ kind: 'archive' } as const] : []),
      ...(quorums.to > quorums.from ? [{ kind: 'synchronous', ...quorums } as const] : []),
    ],
  };
}
