import { copiesSlots } from '../configuration.ts';
import { slotName } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { findLeastBehind, findMostAdvanced, findUpstream } from '../replication.ts';
import type { Settings } from '../settings/settings.ts';
import type { ClusterState } from './cluster-state.ts';
import {
  computeNodeSettings,
  findOverridesAbove,
  isBelow,
  isEqual,
  readQuorum,
  readSynchronous,
} from './node-settings.ts';
import { findPrimary } from './refusals.ts';
import type { Step, StepOf } from './step.ts';

/** What is done, in this order: each of these knows one reason to do something. */
const RULES: readonly ((view: ClusterState) => Step | null)[] = [
  provision,
  prepare,
  bringUpPrimary,
  checkSettings,
  liftFence,
  relaxQuorum,
  admit,
  repoint,
  bringUpReplicas,
  stopLeaving,
  changeReplicas,
  changePrimary,
  reload,
  destroyLeaving,
];

/** What takes a server down, or a node away, and so waits until every node can be reached. */
const DEFERRED: ReadonlySet<(typeof RULES)[number]> = new Set([
  checkSettings,
  stopLeaving,
  changeReplicas,
  changePrimary,
  destroyLeaving,
]);

/** The first step that something asks for; null when nothing does. */
export function chooseStep(view: ClusterState): Step | null {
  for (const rule of RULES) {
    if (view.isDegraded && DEFERRED.has(rule)) continue;
    const step = rule(view);
    if (step !== null) return step;
  }
  return null;
}

function provision(view: ClusterState): Step | null {
  const nodes = view.desired.nodes.filter(({ name }) => view.isMissing(name));
  return nodes.length === 0 ? null : { kind: 'provision', nodes: nodes.map(({ name }) => name) };
}

function prepare(view: ClusterState): Step | null {
  const nodes = view.nodes.filter(
    ({ host, volume, data }) =>
      !(host.dockerReady && host.authorizedKeysCurrent && volume.ready) ||
      (data !== 'complete' && !host.imageReady),
  );
  return nodes.length === 0 ? null : { kind: 'prepare', nodes: nodes.map(({ name }) => name) };
}

function bringUpPrimary(view: ClusterState): Step | null {
  const { name, data, postgres, standby, container } = view.primaryNode;
  if (postgres?.inRecovery === false) return null;
  const targets = view.settings;
  const own = { nodes: [name], primary: name } as const;
  const standing = view.existing.filter((node) => node.data === 'complete');
  if (standing.length > 0 && findPrimary(standing) === null) {
    // Every node was fenced or follows: a switchover was interrupted. A server that does not answer while its
    // container runs may still be the primary.
    const silent = standing.find(
      (node) => node.postgres === null && node.container?.state === 'running',
    );
    if (silent) return { kind: 'fence', nodes: [silent.name] };
    const best = findMostAdvanced(standing) ?? view.primaryNode;
    const { primary: settings } = computeNodeSettings(view.desired, best);
    const at = { nodes: [best.name], primary: best.name, settings } as const;
    return { kind: 'promote', ...at, slots: slotsBeside(view, best.name) };
  }
  if (data !== 'complete') return { kind: 'initialise', ...own, settings: targets.primary };
  // One whose container runs may serve clients although it does not answer us: it is not stopped like that.
  const stands = container?.state !== 'running';
  if (view.needsResize(name) && !standby && stands) return resizeNode(view, name);
  // With what it ran with: its replicas may not be ready for more yet.
  return { kind: 'start', ...own, settings: targets.primary };
}

/** A switchover was interrupted before the old primary stopped: it must not come back as a replica. */
function liftFence(view: ClusterState): Step | null {
  const { name, standby } = view.primaryNode;
  if (!standby) return null;
  return { kind: 'reload', nodes: [name], primary: name, settings: view.settings.primary };
}

