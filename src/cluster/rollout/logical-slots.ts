import { listSome } from '../../messages/list-some.ts';
import { copiesSlots } from '../configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import type { LogicalSlotObservation, NodeObservation } from '../observation.ts';
import { isRunningPrimary } from '../replication.ts';
import { readWalLevel } from '../settings/reserved.ts';
import { mergeSettings } from '../settings/settings.ts';
import type { Step } from './step.ts';

/** What a change does to a logical slot of the primary. */
export interface SlotFate {
  readonly name: string;
  readonly database: string;
  readonly plugin: string;
  /** Whether a consumer is connected. */
  readonly active: boolean;
  /**
   * `kept`: the primary stays where it is. `synchronised`: the next primary has a copy, where the consumer continues.
   * `lost`: the next primary has no copy. `invalid`: the slot is unusable already.
   */
  readonly fate: 'kept' | 'synchronised' | 'lost' | 'invalid';
}

/**
 * Returns what `steps` do to the logical slots of the running primary; empty without slots or without a primary. Only a
 * switchover loses slots: a restart keeps them. From PostgreSQL 17 on, a slot with `failover` survives a switchover where
 * replicas copy it (manual, 47.2.3).
 */
export function findSlotFates(
  observed: readonly NodeObservation[],
  steps: readonly Step[],
): SlotFate[] {
  const slots = observed.find(isRunningPrimary)?.postgres?.logicalSlots ?? [];
  const move = steps.find(({ kind }) => kind === 'switchover');
  const isCopied = move !== undefined && 'settings' in move && copiesSlots(move.settings);
  const judge = ({ invalid, failover }: LogicalSlotObservation): SlotFate['fate'] => {
    if (invalid) return 'invalid';
    if (move === undefined) return 'kept';
    return failover && isCopied ? 'synchronised' : 'lost';
  };
  return slots.map((slot) => {
    const { name, database, plugin, active } = slot;
    return { name, database, plugin, active, fate: judge(slot) };
  });
}

/** Names that a sentence lists at most. */
const MAX_NAMES = 10;

/**
 * Explains which logical slots `steps` would lose and how to keep them, except by a label; null where they lose none.
 */
export function explainSlotLoss(
  observed: readonly NodeObservation[],
  { steps, desired }: { steps: readonly Step[]; desired: DesiredCluster },
): string | null {
  const primary = observed.find(isRunningPrimary);
  const move = steps.find((step) => step.kind === 'switchover');
  const lost = findSlotFates(observed, steps).filter(({ fate }) => fate === 'lost');
  if (!primary?.postgres || move === undefined || lost.length === 0) return null;
  const one = lost.length === 1;
  const names = listNames(lost);
  return [
    `${primary.name}: logical ${one ? 'slot' : 'slots'} ${names} would be lost with the switchover to ${move.nodes[1]}, and ${one ? 'its consumer' : 'their consumers'} would miss changes without a fresh copy.`,
    describeHowToKeep({ version: primary.postgres.version, isCopied: copiesSlots(move.settings) }),
    ...(staysPossible(primary.name, desired)
      ? [
          `With primary: ${primary.name} the primary is restarted where it is instead, and keeps its slots.`,
        ]
      : []),
    `Or drop the slots that nobody needs: SELECT pg_drop_replication_slot('<name>').`,
  ].join(' ');
}

function describeHowToKeep({ version, isCopied }: { version: number; isCopied: boolean }): string {
  if (version < 170_000) {
    return 'Before PostgreSQL 17 replicas keep no copies of such slots.';
  }
  return isCopied
    ? 'Only slots with failover are copied to the replicas: ALTER SUBSCRIPTION … SET (failover = true) while the subscription is disabled, or make the slot with failover => true.'
    : 'Replicas copy only slots with failover, and only with wal_level = logical everywhere and hot_standby_feedback not off.';
}

/** Whether only a restart moves the primary, so that it stays if it is named as primary. */
function staysPossible(primary: string, { primary: wanted, nodes, instanceType }: DesiredCluster) {
  const node = nodes.find(({ name }) => name === primary);
  if (wanted !== null || node === undefined) return false;
  return instanceType === null || node.instanceType === instanceType;
}

/**
 * A server that has logical slots does not start with a lower wal_level (`RestoreSlotFromDisk` in slot.c). A replica that
 * leaves is not started again; a primary that leaves may be restarted first.
 */
export function refuseLowerLevel(
  observed: readonly NodeObservation[],
  { settings, nodes, storage }: DesiredCluster,
): string[] {
  const { wal_level = '' } = mergeSettings(settings, storage);
  if (readWalLevel(wal_level) === 'logical') return [];
  const onPrimary = observed.find(isRunningPrimary)?.postgres?.logicalSlots ?? [];
  return observed.flatMap((node) => {
    const { name, postgres, overrides } = node;
    const isStarted = nodes.some((other) => other.name === name) || isRunningPrimary(node);
    const isHeld = readWalLevel(overrides.wal_level ?? '') === 'logical';
    if (!postgres || !isStarted || isHeld) return [];
    // A copy goes with the primary's.
    const isCopy = (slot: LogicalSlotObservation) =>
      postgres.inRecovery && slot.synced && onPrimary.some((own) => own.name === slot.name);
    const slots = postgres.logicalSlots.filter((slot) => !isCopy(slot));
    if (slots.length === 0) return [];
    const which = `logical ${slots.length === 1 ? 'slot' : 'slots'} ${listNames(slots)}`;
    return [
      `wal_level: ${name} has ${which} and would not start with wal_level = ${wal_level}. Drop what is not needed (SELECT pg_drop_replication_slot('<name>') on ${name}), or keep wal_level = logical in settings.`,
    ];
  });
}

function listNames(slots: readonly { readonly name: string }[]): string {
  return listSome(
    slots.map(({ name }) => name),
    MAX_NAMES,
  );
}
