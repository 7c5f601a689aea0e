import { copiesSlots, readConfSetting } from '../configuration.ts';
import { isNodeSlot, namesOf } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findLeastBehind, isCopying } from '../replication.ts';
import type { Settings } from '../settings/settings.ts';
import { keepExpired } from './backups.ts';
import type { ClusterState } from './cluster-state.ts';
import {
  findOverridesAbove,
  findSettingsBelow,
  isBelow,
  isEqual,
  readQuorum,
  readSynchronous,
} from './node-settings.ts';
import type { ConfigurationPart, StepReason } from './reason.ts';
import { explainNode, explainNodes, type PlannedStep } from './step.ts';

// The rules that change running servers: checks, restarts, the switchover, reloads, removals. Their order is in
// choose-step.ts.

/** Tries the new settings and image in a temporary server before the first restart or other change of settings. */
export function checkSettings(cluster: ClusterState): PlannedStep | null {
  if (cluster.isChecked) return null;
  const { final } = cluster.settings;
  const running = [...cluster.replicas, cluster.primaryNode].filter(
    // The trial and a copy use the same container.
    (node) => node.postgres !== null && !cluster.isLeaving(node.name) && !isCopying(node),
  );
  if (!running.some((node) => cluster.needsRestart(node, final))) return null;
  // What a new image would do to existing data can only be checked on a node that still runs the old one.
  const changing = running.filter((node) => cluster.changesImage(node));
  const candidates = changing.length > 0 ? changing : running;
  // Preferably on a node that already has its final memory.
  const node = candidates.find((one) => !isGrowing(cluster, one)) ?? candidates[0];
  if (node === undefined) return null;
  const settings = isGrowing(cluster, node) ? keepMemory(node, final) : final;
  const reasons = explainNode(node.name, { kind: 'before-restarts' });
  return { kind: 'check', nodes: [node.name], primary: cluster.primary, settings, reasons };
}

/** Whether the node's instance has yet to get more memory. */
function isGrowing(cluster: ClusterState, node: NodeObservation): boolean {
  return cluster.needsResize(node.name) && !cluster.isShrinking(node);
}

/** Returns the settings with the current `shared_buffers` of the node: the new value needs the new instance type. */
function keepMemory({ postgres }: NodeObservation, settings: Settings): Settings {
  const current = postgres?.settings.shared_buffers;
  if (current === undefined || settings.shared_buffers === undefined) return settings;
  // A value without a unit counts in the base unit, as the server reports it.
  return { ...settings, shared_buffers: current.setting };
}

/** Stops the servers of leaving nodes, and copies that run there. */
export function stopLeaving(cluster: ClusterState): PlannedStep | null {
  const leaving = cluster.leaving.filter(
    (node) =>
      node.name !== cluster.primary &&
      (node.postgres !== null || node.container?.state === 'running' || isCopying(node)),
  );
  if (leaving.length === 0) return null;
  // No commit may wait for a node that is about to be removed.
  const { primary, final } = cluster.settings;
  const current = readSynchronous(cluster.primaryNode);
  const wanted = final.synchronous_standby_names ?? '';
  if (current !== '' && current !== final.synchronous_standby_names) {
    return {
      kind: 'reload',
      nodes: [cluster.primary],
      primary: cluster.primary,
      settings: { ...primary, synchronous_standby_names: wanted },
      reasons: explainNode(
        cluster.primary,
        { kind: 'quorum', before: readQuorum(current), after: readQuorum(wanted) },
        ...leaving.map(({ name }) => ({ kind: 'leaves', node: name }) as const),
      ),
    };
  }
  const reasons = explainNodes(leaving, ({ name }) => [{ kind: 'leaves', node: name }]);
  return { kind: 'stop', nodes: namesOf(leaving), primary: cluster.primary, reasons };
}

/** Changes the replicas one by one: instances that get more memory, then restarts, then instances that get less. */
export function changeReplicas(cluster: ClusterState): PlannedStep | null {
  const { replica: settings, final } = cluster.settings;
  const resized = cluster.replicas.filter(({ name }) => cluster.needsResize(name));
  const growing = resized.find((node) => isGrowing(cluster, node));
  if (growing) return stopNode(cluster, growing.name);
  // If settings are lowered, the replicas restart after the primary anyway, so here they only raise what must be raised.
  const comesDown = !isEqual(settings, final);
  for (const node of cluster.replicas) {
    const reasons = comesDown
      ? [
          ...findSettingsBelow(node, settings),
          ...cluster.findImageReasons(node),
          ...cluster.findContainerReasons(node),
        ]
      : cluster.findRestartReasons(node, settings);
    if (!isBelow(node, settings) && reasons.length === 0) continue;
    return {
      kind: 'restart',
      nodes: [node.name],
      primary: cluster.primary,
      settings,
      reasons: explainNode(
        node.name,
        ...(reasons.length > 0 ? reasons : findSettingsBelow(node, settings)),
      ),
    };
  }
  return resized[0] ? stopNode(cluster, resized[0].name) : null;
}

/**
 * Changes the primary last. If a replica is ready, it takes over first, because a switchover pauses writes for less time
 * than a restart. Lowered settings are the exception: the primary must restart with them before any replica may.
 */
