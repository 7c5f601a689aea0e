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
/** Written per node beside the settings; not the team's to remove. */
export const IDENTITY_SETTINGS: readonly string[] = [
  'cluster_name',
  'primary_conninfo',
  'primary_slot_name',
];

/** The settings that the stages of a rollout run with. */
export interface NodeSettings {
  /** What every node ends with. */
  readonly final: Settings;
  /**
   * A replica's meanwhile: the final ones, but none that a replica needs at least as large as its primary
   * below what the primary runs with now.
   */
  readonly replica: Settings;
  /** The primary's meanwhile: the final ones, with those that must not change before the replicas are ready as they are. */
  readonly primary: Settings;
}

/** The settings of each stage, from what the team asks for and what `primary` and `replicas` run with. */
export function computeNodeSettings(
  desired: DesiredCluster,
  primary: NodeObservation,
  replicas: readonly NodeObservation[] = [],
): NodeSettings {
  const current = readSensitive(primary);
  const final = completeSensitive(
    {
      ...mergeSettings(desired.settings),
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
    // A commit must not wait for replicas that are yet to come.
    primary: { ...final, ...Object.fromEntries(kept), [SYNCHRONOUS]: readSynchronous(primary) },
  };
}

/**
 * The targets of a rollout in which no server may restart: what only a restart changes is what `primary` runs with, in
 * the files as well, since a server that is started by somebody else must come up as it was. A commit waits for more
 * than before only where `replicas`, how many can be reached, are enough for that.
 */
export function deferRestarts(
  { final }: NodeSettings,
  primary: NodeObservation,
  { replicas }: { replicas: number },
): NodeSettings {
  const held: Record<string, string> = { ...final };
  for (const { name } of findRestartReasons(primary, final)) {
    const running = primary.postgres?.settings[name];
    // Without a unit it is in the base unit, as the server gives it.
    if (running?.fromFile) held[name] = running.setting;
    else delete held[name];
  }
  const current = readSynchronous(primary);
  const quorum = readQuorum(final[SYNCHRONOUS] ?? '');
  if (quorum > readQuorum(current) && quorum > replicas) held[SYNCHRONOUS] = current;
  return { final: held, replica: held, primary: { ...held, [SYNCHRONOUS]: current } };
}

/**
 * From PostgreSQL 17 on replicas keep copies of the primary's failover slots (manual, 47.2.3 "Replication Slot
 * Synchronization"), where the servers write WAL that slots can be decoded from. A server whose own wal_level is lower is
 * not told to: early releases of 17 end over it.
 */
function copySlots(desired: DesiredCluster, members: readonly NodeObservation[]): Settings {
  const { wal_level = '' } = mergeSettings(desired.settings);
  const { hot_standby_feedback: feedback = 'on' } = desired.settings;
  const copies =
    readMajor(desired, members) >= 17 &&
    readWalLevel(wal_level) === 'logical' &&
    parseBoolean(feedback) === true &&
    members.every(isLogical);
  return copies ? { sync_replication_slots: 'on', hot_standby_feedback: 'on' } : {};
}

/** PostgreSQL's major version; 0 where nothing tells. */
function readMajor({ image }: DesiredCluster, members: readonly NodeObservation[]): number {
  const version = members.find(({ postgres }) => postgres !== null)?.postgres?.version ?? 0;
  const recorded = members.find(({ record }) => record !== null)?.record?.major;
  return Math.floor(version / 10_000) || (recorded ?? majorOfTag(splitReference(image).tag) ?? 0);
}

/** It runs with wal_level = logical, or comes up with whatever file it is given. */
function isLogical(node: NodeObservation): boolean {
  const levels = [node.postgres?.settings.wal_level?.setting, node.overrides.wal_level];
  return levels.every((level) => level === undefined || readWalLevel(level) === 'logical');
}

/**
 * Quorum commit (PostgreSQL manual, 19.6.2 `synchronous_standby_names`). Every node lists all, itself
 * included, so that the value is the same whichever is primary: no node is ever its own replica.
 */
export function renderSynchronous({
  synchronousReplicas,
  nodes,
}: Pick<DesiredCluster, 'synchronousReplicas' | 'nodes'>): string {
  if (synchronousReplicas === 0) return '';
  return `ANY ${synchronousReplicas} (${nodes.map(({ name }) => slotName(name)).join(', ')})`;
}

/**
 * How many replicas a commit waits for with that value of `synchronous_standby_names`, in any of the forms that
 * ALTER SYSTEM may have left there: `ANY 1 (…)`, `FIRST 2 (…)`, `2 (…)` and `node_2, node_3`, which waits for one.
 */
export function readQuorum(names: string): number {
  if (names.trim() === '') return 0;
  return Number(/^\s*(?:ANY\s+|FIRST\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);
}

/** The value that `primary` waits by now, or will when it starts. */
export function readSynchronous(primary: NodeObservation): string {
  return readCurrent(primary, SYNCHRONOUS) ?? '';
}

/** Every value of `synchronous_standby_names` that a node has: in force, in its file, and by ALTER SYSTEM. */
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

/** Whether a replica with these settings runs below what `settings` ask of any setting it must not be below in. */
export function isBelow(node: NodeObservation, settings: Settings): boolean {
  return findSettingsBelow(node, settings).length > 0;
}

/** Returns the settings that a replica must not have below its primary's, and has below `settings`. */
export function findSettingsBelow(node: NodeObservation, settings: Settings): SettingReason[] {
  const current = readSensitive(node);
  return HOT_STANDBY_SENSITIVE.flatMap((name): SettingReason[] => {
    const [before, after] = [current[name], settings[name]];
    if (before === undefined || after === undefined || Number(before) >= Number(after)) return [];
    return [{ kind: 'setting', name, before, after }];
  });
}

/** Whether both say the same of every setting. */
export function isEqual(a: Settings, b: Settings): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
}

/** The hot-standby-sensitive settings a node runs with, or, when it stands still, last ran with. */
function readSensitive(node: NodeObservation): Settings {
  const entries = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    // A node that never ran has no past to keep.
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

/** What they are where nobody sets them, the same in every supported major (PostgreSQL manual, chapter 19). */
const SENSITIVE_DEFAULTS: Settings = {
  max_connections: '100',
  max_locks_per_transaction: '64',
  max_prepared_transactions: '0',
  max_wal_senders: '10',
  max_worker_processes: '8',
};

/**
 * The target with every hot-standby-sensitive setting in it that the primary's file sets or that ALTER SYSTEM
 * holds up: one that the team removed counts with its default, and one that no file can bring down on the
 * primary must not be lower on its replicas.
 */
function completeSensitive(target: Settings, primary: NodeObservation): Settings {
  const entries = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    const fallback = isInFile(primary, name) ? SENSITIVE_DEFAULTS[name] : undefined;
    const wanted = target[name] ?? fallback;
    const held = readOverride(primary, name);
    if (held !== null && held > Number(wanted ?? 0)) return [[name, String(held)] as const];
    return wanted === undefined ? [] : [[name, wanted] as const];
  });
  return { ...target, ...Object.fromEntries(entries) };
}

/** The larger of what a server runs with and what ALTER SYSTEM has for its next start; null where nothing overrides. */
function readOverride({ postgres, overrides }: NodeObservation, name: string): number | null {
  const override = overrides[name];
  if (override === undefined) return null;
  return Math.max(Number(postgres?.settings[name]?.setting ?? 0), Number(override));
}

/**
 * The settings that ALTER SYSTEM has a replica start with above `settings`, of those that replicas need at least as
 * large as their primary: were it the primary, the others would pause.
 */
export function findOverridesAbove(node: NodeObservation, settings: Settings): string[] {
  return HOT_STANDBY_SENSITIVE.filter((name) => {
    const held = readOverride(node, name);
    return held !== null && held > Number(settings[name] ?? SENSITIVE_DEFAULTS[name]);
  });
}

/** Those that it has a node start with below `settings`, or below any of `members` where these do not say. */
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
