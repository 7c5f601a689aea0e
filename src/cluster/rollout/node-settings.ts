import { readConfSetting } from '../configuration.ts';
import type { DesiredCluster } from '../desired.ts';
import { slotName } from '../node.ts';
import type { NodeObservation } from '../observation.ts';
import { showSetting } from '../settings/check.ts';
import { parseBoolean } from '../settings/parse-value.ts';
import { readWalLevel } from '../settings/reserved.ts';
import {
  HOT_STANDBY_SENSITIVE,
  isInForce,
  mergeSettings,
  type SettingInForce,
  type Settings,
} from '../settings/settings.ts';
import { majorOfTag, splitReference } from '../spec.ts';
import type { SettingReason } from './reason.ts';

const SYNCHRONOUS = 'synchronous_standby_names';
/** Settings that are written for each node; the team cannot remove them. */
export const IDENTITY_SETTINGS: readonly string[] = [
  'cluster_name',
  'primary_conninfo',
  'primary_slot_name',
];

/** The settings that each node is to run with, at the end of a rollout and until then. */
export interface NodeSettings {
  /** The settings of every node at the end. */
  readonly final: Settings;
  /**
   * The settings of a replica until then: the final ones, with no hot-standby-sensitive setting below what the primary
   * runs with now.
   */
  readonly replica: Settings;
  /** The settings of the primary until then: the final ones, except those that must not change before the replicas are ready. */
  readonly primary: Settings;
}

/** Returns the settings of the nodes, from what the team asks for and what `primary` and `replicas` run with. */
export function computeNodeSettings(
  desired: DesiredCluster,
  primary: NodeObservation,
  replicas: readonly NodeObservation[] = [],
): NodeSettings {
  const current = readSensitive(primary);
  const final = completeSensitive(
    {
      ...mergeSettings(desired.settings, desired.storage),
      ...copySlots(desired, [primary, ...replicas]),
      [SYNCHRONOUS]: renderSynchronous(desired),
    },
    primary,
  );
  const kept = Object.entries(current).filter(([name]) => name in final);
  const raised = kept.filter(([name, value]) => Number(value) > Number(final[name]));
  return {
    final,
    replica: { ...final, ...Object.fromEntries(raised) },
    // A commit must not wait for replicas that do not exist yet.
    primary: { ...final, ...Object.fromEntries(kept), [SYNCHRONOUS]: readSynchronous(primary) },
  };
}

/**
 * Returns the settings for a rollout in which no server may restart. What only a restart changes stays what `primary` runs
 * with, in the files as well: a server that is started outside this run must start as it was. A commit waits for more
 * replicas than before only if `replicas`, the number of reachable ones, is enough.
 */
export function deferRestarts(
  { final }: NodeSettings,
  primary: NodeObservation,
  { replicas }: { replicas: number },
): NodeSettings {
  const held: Record<string, string> = { ...final };
  for (const { name } of findRestartReasons(primary, final)) {
    const running = primary.postgres?.settings[name];
    // A value without a unit counts in the base unit, as the server reports it.
    if (running?.fromFile) held[name] = running.setting;
    else delete held[name];
  }
  const current = readSynchronous(primary);
  const quorum = readQuorum(final[SYNCHRONOUS] ?? '');
  if (quorum > readQuorum(current) && quorum > replicas) held[SYNCHRONOUS] = current;
  return { final: held, replica: held, primary: { ...held, [SYNCHRONOUS]: current } };
}

/**
 * Returns the settings that make replicas copy the primary's failover slots, from PostgreSQL 17 on (manual, 47.2.3
 * "Replication Slot Synchronization") and with wal_level = logical. A server with a lower wal_level is not configured for
 * it: early releases of 17 exit.
 */
