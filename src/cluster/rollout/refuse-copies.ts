import { formatBytes } from '../../messages/quantities.ts';
import { type DesiredCluster, findNode } from '../desired.ts';
import {
  type FileSystemObservation,
  type KeptDirectory,
  type NodeObservation,
  sumKept,
} from '../observation.ts';
import { isCopying } from '../replication.ts';
import { GIB } from '../spec.ts';
import { estimateCopy } from './copies.ts';
import type { Step } from './step.ts';

/** Room for the WAL that is written while a copy runs, as a share of the copy. */
const WAL_SHARE = 0.05;
/** What a file system needs of the space by which its device grows. */
const METADATA_SHARE = 0.02;

/**
 * Refuses to initialise a new cluster while a copy runs, or is complete: it shows that there was a cluster, and may be all
 * that is left of it.
 */
export function refuseOrphanedCopy(observed: readonly NodeObservation[]): string[] {
  if (observed.some(({ data }) => data === 'complete' || data === 'unrecorded')) return [];
  const copied = observed.filter((node) => isCopying(node) && node.work?.kind === 'clone');
  return copied.map(({ name, work }) => {
    const state = work?.state === 'done' ? 'is complete' : 'has not ended';
    return `${name} holds a copy of ${work?.source ?? 'a node'} that ${state}, and no node holds the data it was made from, so a new cluster is not initialised. Bring the volume of the node that was copied back. If the data is really to be given up, delete what is on the data volume of ${name} first.`;
  });
}

/** A copy that does not fit on its node, and why with every way out. */
export interface UnfitCopy {
  readonly node: string;
  readonly reason: string;
}

/**
 * Refuses copies that do not fit on their nodes, before anything is stopped. A size that is not known refuses nothing: the
 * node looks again before it begins.
 */
export function refuseUnfitCopies(
  observed: readonly NodeObservation[],
  { steps, desired }: { steps: readonly Step[]; desired: DesiredCluster },
): UnfitCopy[] {
  return steps.flatMap((step) => {
    if (step.kind !== 'clone') return [];
    const { source, neededBytes } = step;
    return step.nodes.flatMap((name) => {
      const node = observed.find((one) => one.name === name);
      const copy = neededBytes[name];
      if (node === undefined || copy === undefined || goesOn(node, source, desired)) return [];
      const reasons = explainUnfit(node, { source, copy, desired });
      return reasons.map((reason) => ({ node: name, reason }));
    });
  });
}

/**
 * Refuses to give `node` a blank data volume of `dataGib` GiB if a copy of `source` does not fit on it, before the volume that
 * it has is destroyed.
 */
export function refuseUnfitVolume(
  node: string,
  { source, dataGib }: { source: NodeObservation; dataGib: number },
): string[] {
  const copy = estimateCopy(source) ?? 0;
  const wal = Math.ceil(copy * WAL_SHARE);
  const least = Math.ceil((copy + wal) / (1 - METADATA_SHARE) / GIB);
  if (dataGib >= least) return [];
  return [
    `data-volume-size: a blank data volume of ${dataGib} GiB is too small for ${node}. A copy of ${source.name} takes up to ${formatBytes(copy)}, and ${formatBytes(wal)} for the WAL written meanwhile. Nothing was changed. Give this run the data-volume-size of the last deploy, and at least ${least}.`,
  ];
}

/** Whether the copy of `source` runs on the node already. */
function goesOn(node: NodeObservation, source: string, desired: DesiredCluster): boolean {
  return isCopying(node) && node.work?.source === findNode(desired, source).privateAddress;
}

function explainUnfit(
  node: NodeObservation,
  { source, copy, desired }: { source: string; copy: number; desired: DesiredCluster },
): string[] {
  const { data: volume, kept } = node.storage;
  if (volume === null) return [];
  const wal = Math.ceil(copy * WAL_SHARE);
  // A volume grows before anything is copied to it.
  const device = Math.max(volume.deviceBytes, desired.storage.dataGib * GIB);
  const growth = desired.keepsStorage ? 0 : Math.max(0, device - volume.filesystemBytes);
  const aside = sumKept(kept);
  const own = Math.max(0, volume.usedBytes - aside);
  const hasData = node.data === 'complete' || node.data === 'unrecorded';
  const room = volume.freeBytes + growth + countDeletedFirst(node, own);
  const lacking = copy + wal - room;
  if (lacking <= 0) return [];

  const { name } = node;
  const size = Math.ceil((device + lacking * (1 + METADATA_SHARE)) / GIB);
  const ways = [
    `Set data-volume-size to at least ${size}`,
    ...(aside >= lacking
      ? [
          `run the action with command: discard and discard: ${name}, which deletes ${listKept(kept)}`,
        ]
      : hasData && aside + own >= lacking
        ? [
            `run the action with command: discard, discard: ${name} and discard-data: true, which deletes ${aside > 0 ? `${listKept(kept)} and ` : ''}the present data (${formatBytes(own)}) before the copy begins`,
          ]
        : []),
    ...(fitsOnBlank(volume, { growth, needed: copy + wal })
      ? [
          `run the action with command: replace, replace: ${name} and replace-volume: true, which gives it a blank data volume`,
        ]
      : []),
  ];
  const beside = hasData ? ' beside the present data, which is kept until the copy streams' : '';
  return [
    `${name}: a copy of ${source} takes up to ${formatBytes(copy)}, and ${formatBytes(wal)} for the WAL written meanwhile, and its data volume has room for ${formatBytes(room)}${beside}. Nothing was changed. ${ways.join('; or ')}. Then deploy again.`,
  ];
}

/** What a new copy deletes before it begins: incomplete data, whose size is what the volume holds besides what was set aside. */
function countDeletedFirst(node: NodeObservation, own: number): number {
  if (node.data === 'partial') return own;
  return isCopying(node) ? Math.min(own, node.work?.doneBytes ?? 0) : 0;
}

function fitsOnBlank(
  { capacityBytes }: FileSystemObservation,
  { growth, needed }: { growth: number; needed: number },
): boolean {
  return capacityBytes + growth >= needed;
}

function listKept(kept: readonly KeptDirectory[]): string {
  return kept
    .map(
      ({ name, bytes, formerPrimary }) =>
        `${name} (${formatBytes(bytes)}${formerPrimary ? ', data of a former primary that may hold rows no other node has' : ''})`,
    )
    .join(' and ');
}