/** Commits that wait for replicas which are lost must not wait for their repair. */
function relaxQuorum(view: ClusterState): Step | null {
  const { primary, final } = view.settings;
  const wanted = final.synchronous_standby_names ?? '';
  // What ALTER SYSTEM wrote goes before any file.
  if ('synchronous_standby_names' in view.primaryNode.overrides) return null;
  if (readQuorum(wanted) >= readQuorum(readSynchronous(view.primaryNode))) return null;
  const settings = { ...primary, synchronous_standby_names: wanted };
  return { kind: 'reload', nodes: [view.primary], primary: view.primary, settings };
}

/** Before the first restart, and before anything else that changes settings. */
function checkSettings(view: ClusterState): Step | null {
  if (view.isChecked) return null;
  const { final } = view.settings;
  const running = [...view.replicas, view.primaryNode].filter(
    ({ name, postgres }) => postgres !== null && !view.isLeaving(name),
  );
  const asks = running.some((node) => view.needsRestart(node, final));
  // What another image would do to the data only a server can tell that does not run it yet.
  const changing = running.filter((node) => view.changesImage(node));
  const places = changing.length > 0 ? changing : running;
  // A node that has its memory already, if there is one.
  const place = places.find((node) => !isGrowing(view, node)) ?? places[0];
  if (!asks || place === undefined) return null;
  const settings = isGrowing(view, place) ? keepMemory(place, final) : final;
  return { kind: 'check', nodes: [place.name], primary: view.primary, settings };
}

/** Its instance is still to get more memory. */
function isGrowing(view: ClusterState, node: NodeObservation): boolean {
  return view.needsResize(node.name) && !view.isShrinking(node);
}

/** The settings with no more memory than the node's server has now: what they ask for comes with another type. */
function keepMemory({ postgres }: NodeObservation, settings: Settings): Settings {
  const current = postgres?.settings.shared_buffers;
  if (current === undefined || settings.shared_buffers === undefined) return settings;
  // Without a unit it is in the base unit, as the server gives it.
  return { ...settings, shared_buffers: current.setting };
}

function admit(view: ClusterState): Step | null {
  const { name, postgres, files } = view.primaryNode;
  if (postgres === null) return null;
  const slots = view.replicas.map((replica) => slotName(replica.name));
  // A lost slot has no WAL left to give: it is made anew, and its replica cloned again.
  const present = postgres.slots
    .filter(({ walStatus }) => walStatus !== 'lost')
    .map((slot) => slot.name);
  const settings = view.settings.primary;
  const retiredSlots = postgres.slots
    .map((slot) => slot.name)
    .filter((slot) => isRetired(view, slot));
  const done =
    slots.every((slot) => present.includes(slot)) &&
    retiredSlots.length === 0 &&
    postgres.passwordsCurrent !== false &&
    files.pgHba === view.renderFiles(name, settings).pgHba;
  if (done) return null;
  return { kind: 'admit', nodes: [name], primary: name, settings, slots, retiredSlots };
}

/**
 * Only slots that follow the naming of nodes are ours to drop; a tool's own slot is left alone, and so is
 * that of a node that still runs.
 */
function isRetired(view: ClusterState, slot: string): boolean {
  if (!/^node_\d+$/.test(slot)) return false;
  // What is away may come back, and what leaves stays as long as it is.
  if (view.unreachable.some((name) => slotName(name) === slot)) return false;
  if (view.isDegraded && view.leaving.some(({ name }) => slotName(name) === slot)) return false;
  if (view.nodes.some(({ name }) => slotName(name) === slot)) {
    // The primary's own, from its time as a replica.
    return slot === slotName(view.primary);
  }
  return !view.leaving.some(({ name, postgres }) => slotName(name) === slot && postgres !== null);
}

