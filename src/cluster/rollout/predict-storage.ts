import { type FileSystemObservation, type NodeObservation, sumKept } from '../observation.ts';
import { GIB } from '../spec.ts';
import type { StepOf } from './step.ts';

// What a step makes of the volumes of one node, as the next observation would report it.

/** Returns a node whose file systems fill volumes of the step's sizes. */
export function growFileSystems(
  node: NodeObservation,
  { dataGib, rootGib }: StepOf<'grow'>,
): NodeObservation {
  const { data, root } = node.storage;
  return {
    ...node,
    storage: {
      ...node.storage,
      data: data && fill(data, dataGib * GIB),
      root: root && fill(root, rootGib * GIB),
    },
  };
}

function fill(found: FileSystemObservation, deviceBytes: number): FileSystemObservation {
  if (found.deviceBytes > deviceBytes) return found;
  const more = Math.max(0, deviceBytes - found.filesystemBytes);
  return {
    deviceBytes,
    filesystemBytes: found.filesystemBytes + more,
    capacityBytes: found.capacityBytes + more,
    usedBytes: found.usedBytes,
    freeBytes: found.freeBytes + more,
  };
}

/** Returns the volume of a node once a copy of that size has replaced its data. */
export function holdCopy({ storage }: NodeObservation, size: number | undefined) {
  const { data, kept } = storage;
  if (data === null || size === undefined) return { ...storage, data: null };
  const usedBytes = size + sumKept(kept);
  const freeBytes = Math.max(0, data.capacityBytes - usedBytes);
  return { ...storage, data: { ...data, usedBytes, freeBytes } };
}

/** Returns a node without the directories, and without the data, that the step deletes. */
export function discard(node: NodeObservation, step: StepOf<'discard'>): NodeObservation {
  const storage = {
    ...node.storage,
    kept: node.storage.kept.filter(
      ({ name }) => !step.directories.some((one) => one.name === name),
    ),
  };
  if (!step.data) return { ...node, storage };
  return {
    ...node,
    storage,
    data: 'absent',
    standby: false,
    record: null,
    container: null,
    overrides: {},
    control: null,
    postgres: null,
  };
}
