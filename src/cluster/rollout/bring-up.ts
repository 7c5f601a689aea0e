import { isNodeSlot, namesOf, slotName } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findMostAdvanced, findPrimary, findUpstream, isCopying } from '../replication.ts';
import { findToolsChange, keepExpired, type ToolsChange } from './backups.ts';
import { measureCatchUp } from './catch-up.ts';
import type { ClusterState } from './cluster-state.ts';
import { chooseSource, describeCopies, planClone } from './copies.ts';
import {
  computeNodeSettings,
  findSettingsBelow,
  isBelow,
  readQuorum,
  readSynchronous,
} from './node-settings.ts';
import type { HostPart } from './reason.ts';
import { explainNode, explainNodes, type PlannedStep } from './step.ts';

// The rules of the rollout that make every node run and replicate. None of them stops a server that serves clients.

/** Creates the nodes that do not exist. */
export function provision(cluster: ClusterState): PlannedStep | null {
  const nodes = cluster.desired.nodes.filter(({ name }) => cluster.isMissing(name));
  if (nodes.length === 0) return null;
  const reasons = explainNodes(nodes, () => [{ kind: 'missing' }]);
  return { kind: 'provision', nodes: namesOf(nodes), reasons };
}

/** Makes the hosts ready. */
export function prepare(cluster: ClusterState): PlannedStep | null {
  const nodes = cluster.nodes.filter((node) => findUnready(cluster, node).length > 0);
  if (nodes.length === 0) return null;
  const reasons = explainNodes(nodes, (node) => [
    { kind: 'host', parts: findUnready(cluster, node) },
  ]);
  const changes = nodes.map((node) => findToolsChange(cluster, node));
  const tools = changes.find((change) => change !== null);
  return { kind: 'prepare', nodes: namesOf(nodes), ...(tools && { tools }), reasons };
}

function findUnready(cluster: ClusterState, node: NodeObservation): HostPart[] {
  const { host, volume, data } = node;
  // A copy runs in the image of its source.
  const needsImage = data !== 'complete' && !isCopying(node);
  return [
    ...(host.authorizedKeysCurrent ? [] : (['ssh-keys'] as const)),
    ...(host.dockerReady ? [] : (['docker'] as const)),
    ...(volume.ready ? [] : (['volume'] as const)),
    ...(host.imageReady || !needsImage ? [] : (['image'] as const)),
    ...listTools(findToolsChange(cluster, node)),
  ];
}

const listTools = (change: ToolsChange | null): HostPart[] =>
  change === null ? [] : [change === 'install' ? 'backup-tools' : 'unused-tools'];

/** Starts, promotes, restores or initialises the primary if none runs. */
export function bringUpPrimary(cluster: ClusterState): PlannedStep | null {
  const { name, data, postgres, standby, container } = cluster.primaryNode;
  if (postgres?.inRecovery === false) return null;
  const withData = cluster.existing.filter((node) => node.data === 'complete' && !isCopying(node));
  if (withData.length > 0 && findPrimary(withData) === null) {
    return resumeSwitchover(cluster, withData);
  }
  const { primary: settings } = cluster.settings;
  const step = { nodes: [name], primary: name, settings } as const;
  if (data !== 'complete') {
    const reasons = explainNode(name, { kind: 'no-cluster' });
    const { restore } = cluster.desired;
    if (restore === null) return { kind: 'initialise', ...step, reasons };
    return { kind: 'restore', ...step, source: restore.from, time: restore.time, reasons };
  }
  // A server whose container runs may serve clients although it does not answer this action: it is not stopped here.
  const isStopped = container?.state !== 'running';
  if (cluster.needsResize(name) && !standby && isStopped) return resizeNode(cluster, name);
  // It starts with the settings that it ran with: its replicas may not be ready for larger ones.
  return { kind: 'start', ...step, reasons: explainNode(name, { kind: 'down' }) };
}

/** Every node with data is fenced or a replica: a switchover was interrupted. */
function resumeSwitchover(
  cluster: ClusterState,
  withData: readonly NodeObservation[],
): PlannedStep {
  // A server that does not answer while its container runs may still be the primary.
  const unanswering = withData.find(
    (node) => node.postgres === null && node.container?.state === 'running',
  );
  if (unanswering) {
    const reasons = explainNode(unanswering.name, { kind: 'may-be-primary' });
    return { kind: 'fence', nodes: [unanswering.name], reasons };
  }
  const best = findMostAdvanced(withData) ?? cluster.primaryNode;
  return {
    kind: 'promote',
    nodes: [best.name],
    primary: best.name,
    settings: computeNodeSettings(cluster.desired, best).primary,
    slots: cluster.slotsUnder(best.name),
    ...keepExpired(cluster.desired, best),
    reasons: explainNode(best.name, { kind: 'no-primary' }),
  };
}