/** Running replicas that are told to follow another node than the primary. */
function repoint(view: ClusterState): Step | null {
  const { replica: settings } = view.settings;
  const astray = view.replicas.filter(
    (node) =>
      node.postgres !== null &&
      !view.isStreaming(node) &&
      view.canFollow(node) &&
      (findUpstream(node, view.desired) !== view.primary || !node.postgres.filesLoaded),
  );
  const [low] = astray.filter((node) => isBelow(node, settings));
  // Its replay would pause at once.
  if (low && !view.isDegraded)
    return { kind: 'restart', nodes: [low.name], primary: view.primary, settings };
  const ready = astray.filter((node) => !isBelow(node, settings));
  if (ready.length === 0) return null;
  return { kind: 'reload', nodes: names(ready), primary: view.primary, settings };
}

function bringUpReplicas(view: ClusterState): Step | null {
  const { replica: settings } = view.settings;
  const common = { primary: view.primary, settings };
  // A node that is down anyway takes its other type now.
  const down = view.replicas.filter(({ postgres }) => postgres === null);
  const resized = down.find(({ name }) => view.needsResize(name));
  if (resized) return resizeNode(view, resized.name);

  // The primary has the new image already: no reason to start with the old one first.
  const isLast = !view.changesImage(view.primaryNode);
  const behind = down.find(
    (node) => isLast && node.standby && view.changesImage(node) && view.canFollow(node),
  );
  if (behind) return { kind: 'restart', nodes: [behind.name], ...common };

  const silent = view.replicas.filter(
    (node) =>
      view.canFollow(node) &&
      // One whose settings are too low stands paused until its restart, which comes in its turn.
      (node.postgres === null || !(view.isStreaming(node) || isBelow(node, settings))),
  );
  if (silent.length > 0) return { kind: 'start', nodes: names(silent), ...common };
  const lost = view.replicas.filter((node) => !view.canFollow(node));
  return lost.length === 0 ? null : { kind: 'clone', nodes: names(lost), ...common };
}

function stopLeaving(view: ClusterState): Step | null {
  const leaving = view.leaving.filter(
    ({ name, postgres, container }) =>
      name !== view.primary && (postgres !== null || container?.state === 'running'),
  );
  if (leaving.length === 0) return null;
  // No commit may wait for a node that is about to go.
  const { primary, final } = view.settings;
  const waits = readSynchronous(view.primaryNode);
  if (waits !== '' && waits !== final.synchronous_standby_names) {
    const settings = {
      ...primary,
      synchronous_standby_names: final.synchronous_standby_names ?? '',
    };
    return { kind: 'reload', nodes: [view.primary], primary: view.primary, settings };
  }
  return { kind: 'stop', nodes: names(leaving), primary: view.primary };
}

/** One replica after the other: those that grow, then restarts, then those that shrink. */
function changeReplicas(view: ClusterState): Step | null {
  const { replica: settings, final } = view.settings;
  const others = view.replicas.filter(({ name }) => view.needsResize(name));
  const growing = others.find((node) => isGrowing(view, node));
  if (growing) return stopNode(view, growing.name);
  // A primary that comes down takes its replicas with it afterwards: only what must be raised is raised before.
  const comesDown = !isEqual(settings, final);
  const restarted = view.replicas.find(
    (node) =>
      isBelow(node, settings) ||
      (comesDown
        ? view.changesImage(node) || node.container?.current === false
        : view.needsRestart(node, settings)),
  );
  if (restarted) {
    return { kind: 'restart', nodes: [restarted.name], primary: view.primary, settings };
  }
  return others[0] ? stopNode(view, others[0].name) : null;
}

/**
 * The primary comes last. Where a replica is ready to take over it does, as that pauses writes for less
 * than a restart; but settings that come down come down on the primary first, which nobody can do for it.
 */
