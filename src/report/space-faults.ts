import { isNodeSlot, slotName } from '../cluster/node.ts';
import {
  type FileSystemObservation,
  type NodeObservation,
  sumKept,
} from '../cluster/observation.ts';
import type { NodeProof, SpaceUse } from '../cluster/proof.ts';
import { parseInteger } from '../cluster/settings/parse-value.ts';
import { formatBytes } from '../messages/quantities.ts';
import { formatUse, usedPercent } from './capacity.ts';

/**
 * How far a value must fall below its threshold, in percentage points, until an open issue no longer reports it: use
 * that moves around the threshold would open and close an issue every day.
 */
export const SLACK_PERCENT = 5;

/** A slot that has used this much of max_slot_wal_keep_size is reported: there is still time to act. */
const SLOT_ALERT_PERCENT = 80;

/** When space is reported. */
export interface SpaceAlert {
  /** Use of a volume in percent of its capacity. */
  readonly storageAlertPercent: number;
  /** SLACK_PERCENT while an issue is open, otherwise 0. */
  readonly slackPercent?: number;
}

/** Returns the volumes of a node that are nearly full, and the slots that retain too much WAL; sentences of plain text. */
export function describeSpace(node: NodeObservation, alert: SpaceAlert): string[] {
  const { name, storage } = node;
  const isFull = (space: FileSystemObservation | null): space is FileSystemObservation =>
    space !== null && usedPercent(space) >= alert.storageAlertPercent - (alert.slackPercent ?? 0);
  return [
    ...(isFull(storage.data)
      ? [`${describeFullVolume(name, storage.data, alert)} ${explainKept(node)}`.trim()]
      : []),
    ...(isFull(storage.root)
      ? [
          `${name}: ${formatUse(storage.root)} of the root volume are used (storage-alert-percent: ${alert.storageAlertPercent}). Once it is full, neither Docker nor SSH works reliably. Look there for what fills it (df, docker system df, journalctl --disk-usage), or raise root-volume-size.`,
        ]
      : []),
    ...describeSlots(node, alert),
  ];
}

/** Returns that the data volume of the node `name` is nearly full, and the way out; plain text. */
export function describeFullVolume(
  name: string,
  space: SpaceUse,
  { storageAlertPercent }: SpaceAlert,
): string {
  return `${name}: ${formatUse(space)} of the data volume are used (storage-alert-percent: ${storageAlertPercent}). Once it is full, PostgreSQL stops. Raise data-volume-size, which grows it while PostgreSQL runs, or delete data.`;
}

function explainKept({ name, storage: { kept } }: NodeObservation): string {
  return kept.length === 0
    ? ''
    : `${formatBytes(sumKept(kept))} of it are data directories that were kept; command: discard with discard: ${name} deletes them.`;
}

/**
 * Returns the slots of a node that may fill its data volume, or that are about to be given up.
 *
 * - A slot may fill the volume if it retains as much as is free, so that the same amount does not fit again, and
 *   max_slot_wal_keep_size allows that.
 * - Beyond max_slot_wal_keep_size the next checkpoint deletes WAL that the slot needs (PostgreSQL manual, 19.6.1): the disk
 *   is safe, and the replica has to be cloned again.
 */
function describeSlots({ name, storage, postgres }: NodeObservation, alert: SpaceAlert): string[] {
  const slack = (alert.slackPercent ?? 0) / 100;
  const limit = readLimit(postgres?.settings.max_slot_wal_keep_size);
  const free = storage.data?.freeBytes ?? null;
  return (postgres?.slots ?? []).flatMap((slot) => {
    const { retainedBytes: bytes, walStatus } = slot;
    if (bytes === 0 || walStatus === 'lost') return [];
    const owner = isNodeSlot(slot.name) ? slot.name.replace('_', '-') : null;
    const begin = `${name}: the slot ${slot.name} retains ${formatBytes(bytes)} of WAL on the data volume`;
    const wayOut =
      owner === null
        ? `Let its consumer read, or drop the slot: SELECT pg_drop_replication_slot('${slot.name}').`
        : `Bring ${owner} back, or lower replica-count so that its slot is dropped.`;
    if (free !== null && bytes >= free * (1 - slack) && (limit === null || limit - bytes >= free)) {
      const bound =
        limit === null
          ? 'max_slot_wal_keep_size does not bound it'
          : `max_slot_wal_keep_size lets it retain ${formatBytes(limit)}`;
      return [
        `${begin}, where ${formatBytes(free)} are free, and ${bound}. Once the volume is full, PostgreSQL stops. ${wayOut}`,
      ];
    }
    if (limit !== null && bytes >= limit * (SLOT_ALERT_PERCENT / 100 - slack)) {
      const loss =
        owner === null
          ? 'its consumer loses changes'
          : `${owner} can no longer follow and is cloned again`;
      return [
        `${begin}, and max_slot_wal_keep_size allows ${formatBytes(limit)}. Beyond that, PostgreSQL deletes WAL that the slot needs, and ${loss}. ${wayOut}`,
      ];
    }
    return [];
  });
}

/**
 * Returns the same for a proved cluster: without the slots of replicas that stream by now, as what these retain is sent
 * next. `observed`: the nodes before the last steps.
 */
export function describeIdleSlots(
  observed: readonly NodeObservation[],
  { proof, ...alert }: SpaceAlert & { proof: readonly NodeProof[] },
): string[] {
  const streaming = proof.filter(({ state }) => state === 'streaming');
  const served = new Set(streaming.map(({ name }) => slotName(name)));
  return observed.flatMap((node) => {
    const slots = node.postgres?.slots.filter(({ name }) => !served.has(name)) ?? [];
    return describeSlots(
      { ...node, postgres: node.postgres && { ...node.postgres, slots } },
      alert,
    );
  });
}

/** Returns max_slot_wal_keep_size in bytes; null without a limit. */
function readLimit(row: { setting: string; unit: string | null } | undefined): number | null {
  const megabytes = row === undefined ? null : parseInteger(row.setting, row.unit);
  return megabytes === null || megabytes < 0 ? null : megabytes * 1024 ** 2;
}