/** Lifts the fence that a switchover left when it was interrupted: the primary must not come back as a replica. */
export function liftFence(cluster: ClusterState): PlannedStep | null {
  const { name, standby } = cluster.primaryNode;
  if (!standby) return null;
  const { primary: settings } = cluster.settings;
  const reasons = explainNode(name, { kind: 'left-fenced' });
  return { kind: 'reload', nodes: [name], primary: name, settings, reasons };
}

/** Lowers the quorum first: commits that wait for lost replicas must not wait for their repair. */
export function relaxQuorum(cluster: ClusterState): PlannedStep | null {
  const { primaryNode } = cluster;
  const { primary, final } = cluster.settings;
  const wanted = final.synchronous_standby_names ?? '';
  // What ALTER SYSTEM wrote overrides every file.
  if ('synchronous_standby_names' in primaryNode.overrides) return null;
  const [before, after] = [readQuorum(readSynchronous(primaryNode)), readQuorum(wanted)];
  if (after >= before) return null;
  const settings = { ...primary, synchronous_standby_names: wanted };
  const reasons = explainNode(cluster.primary, { kind: 'quorum', before, after });
  return {
    kind: 'reload',
    nodes: [cluster.primary],
    primary: cluster.primary,
    settings,
    reasons,
  };
}

/** Creates slots and roles on the primary, and lets every node connect. */
export function admit(cluster: ClusterState): PlannedStep | null {
  const { name, postgres, files } = cluster.primaryNode;
  if (postgres === null) return null;
  const slots = cluster.replicas.map((replica) => slotName(replica.name));
  // A lost slot retains no WAL any more: it is created anew, and its replica catches up from the archive or is cloned again.
  const present = namesOf(postgres.slots.filter(({ walStatus }) => walStatus !== 'lost'));
  const missing = slots.filter((slot) => !present.includes(slot));
  const retiredSlots = namesOf(postgres.slots).filter((slot) => isRetired(cluster, slot));
  const settings = cluster.settings.primary;
  const parts = [
    ...(postgres.passwordsCurrent === false ? (['passwords'] as const) : []),
    ...(files.pgHba === cluster.renderFiles(name, settings).pgHba
      ? []
      : (['pg_hba.conf'] as const)),
  ];
  const isSlotsRight = missing.length + retiredSlots.length === 0;
  if (isSlotsRight && parts.length === 0) return null;
  const reasons = explainNode(
    name,
    ...(isSlotsRight ? [] : [{ kind: 'slots', missing, retired: retiredSlots } as const]),
    ...(parts.length === 0 ? [] : [{ kind: 'configuration', parts } as const]),
  );
  return { kind: 'admit', nodes: [name], primary: name, settings, slots, retiredSlots, reasons };
}

/** Whether a slot may be dropped: it is named like a node's, and no node needs it. Slots of other tools are not touched. */
function isRetired(cluster: ClusterState, slot: string): boolean {
  if (!isNodeSlot(slot)) return false;
  const isOf = (name: string) => slotName(name) === slot;
  // An unreachable node may come back, and until then no node is removed.
  if (cluster.unreachable.some(isOf)) return false;
  if (cluster.isDegraded && cluster.leaving.some(({ name }) => isOf(name))) return false;
  // The primary's own slot is from its time as a replica.
  if (cluster.nodes.some(({ name }) => isOf(name))) return isOf(cluster.primary);
  return !cluster.leaving.some(
    (node) => isOf(node.name) && (node.postgres !== null || isCopying(node)),
  );
}

/** Makes running replicas follow the primary. */
export function repoint(cluster: ClusterState): PlannedStep | null {
  const { replica: settings } = cluster.settings;
  const common = { primary: cluster.primary, settings };
  const misdirected = cluster.replicas.filter(
    (node) =>
      node.postgres !== null &&
      !cluster.isStreaming(node) &&
      cluster.canFollow(node) &&
      (followsAnother(cluster, node) || !node.postgres.filesLoaded),
  );
  // What the primary runs with now: settings that are raised later need a restart in its turn only.
  const [low] = misdirected.filter((node) => isBelow(node, cluster.settings.primary));
  // Without a restart its replay would pause at once.
  if (low && !cluster.isDegraded) {
    const reasons = explainNode(low.name, ...findSettingsBelow(low, cluster.settings.primary));
    return { kind: 'restart', nodes: [low.name], ...common, reasons };
  }
  const ready = misdirected.filter((node) => !isBelow(node, cluster.settings.primary));
  if (ready.length === 0) return null;
  const reasons = explainNodes(ready, (node) => [
    followsAnother(cluster, node)
      ? { kind: 'other-upstream' }
      : { kind: 'configuration', parts: ['not-loaded'] },
  ]);
  return { kind: 'reload', nodes: namesOf(ready), ...common, reasons };
}