function copySlots(desired: DesiredCluster, members: readonly NodeObservation[]): Settings {
  const { wal_level = '' } = mergeSettings(desired.settings, desired.storage);
  const { hot_standby_feedback: feedback = 'on' } = desired.settings;
  const copies =
    readMajor(desired, members) >= 17 &&
    readWalLevel(wal_level) === 'logical' &&
    parseBoolean(feedback) === true &&
    members.every(isLogical);
  return copies ? { sync_replication_slots: 'on', hot_standby_feedback: 'on' } : {};
}

/** Returns PostgreSQL's major version; 0 where unknown. */
function readMajor({ image }: DesiredCluster, members: readonly NodeObservation[]): number {
  const version = members.find(({ postgres }) => postgres !== null)?.postgres?.version ?? 0;
  const recorded = members.find(({ record }) => record !== null)?.record?.major;
  return Math.floor(version / 10_000) || (recorded ?? majorOfTag(splitReference(image).tag) ?? 0);
}

/** Whether the node runs with wal_level = logical, or starts with it once its file says so. */
function isLogical(node: NodeObservation): boolean {
  const levels = [node.postgres?.settings.wal_level?.setting, node.overrides.wal_level];
  return levels.every((level) => level === undefined || readWalLevel(level) === 'logical');
}

/**
 * Returns the value for quorum commit (PostgreSQL manual, 19.6.2 `synchronous_standby_names`). It lists all nodes, so that
 * it is the same on every primary: no node is its own replica.
 */
export function renderSynchronous({
  synchronousReplicas,
  nodes,
}: Pick<DesiredCluster, 'synchronousReplicas' | 'nodes'>): string {
  if (synchronousReplicas === 0) return '';
  return `ANY ${synchronousReplicas} (${nodes.map(({ name }) => slotName(name)).join(', ')})`;
}

/**
 * Returns how many replicas a commit waits for with this value of `synchronous_standby_names`, in any form that ALTER
 * SYSTEM may have set: `ANY 1 (…)`, `FIRST 2 (…)`, `2 (…)` and `node_2, node_3`, which waits for one.
 */
export function readQuorum(names: string): number {
  if (names.trim() === '') return 0;
  return Number(/^\s*(?:ANY\s+|FIRST\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);
}

/** Returns the value that `primary` runs with, or will start with. */
export function readSynchronous(primary: NodeObservation): string {
  return readCurrent(primary, SYNCHRONOUS) ?? '';
}

/** Returns every value of `synchronous_standby_names` on a node: in force, in its file, and by ALTER SYSTEM. */
export function listSynchronous(node: NodeObservation): string[] {
  const values = [
    node.postgres?.settings[SYNCHRONOUS]?.setting,
    readFile(node, SYNCHRONOUS),
    node.overrides[SYNCHRONOUS],
  ];
  return values.filter((value) => value !== undefined && value !== null);
}

/**
 * Returns the settings for which a running server has to restart to run with `settings`. A setting of its file that is
 * not in `settings` goes back to its default.
 *
 * Settings that a reload changes are not compared one by one: a server that has read the wanted file runs with what is
 * in it, however the file spells it.
 */
export function findRestartReasons(
  { postgres, overrides }: NodeObservation,
  settings: Settings,
): SettingReason[] {
  return Object.entries(postgres?.settings ?? {})
    .filter(([name, inForce]) => {
      if (name in overrides || inForce.context !== 'postmaster') return false;
      const isRemoved = !(name in settings);
      if (isRemoved && (!inForce.fromFile || IDENTITY_SETTINGS.includes(name))) return false;
      return !isInForce(settings[name] ?? inForce.default ?? '', inForce);
    })
    .map(([name, inForce]) => buildSettingReason(name, inForce, settings));
}

function buildSettingReason(
  name: string,
  inForce: SettingInForce,
  settings: Settings,
): SettingReason {
  const after = settings[name] ?? inForce.default;
  return {
    kind: 'setting',
    name,
    before: showSetting(inForce.setting, inForce),
    // A value without a unit counts in the base unit, e.g. 32768 × 8kB.
    after: after === null ? null : showSetting(after, inForce),
  };
}

/** Whether a replica runs below `settings` in a setting that must not be lower than its primary's. */
export function isBelow(node: NodeObservation, settings: Settings): boolean {
  return findSettingsBelow(node, settings).length > 0;
}

/** Returns the hot-standby-sensitive settings that a replica has below `settings`. */
export function findSettingsBelow(node: NodeObservation, settings: Settings): SettingReason[] {
  const current = readSensitive(node);
  return HOT_STANDBY_SENSITIVE.flatMap((name): SettingReason[] => {
    const [before, after] = [current[name], settings[name]];
    if (before === undefined || after === undefined || Number(before) >= Number(after)) return [];
    return [{ kind: 'setting', name, before, after }];
  });
}

/** Whether both have the same value for every setting. */
export function isEqual(a: Settings, b: Settings): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
}