function changePrimary(view: ClusterState): Step | null {
  const name = view.primary;
  const node = view.primaryNode;
  const { final, replica } = view.settings;
  const restart: Step = { kind: 'restart', nodes: [name], primary: name, settings: final };
  const restarts = view.needsRestart(node, final);
  if (restarts && !isEqual(replica, final)) return restart;

  const wanted = view.desired.primary;
  const successor = chooseSuccessor(view);
  const otherType = view.needsResize(name);
  const moves =
    view.isLeaving(name) || otherType || (wanted !== null && wanted !== name) || restarts;
  if (!moves) return null;
  // Another than the wanted one is no better where nothing else moves the primary.
  const isOnlyWanted = !(otherType || restarts || view.isLeaving(name));
  if (isOnlyWanted && successor !== wanted) return null;
  const staysOnPurpose = wanted === name && !otherType && !view.isLeaving(name);
  if (successor !== null && !staysOnPurpose) {
    return enableSlotCopies(view, successor) ?? switchOver(view, name, successor);
  }
  if (restarts && !(otherType && !view.isShrinking(node))) return restart;
  return otherType ? stopNode(view, name) : null;
}

/** A successor that was never told to copy the primary's failover slots has no copies to take over with. */
function enableSlotCopies(view: ClusterState, successor: string): Step | null {
  const { replica: settings } = view.settings;
  const slots = view.primaryNode.postgres?.logicalSlots ?? [];
  if (!copiesSlots(settings) || !slots.some(({ failover, invalid }) => failover && !invalid)) {
    return null;
  }
  const node = view.replicas.find(({ name }) => name === successor);
  if (/^sync_replication_slots = 'on'$/m.test(node?.files.postgresqlConf ?? '')) return null;
  return { kind: 'reload', nodes: [successor], primary: view.primary, settings };
}

function chooseSuccessor(view: ClusterState): string | null {
  const ready = view.replicas.filter(
    (node) =>
      view.isStreaming(node) && findOverridesAbove(node, view.settings.replica).length === 0,
  );
  const wanted = ready.find(({ name }) => name === view.desired.primary);
  return (wanted ?? findLeastBehind(ready, view.primaryNode))?.name ?? null;
}

function reload(view: ClusterState): Step | null {
  const { final: settings } = view.settings;
  const nodes = view.nodes.filter((node) => {
    const { name, postgres, files } = node;
    if (postgres === null) return false;
    const isPrimary = name === view.primary;
    const wanted = view.renderFiles(name, settings);
    return (
      !postgres.filesLoaded ||
      files.postgresqlConf !== wanted.postgresqlConf ||
      files.pgHba !== wanted.pgHba ||
      // On the primary that is part of admitting; a replica's passfile is its own.
      (!isPrimary && postgres.passwordsCurrent === false) ||
      // From its time as primary, and nobody's now.
      (!isPrimary &&
        (postgres.slots.some((slot) => /^node_\d+$/.test(slot.name)) ||
          postgres.logicalSlots.some(({ leftover }) => leftover)))
    );
  });
  if (nodes.length === 0) return null;
  return { kind: 'reload', nodes: names(nodes), primary: view.primary, settings };
}

function destroyLeaving(view: ClusterState): Step | null {
  // Never the primary: it stays until another node is one.
  const nodes = names(view.leaving).filter((name) => name !== view.primary);
  return nodes.length === 0 ? null : { kind: 'destroy', nodes };
}

function stopNode(view: ClusterState, name: string): StepOf<'stop'> {
  return { kind: 'stop', nodes: [name], primary: view.primary };
}

function resizeNode(view: ClusterState, name: string): StepOf<'resize'> {
  const { instanceType } = view.desired;
  return { kind: 'resize', nodes: [name], instanceType: instanceType ?? '' };
}

function switchOver(view: ClusterState, from: string, to: string): StepOf<'switchover'> {
  // The commits wait for whom they waited before.
  const synchronous_standby_names = readSynchronous(view.primaryNode);
  const settings = { ...view.settings.replica, synchronous_standby_names };
  const slots = slotsBeside(view, to);
  const losesSlots = view.desired.allowsSlotLoss ? ({ losesSlots: true } as const) : {};
  return { kind: 'switchover', nodes: [from, to], primary: to, settings, slots, ...losesSlots };
}

function slotsBeside(view: ClusterState, primary: string): string[] {
  return view.nodes.filter(({ name }) => name !== primary).map(({ name }) => slotName(name));
}

const names = (nodes: readonly NodeObservation[]): string[] => nodes.map(({ name }) => name);
