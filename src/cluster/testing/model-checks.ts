import { slotName } from '../node.ts';
import { HOT_STANDBY_SENSITIVE, type Settings } from '../settings/settings.ts';
import type { ModelCluster } from './model.ts';
import { type ModelNode, Violation } from './model-node.ts';

// The rules of the design that no step of a rollout may break; each throws Violation.

/** In MiB, as all positions: more than a switchover accepts, and than is written while a few steps are done. */
const FAR_BEHIND = 60;

/** A server that is stopped on purpose is the only one that is down. One that follows no primary is repaired by that. */
export function requireOthersUp(cluster: ModelCluster, node: ModelNode, word: string): void {
  if (node !== cluster.primary && !cluster.isStreaming(node)) return;
  const members = cluster.desired.nodes.map(({ name }) => cluster.get(name));
  const down = members.filter(
    (other) => other !== node && !(other === cluster.primary || cluster.isStreaming(other)),
  );
  if (down.length > 0) {
    throw new Violation(`${node.name} ${word} while ${down.map(({ name }) => name)} is down`);
  }
}

/** A node that starts as the primary has the latest timeline, and no other node is primary. */
export function requireOnlyPrimary(cluster: ModelCluster, node: ModelNode): void {
  const newer = [...cluster.nodes.values()].find(
    ({ data, timeline }) => data === 'complete' && timeline > node.timeline,
  );
  if (newer) throw new Violation(`${node.name} started as the primary, older than ${newer.name}`);
  if (cluster.primaries.length > 1) {
    throw new Violation(`${node.name} started as a second primary`);
  }
}

/** A primary that restarts with `settings` runs with nothing above its replicas. */
export function requireReplicasAbove(
  cluster: ModelCluster,
  node: ModelNode,
  settings: Settings,
): void {
  for (const replica of cluster.nodes.values()) {
    if (!cluster.isReplicaUp(replica)) continue;
    for (const name of HOT_STANDBY_SENSITIVE) {
      if (Number(settings[name]) > Number(replica.settings[name])) {
        throw new Violation(`${node.name} restarted above ${replica.name} in ${name}`);
      }
    }
  }
}

/**
 * Unless it was asked for, a replica that is far behind takes over only where all are. One that the primary did not list
 * when it was observed is not known to be: the switchover itself waits for it, and stops nothing if it comes no nearer.
 */
export function requireLeastBehind(
  cluster: ModelCluster,
  { from, to }: { from: ModelNode; to: ModelNode },
): void {
  if (!cluster.listed.has(to.name)) return;
  const isBehind = (node: ModelNode) => from.lsn - node.replayed > FAR_BEHIND;
  const others = [...cluster.nodes.values()].filter((node) => cluster.isStreaming(node));
  if (isBehind(to) && to.name !== cluster.desired.primary && !others.every(isBehind)) {
    throw new Violation(`${to.name} takes over, and another replica is less far behind`);
  }
}

/** The new primary has every logical slot of the old one. */
export function requireSlotsKept(from: ModelNode, to: ModelNode): void {
  const lost = from.logicalSlots.filter(
    ({ name }) => !to.logicalSlots.some((slot) => slot.name === name),
  );
  if (lost.length > 0) {
    throw new Violation(`logical slots are lost: ${lost.map(({ name }) => name)}`);
  }
}

/** No slot that is dropped is used by a streaming replica. */
export function requireUnused(cluster: ModelCluster, slots: readonly string[]): void {
  for (const node of cluster.nodes.values()) {
    if (!slots.includes(slotName(node.name))) continue;
    if (cluster.isStreaming(node)) throw new Violation(`slot of ${node.name} is in use`);
  }
}

/** A node is removed only once it is stopped and its slot is dropped on the primary. */
export function requireRemovable(cluster: ModelCluster, node: ModelNode): void {
  if (node.container === 'running') throw new Violation(`${node.name} destroyed while it runs`);
  if (!cluster.primary) throw new Violation('destroyed without a primary');
  if (cluster.primary.slots.some(({ name }) => name === slotName(node.name))) {
    throw new Violation(`${node.name} destroyed before its slot`);
  }
}