export function changePrimary(cluster: ClusterState): PlannedStep | null {
  const { primary: name, primaryNode: node, desired } = cluster;
  const { final, replica } = cluster.settings;
  const restartReasons = cluster.findRestartReasons(node, final);
  const restarts = restartReasons.length > 0;
  const restart: PlannedStep = {
    kind: 'restart',
    nodes: [name],
    primary: name,
    settings: final,
    reasons: explainNode(name, ...restartReasons),
  };
  if (restarts && !isEqual(replica, final)) return restart;

  const wanted = desired.primary;
  const isLeaving = cluster.isLeaving(name);
  const isResized = cluster.needsResize(name);
  const isMoved = wanted !== null && wanted !== name;
  if (!(isLeaving || isResized || isMoved || restarts)) return null;
  const successor = chooseSuccessor(cluster);
  const mustMove = isLeaving || isResized || restarts;
  // If the only reason is that another node is to be the primary, no third node may take over.
  if (!mustMove && successor !== wanted) return null;
  const staysOnPurpose = wanted === name && !isResized && !isLeaving;
  if (successor !== null && !staysOnPurpose) {
    const reasons: StepReason[] = [
      ...(isLeaving ? [{ kind: 'leaves', node: name } as const] : []),
      ...(isMoved && successor === wanted
        ? [{ kind: 'wanted-primary', node: successor } as const]
        : []),
      ...(isResized ? [cluster.explainResize(name)] : []),
      ...restartReasons,
      ...(isResized || restarts
        ? [{ kind: 'primary-last', primary: name, successor } as const]
        : []),
    ];
    return enableSlotCopies(cluster, successor) ?? switchOver(cluster, successor, reasons);
  }
  if (restarts && !(isResized && !cluster.isShrinking(node))) return restart;
  return isResized ? stopNode(cluster, name) : null;
}

/** Configures the successor to copy the primary's failover slots if it does not yet; without copies they would be lost. */
function enableSlotCopies(cluster: ClusterState, successor: string): PlannedStep | null {
  const { replica: settings } = cluster.settings;
  const slots = cluster.primaryNode.postgres?.logicalSlots ?? [];
  if (!copiesSlots(settings) || !slots.some(({ failover, invalid }) => failover && !invalid)) {
    return null;
  }
  const node = cluster.replicas.find(({ name }) => name === successor);
  const conf = node?.files.postgresqlConf ?? null;
  if (readConfSetting(conf, 'sync_replication_slots') === 'on') return null;
  const reasons = explainNode(successor, { kind: 'slot-copies' });
  return { kind: 'reload', nodes: [successor], primary: cluster.primary, settings, reasons };
}

function chooseSuccessor(cluster: ClusterState): string | null {
  const ready = cluster.replicas.filter(
    (node) =>
      cluster.isStreaming(node) && findOverridesAbove(node, cluster.settings.replica).length === 0,
  );
  const wanted = ready.find(({ name }) => name === cluster.desired.primary);
  return (wanted ?? findLeastBehind(ready, cluster.primaryNode))?.name ?? null;
}

function switchOver(
  cluster: ClusterState,
  to: string,
  reasons: readonly StepReason[],
): PlannedStep {
  const successor = cluster.replicas.find(({ name }) => name === to);
  // Commits wait for the same replicas as before.
  const synchronous_standby_names = readSynchronous(cluster.primaryNode);
  return {
    kind: 'switchover',
    nodes: [cluster.primary, to],
    primary: to,
    settings: { ...cluster.settings.replica, synchronous_standby_names },
    slots: cluster.slotsUnder(to),
    ...(cluster.desired.allowsSlotLoss ? ({ losesSlots: true } as const) : {}),
    ...(successor && keepExpired(cluster.desired, successor)),
    reasons: explainNode(cluster.primary, ...reasons),
  };
}

/** Rewrites outdated configuration files and reloads their servers. */
export function reload(cluster: ClusterState): PlannedStep | null {
  const { final: settings } = cluster.settings;
  const parts = (node: NodeObservation) => findOutdatedParts(cluster, node);
  const nodes = cluster.nodes.filter((node) => parts(node).length > 0);
  if (nodes.length === 0) return null;
  const reasons = explainNodes(nodes, (node) => [{ kind: 'configuration', parts: parts(node) }]);
  return { kind: 'reload', nodes: namesOf(nodes), primary: cluster.primary, settings, reasons };
}

function findOutdatedParts(cluster: ClusterState, node: NodeObservation): ConfigurationPart[] {
  const { name, postgres, files } = node;
  if (postgres === null) return [];
  const isReplica = name !== cluster.primary;
  const wanted = cluster.renderFiles(name, cluster.settings.final);
  const isConfRight = files.postgresqlConf === wanted.postgresqlConf;
  const isHbaRight = files.pgHba === wanted.pgHba;
  const hasLeftovers =
    postgres.slots.some((slot) => isNodeSlot(slot.name)) ||
    postgres.logicalSlots.some(({ leftover }) => leftover);
  return [
    ...(isConfRight ? [] : (['postgresql.conf'] as const)),
    ...(isHbaRight ? [] : (['pg_hba.conf'] as const)),
    ...(!postgres.filesLoaded && isConfRight && isHbaRight ? (['not-loaded'] as const) : []),
    // On the primary, `admit` sets the passwords; on a replica they are in its passfile.
    ...(isReplica && postgres.passwordsCurrent === false ? (['passwords'] as const) : []),
    ...(isReplica && hasLeftovers ? (['leftover-slots'] as const) : []),
  ];
}

/** Removes the leaving nodes. A leaving primary stays until another node is the primary. */
export function destroyLeaving(cluster: ClusterState): PlannedStep | null {
  const leaving = cluster.leaving.filter(({ name }) => name !== cluster.primary);
  if (leaving.length === 0) return null;
  const reasons = explainNodes(leaving, ({ name }) => [{ kind: 'leaves', node: name }]);
  return { kind: 'destroy', nodes: namesOf(leaving), reasons };
}

/** Stops a server whose instance is resized next. */
function stopNode(cluster: ClusterState, name: string): PlannedStep {
  const reasons = explainNode(name, cluster.explainResize(name));
  return { kind: 'stop', nodes: [name], primary: cluster.primary, reasons };
}