/** Returns the hot-standby-sensitive settings that a node runs with, or last ran with. */
function readSensitive(node: NodeObservation): Settings {
  const entries = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    // A node that never ran has no settings to keep.
    const isNew = node.postgres === null && node.files.postgresqlConf === null;
    const value = readCurrent(node, name) ?? (isNew ? undefined : SENSITIVE_DEFAULTS[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

function readCurrent(node: NodeObservation, name: string): string | null {
  const running = node.postgres?.settings[name]?.setting;
  return running ?? readFile(node, name);
}

function readFile({ files }: NodeObservation, name: string): string | null {
  return readConfSetting(files.postgresqlConf, name);
}

/** The defaults, the same in every supported major (PostgreSQL manual, chapter 19). */
const SENSITIVE_DEFAULTS: Settings = {
  max_connections: '100',
  max_locks_per_transaction: '64',
  max_prepared_transactions: '0',
  max_wal_senders: '10',
  max_worker_processes: '8',
};

/**
 * Adds every hot-standby-sensitive setting that the primary's file sets or that ALTER SYSTEM keeps higher. A setting that
 * the team removed counts with its default, and one that no file can lower on the primary must not be lower on its
 * replicas.
 */
function completeSensitive(settings: Settings, primary: NodeObservation): Settings {
  const entries = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    const fallback = isInFile(primary, name) ? SENSITIVE_DEFAULTS[name] : undefined;
    const wanted = settings[name] ?? fallback;
    const held = readOverride(primary, name);
    if (held !== null && held > Number(wanted ?? 0)) return [[name, String(held)] as const];
    return wanted === undefined ? [] : [[name, wanted] as const];
  });
  return { ...settings, ...Object.fromEntries(entries) };
}

/** Returns the larger of the value in force and ALTER SYSTEM's for the next start; null without an override. */
function readOverride({ postgres, overrides }: NodeObservation, name: string): number | null {
  const override = overrides[name];
  if (override === undefined) return null;
  return Math.max(Number(postgres?.settings[name]?.setting ?? 0), Number(override));
}

/**
 * Returns the hot-standby-sensitive settings that ALTER SYSTEM keeps above `settings` on a replica: if it were the primary,
 * the replay of the others would pause.
 */
export function findOverridesAbove(node: NodeObservation, settings: Settings): string[] {
  return HOT_STANDBY_SENSITIVE.filter((name) => {
    const held = readOverride(node, name);
    return held !== null && held > Number(settings[name] ?? SENSITIVE_DEFAULTS[name]);
  });
}

/** Returns those that it keeps below `settings`, or below any of `members` where `settings` has none. */
export function findOverridesBelow(
  { overrides }: NodeObservation,
  { settings, members }: { settings: Settings; members: readonly NodeObservation[] },
): string[] {
  return HOT_STANDBY_SENSITIVE.filter((name) => {
    const running = members.map(({ postgres }) => Number(postgres?.settings[name]?.setting ?? 0));
    const wanted = Number(settings[name] ?? Math.max(...running));
    return name in overrides && Number(overrides[name]) < wanted;
  });
}

function isInFile(node: NodeObservation, name: string): boolean {
  return node.postgres?.settings[name]?.fromFile ?? readFile(node, name) !== null;
}
