import { isNodeSlot } from '../node.ts';
import type { ControlObservation, NodeObservation } from '../observation.ts';
import { HOT_STANDBY_SENSITIVE, type Settings } from '../settings/settings.ts';
import { createSettingsInForce, DEFAULTS } from './fixtures.ts';
import type { ModelCopy } from './model-copies.ts';

// One server of the model, and the rules of PostgreSQL that concern it alone.

/** A volume of the model; sizes in GiB. */
export interface ModelVolume {
  device: number;
  /** 0: blank. */
  filesystem: number;
}

/** One node of the model: its disk, and its server. */
export interface ModelNode {
  readonly name: string;
  readonly address: string;
  instanceType: string;
  hostReady: boolean;
  /** Whether the programs for backups are installed. */
  hasTools: boolean;
  /** Its volumes, and the file systems on them. */
  volumes: { data: ModelVolume; root: ModelVolume };
  mounted: boolean;
  data: NodeObservation['data'];
  /** Whose data it is and how far its WAL reaches; positions are in MiB. */
  standbySignal: boolean;
  timeline: number;
  lsn: number;
  /** How far it has replayed; on a primary its own position. */
  replayed: number;
  /** MiB that it replays while the primary writes 1; null: all that it receives. */
  replaySpeed: number | null;
  /** The position in its control file: on a replica it may be as old as its clone, or its time as primary. */
  checkpoint: { timeline: number; lsn: number };
  history: { timeline: number; end: number }[];
  /** The state in its control file. */
  state: ControlObservation['state'];
  /** Sensitive settings of the primary whose WAL it has replayed. */
  required: Settings;
  image: string;
  file: Settings;
  /** What ALTER SYSTEM wrote into the data directory: it overrides the file, and clones copy it. */
  auto: Settings;
  /** Names that were in a file when the server started. */
  fileAtStart: readonly string[];
  upstream: string | null;
  files: NodeObservation['files'];
  loaded: boolean;
  container: 'none' | 'stopped' | 'running';
  containerCurrent: boolean;
  inRecovery: boolean;
  settings: Settings;
  slots: { name: string; lost: boolean }[];
  /** Slots of consumers; `synced`: a replica's copy of its primary's slot. */
  logicalSlots: { name: string; failover: boolean; synced: boolean }[];
  /** Start of a primary's oldest WAL. */
  oldest: number;
  /** How often its data was moved aside, and not deleted. */
  movedAside: number;
  /** Whether it is connected and receives nothing for now. */
  delayed: boolean;
  /** How far the WAL of a copy in progress reaches; null without one. */
  copied: number | null;
  /** The copy to this node that runs, or ended and was not collected; null without one. */
  copy: ModelCopy | null;
}

/** A rule that a step broke. */
export class Violation extends Error {}

/** Reloads the configuration: every setting that needs no restart takes its new value. */
export function load(node: ModelNode): void {
  node.loaded = true;
  const names = new Set([...Object.keys(node.file), ...Object.keys(node.settings)]);
  for (const name of names) {
    if (isRestartOnly(name)) continue;
    const value = node.auto[name] ?? node.file[name] ?? DEFAULTS[name] ?? '';
    node.settings = { ...node.settings, [name]: value };
  }
  requireLogical(node);
}

/** Drops what a replica keeps from its time as primary. PostgreSQL may skip the restartpoint, so the model always does. */
export function settle(node: ModelNode): void {
  node.slots = node.slots.filter(({ name }) => !isNodeSlot(name));
  node.logicalSlots = node.logicalSlots.filter(({ synced }) => synced);
}

/** Stops the container, after a clean shutdown if the server runs. */
export function halt(node: ModelNode): void {
  if (node.container === 'running') shutDown(node);
  node.container = 'stopped';
}

/** Throws if a replica would pause: a setting is below its primary's (PostgreSQL manual, 26.4.3). */
export function requireNotBelow(node: ModelNode): void {
  for (const name of HOT_STANDBY_SENSITIVE) {
    if (Number(node.settings[name]) < Number(node.required[name] ?? 0)) {
      throw new Violation(
        `${node.name} pauses: ${name} is ${node.settings[name]}, its primary's ${node.required[name]}`,
      );
    }
  }
}