function followsAnother(cluster: ClusterState, node: NodeObservation): boolean {
  return findUpstream(node, cluster.desired) !== cluster.primary;
}

/** Ends copies to servers that are up: a primary needs none, and neither does a replica that streams. */
export function endStrayCopies(cluster: ClusterState): PlannedStep | null {
  const node = cluster.nodes.find(
    (one) =>
      isCopying(one) &&
      (one.name === cluster.primary ? one.postgres !== null : cluster.isStreaming(one)),
  );
  if (node === undefined) return null;
  const { name } = node;
  const { primary, replica } = cluster.settings;
  const settings = name === cluster.primary ? primary : replica;
  const reasons = explainNode(name, { kind: 'stray-copy' });
  return { kind: 'reload', nodes: [name], primary: cluster.primary, settings, reasons };
}

/** Starts replicas that are down, and lets those that cannot follow catch up from the archive, or clones them. */
export function bringUpReplicas(cluster: ClusterState): PlannedStep | null {
  const { replica: settings } = cluster.settings;
  const common = { primary: cluster.primary, settings };
  // A node that is down anyway is resized now. A copy that runs would end with the instance.
  const down = cluster.replicas.filter(({ postgres }) => postgres === null);
  const resized = down.find(
    (node) => cluster.needsResize(node.name) && cluster.findRunningSource(node) === null,
  );
  if (resized) return resizeNode(cluster, resized.name);

  // Once the primary runs the new image, a replica does not have to start with the old one first.
  const isLast = !cluster.changesImage(cluster.primaryNode);
  const outdated = down.find(
    (node) => isLast && node.standby && cluster.changesImage(node) && cluster.canFollow(node),
  );
  if (outdated) {
    const reasons = explainNode(
      outdated.name,
      { kind: 'down' },
      ...cluster.findImageReasons(outdated),
    );
    return { kind: 'restart', nodes: [outdated.name], ...common, reasons };
  }

  const stopped = cluster.replicas.filter(
    (node) =>
      cluster.canFollow(node) &&
      // A replica whose settings are too low pauses its replay until its restart, which comes in its turn.
      (node.postgres === null ||
        !(cluster.isStreaming(node) || isBelow(node, cluster.settings.primary))),
  );
  if (stopped.length > 0) {
    const reasons = explainNodes(stopped, ({ postgres }) => [
      { kind: postgres === null ? 'down' : 'not-streaming' },
    ]);
    // One that does not start with its data is cloned in this step.
    const copies = describeCopies(cluster, { source: chooseSource(cluster), nodes: stopped });
    // While a server is down nobody knows how far it has received: it may lack WAL although its slot is there.
    const { primaryNode, desired } = cluster;
    const fromArchive = stopped.every(
      (node) => measureCatchUp(node, primaryNode, desired) !== null,
    );
    return {
      kind: 'start',
      nodes: namesOf(stopped),
      ...common,
      ...copies,
      ...(fromArchive && { fromArchive }),
      reasons,
    };
  }
  const behind = cluster.replicas.filter((node) => cluster.findArchivedWal(node) !== null);
  if (behind.length > 0) {
    const copies = describeCopies(cluster, { source: chooseSource(cluster), nodes: behind });
    const reasons = explainNodes(behind, (node) => [
      ...cluster.findCloneReasons(node),
      ...[cluster.findArchivedWal(node)].filter((reason) => reason !== null),
    ]);
    return {
      kind: 'start',
      nodes: namesOf(behind),
      ...common,
      ...copies,
      fromArchive: true,
      reasons,
    };
  }
  const [first, ...others] = cluster.replicas.filter((node) => !cluster.canFollow(node));
  return first === undefined ? null : planClone(cluster, [first, ...others]);
}

function resizeNode(cluster: ClusterState, name: string): PlannedStep {
  const instanceType = cluster.desired.instanceType ?? '';
  const reasons = explainNode(name, cluster.explainResize(name));
  return { kind: 'resize', nodes: [name], instanceType, reasons };
}
