import fc from 'fast-check';
import { nodeName, slotName } from '../node.ts';
import type { ModelCluster } from './model.ts';
import { type ModelNode, shutDown } from './model-node.ts';

/** Something that happens to a node between two runs, or in the middle of one. */
export const disturbances = fc.record({
  node: fc.integer({ min: 1, max: 4 }),
  what: fc.constantFrom(
    'stopped',
    'container removed',
    'container outdated',
    'slot lost',
    'slot dropped',
    'clone unfinished',
    'data lost',
    'unmounted',
    'terminated',
    'file not read',
    'fenced',
    'crashed',
    'replaying slowly',
  ),
});

/** Makes a disturbance happen; nothing where the node is not in a state for it. */
export function disturb(
  model: ModelCluster,
  { node: number, what }: { node: number; what: string },
): void {
  const node = model.nodes.get(nodeName(number));
  const { primary } = model;
  if (node?.data !== 'complete' || !primary) return;
  const isReplica = node !== primary && node.standbySignal;
  const slot = primary.slots.find(({ name }) => name === slotName(node.name));
  switch (what) {
    case 'stopped':
    case 'crashed':
      if (node.container !== 'running') return;
      if (what === 'stopped') shutDown(node);
      else node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'stopped';
      return;
    case 'container removed':
      if (node.container === 'running')
        node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'none';
      return;
    case 'container outdated':
      node.containerCurrent = false;
      return;
    case 'slot lost':
      if (!slot || !isReplica) return;
      slot.lost = true;
      primary.oldest = node.lsn + 1;
      primary.lsn += 10;
      return;
    case 'slot dropped':
      if (!isReplica) return;
      primary.slots = primary.slots.filter((other) => other !== slot);
      primary.lsn += 10;
      if (number % 2 === 0) removeWal(model, node);
      return;
    case 'clone unfinished':
    case 'data lost':
      if (!isReplica) return;
      blank(node, what === 'data lost' ? 'absent' : 'partial');
      return;
    case 'unmounted':
    case 'terminated':
      if (node.container === 'running')
        node.state = node.inRecovery ? 'in archive recovery' : 'in production';
      node.container = 'none';
      node.mounted = false;
      node.hostReady = what === 'unmounted';
      // They are on the root volume.
      if (what === 'terminated') {
        node.hasTools = false;
        node.files = { ...node.files, pgbackrestConf: null, backupJson: null };
      }
      return;
    case 'file not read':
      node.loaded = false;
      return;
    case 'fenced':
      if (node === primary) node.standbySignal = true;
      return;
    case 'replaying slowly':
      if (!model.isStreaming(node)) return;
      node.replaySpeed = 0.25;
      primary.lsn += 100;
      return;
  }
}

/** Removes the WAL that a node without a slot needs next, unless the slot of another one keeps it. */
function removeWal(model: ModelCluster, node: ModelNode): void {
  const { primary } = model;
  if (!primary) return;
  const isKept = primary.slots.some(({ name, lost }) => {
    const other = [...model.nodes.values()].find((one) => slotName(one.name) === name);
    return !lost && other?.data === 'complete' && other.lsn <= node.lsn;
  });
  if (!isKept) primary.oldest = node.lsn + 1;
}

/** Takes a node its data, and its container. */
export function blank(node: ModelNode, data: 'absent' | 'partial'): void {
  Object.assign(node, { container: 'none', data, standbySignal: false, lsn: 0, slots: [] });
}