/** Copies the primary's failover slots to a replica that is configured for it (PostgreSQL manual, 47.2.3). */
export function copySlots(primary: ModelNode, replica: ModelNode): void {
  const { sync_replication_slots: syncs, hot_standby_feedback: feedback } = replica.settings;
  if (syncs !== 'on' || feedback !== 'on') return;
  // It logs in to a database for that.
  if (!/ dbname=/.test(replica.files.postgresqlConf ?? '')) return;
  if (!/^host postgres replicator /m.test(primary.files.pgHba ?? '')) return;
  const own = replica.logicalSlots.filter(({ synced }) => !synced);
  const copied = primary.logicalSlots.filter(
    ({ name, failover }) => failover && !own.some((slot) => slot.name === name),
  );
  replica.logicalSlots = [...own, ...copied.map((slot) => ({ ...slot, synced: true }))];
}

/** Without wal_level = logical, PostgreSQL does not start with logical slots; early releases of 17 exit in the last case. */
export function requireLogical(node: ModelNode): void {
  if (node.settings.wal_level === 'logical') return;
  if (node.logicalSlots.length > 0)
    throw new Violation(`${node.name} does not start: logical slots`);
  if (node.inRecovery && node.settings.sync_replication_slots === 'on') {
    throw new Violation(`${node.name} ends: it cannot copy slots`);
  }
}

/** Writes the present timeline and position into the control file. */
export function writeCheckpoint(node: ModelNode): void {
  node.checkpoint = { timeline: node.timeline, lsn: node.lsn };
}

/** Shuts a server down cleanly. A replica writes no restartpoint if its primary has written no checkpoint since. */
export function shutDown(node: ModelNode): void {
  node.state = node.inRecovery ? 'shut down in recovery' : 'shut down';
  if (!node.inRecovery) writeCheckpoint(node);
}

/** Returns the settings with each at least as large as in `required`. */
export const raise = (settings: Settings, required: Settings): Settings => ({
  ...settings,
  ...Object.fromEntries(
    Object.entries(required).filter(
      ([name, value]) => Number(value) > Number(settings[name] ?? DEFAULTS[name]),
    ),
  ),
});

/** Whether a setting takes effect only after a restart. */
export const isRestartOnly = (name: string): boolean =>
  createSettingsInForce({ [name]: '' })[name]?.context === 'postmaster';

/** Returns the settings that a replica compares with its primary's, with their defaults. */
export function sensitiveOf(settings: Settings): Settings {
  return Object.fromEntries(
    HOT_STANDBY_SENSITIVE.map((name) => [name, settings[name] ?? DEFAULTS[name] ?? '0']),
  );
}

/** A blank node. */
export function createModelNode(
  overrides: Partial<ModelNode> & Pick<ModelNode, 'name' | 'address' | 'instanceType'>,
): ModelNode {
  return {
    hostReady: false,
    hasTools: false,
    volumes: { data: { device: 20, filesystem: 0 }, root: { device: 16, filesystem: 16 } },
    mounted: false,
    data: 'absent',
    standbySignal: false,
    timeline: 1,
    lsn: 0,
    replayed: 0,
    replaySpeed: null,
    checkpoint: { timeline: 1, lsn: 0 },
    history: [],
    state: 'shut down',
    required: {},
    image: '',
    file: {},
    auto: {},
    fileAtStart: [],
    upstream: null,
    files: { postgresqlConf: null, pgHba: null, pgbackrestConf: null, backupJson: null },
    loaded: true,
    container: 'none',
    containerCurrent: true,
    inRecovery: false,
    settings: DEFAULTS,
    slots: [],
    logicalSlots: [],
    oldest: 0,
    movedAside: 0,
    delayed: false,
    copied: null,
    copy: null,
    ...overrides,
  };
}
