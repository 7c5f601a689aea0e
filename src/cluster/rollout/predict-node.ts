import { type DesiredCluster, findNode, renderFiles } from '../desired.ts';
import { findFurthest } from '../lsn.ts';
import { slotName } from '../node.ts';
import type { NodeObservation, PostgresObservation } from '../observation.ts';
import type { Settings } from '../settings/settings.ts';
import { prepare } from './predict-host.ts';
import { buildSettings, setInForce } from './predict-settings.ts';
import { holdCopy } from './predict-storage.ts';
import type { StepOf } from './step.ts';

// What a step makes of one node, as the next observation would report it.

/** What a prediction is made from. */
interface PredictionContext {
  readonly desired: DesiredCluster;
  readonly nodes: ReadonlyMap<string, NodeObservation>;
}

type Configured = StepOf<'start' | 'restart' | 'initialise' | 'restore' | 'clone'>;

/** Returns a node whose server has shut down cleanly. */
export function shutDown(node: NodeObservation): NodeObservation {
  const { postgres } = node;
  const container = node.container && { ...node.container, state: 'exited' };
  if (postgres === null) return { ...node, container, backup: null };
  const state = postgres.inRecovery ? 'shut down in recovery' : 'shut down';
  return {
    ...node,
    container,
    control: { state, timeline: postgres.timeline, lsn: postgres.lsn },
    postgres: null,
    backup: null,
  };
}

/** Returns a node that runs with the step's settings, as the primary or as its replica. */
export function run(
  node: NodeObservation,
  step: Configured,
  context: PredictionContext,
): NodeObservation {
  // A running server keeps what only a restart changes.
  if (step.kind === 'start' && node.postgres !== null) {
    return reload(node, { ...step, kind: 'reload' }, context);
  }
  return node.name === step.primary
    ? runAsPrimary(node, step, context)
    : runAsReplica(node, step, context);
}

/** Returns a node that runs as the primary with the step's settings. */
export function runAsPrimary(
  node: NodeObservation,
  step: Configured,
  { desired, nodes }: PredictionContext,
): NodeObservation {
  const image = step.kind === 'start' ? (node.record?.image ?? desired.image) : desired.image;
  return {
    ...start(node, step, desired),
    data: 'complete',
    standby: false,
    record: node.record && { ...node.record, image },
    postgres: {
      ...buildPostgres(node, step.settings, nodes),
      // The slots of a stopped server are not known: it may have those of nodes that leave.
      slots:
        node.postgres?.slots ??
        openSlots(
          [],
          desired.leaving.map(({ name }) => slotName(name)),
        ),
      inRecovery: false,
      receiver: null,
      passwordsCurrent: findPasswords(node, step),
    },
  };
}

/** Backups bring the passwords that they were made with. */
function findPasswords({ postgres }: NodeObservation, { kind }: Configured): boolean | null {
  if (kind === 'restore') return false;
  return kind === 'initialise' ? true : (postgres?.passwordsCurrent ?? null);
}

function runAsReplica(
  node: NodeObservation,
  step: Configured,
  { desired, nodes }: PredictionContext,
): NodeObservation {
  const primary = nodes.get(step.primary);
  const image = step.kind === 'restart' ? desired.image : node.record?.image;
  const upstream = findNode(desired, step.primary).privateAddress;
  return {
    ...start(node, step, desired),
    standby: true,
    record: node.record && { ...node.record, image: image ?? node.record.image },
    postgres: {
      ...buildPostgres(node, step.settings, nodes),
      inRecovery: true,
      timeline: primary?.postgres?.timeline ?? 1,
      lsn: primary?.postgres?.lsn ?? '0/0',
      slots: [],
      logicalSlots: (node.postgres?.logicalSlots ?? []).filter(({ leftover }) => !leftover),
      receiver: { status: 'streaming', senderHost: upstream, slotName: slotName(node.name) },
      replayPaused: false,
      passwordsCurrent: null,
    },
  };
}

/** Returns a node with a fresh copy of the source's data that runs as the primary's replica. */
export function clone(
  node: NodeObservation,
  step: StepOf<'clone'>,
  context: PredictionContext,
): NodeObservation {
  const { record = null, overrides = {} } = context.nodes.get(step.source) ?? {};
  const storage = holdCopy(node, step.neededBytes[node.name]);
  const copied = {
    ...prepare(node),
    storage,
    data: 'complete' as const,
    record,
    overrides,
    postgres: null,
  };
  return runAsReplica(copied, step, context);
}

function start(node: NodeObservation, step: Configured, desired: DesiredCluster): NodeObservation {
  return {
    ...node,
    container: { state: 'running', current: true },
    files: { ...node.files, ...renderFiles(desired, { node: node.name, ...step }) },
    control: null,
  };
}

/** Returns what a server reports that was just started with `settings`. */
function buildPostgres(
  node: NodeObservation,
  settings: Settings,
  nodes: ReadonlyMap<string, NodeObservation>,
): PostgresObservation {
  const before = node.postgres;
  return {
    inRecovery: false,
    systemIdentifier: before?.systemIdentifier ?? node.record?.systemIdentifier ?? '',
    timeline: before?.timeline ?? node.control?.timeline ?? 1,
    history: before?.history ?? [],
    oldestLsn: before?.oldestLsn ?? '0/0',
    version: before?.version ?? 0,
    slots: before?.slots ?? [],
    logicalSlots: before?.logicalSlots ?? [],
    senders: [],
    receiver: null,
    archiver: before?.archiver ?? null,
    weakCommits: before?.weakCommits ?? [],
    replayPaused: false,
    lsn: before?.lsn ?? node.control?.lsn ?? '0/0',
    passwordsCurrent: null,
    collations: before?.collations ?? [],
    imageLacks: before?.imageLacks ?? null,
    filesLoaded: true,
    settings: setInForce(buildSettings(node, settings, [...nodes.values()]), {
      settings: { ...settings, ...node.overrides },
      applies: () => true,
    }),
  };
}

/** Returns a node that has read the step's configuration. Settings that need a restart keep their values. */
export function reload(
  node: NodeObservation,
  step: StepOf<'reload'>,
  { desired, nodes }: PredictionContext,
): NodeObservation {
  const { postgres } = node;
  if (postgres === null) return node;
  const isPrimary = node.name === step.primary;
  const upstream = findNode(desired, step.primary).privateAddress;
  return {
    ...node,
    standby: !isPrimary,
    files: { ...node.files, ...renderFiles(desired, { node: node.name, ...step }) },
    postgres: {
      ...postgres,
      // A replica changes to the timeline of its primary.
      timeline:
        (isPrimary ? null : nodes.get(step.primary)?.postgres?.timeline) ?? postgres.timeline,
      filesLoaded: true,
      slots: isPrimary ? postgres.slots : [],
      logicalSlots: postgres.logicalSlots.filter(({ leftover }) => isPrimary || !leftover),
      receiver: isPrimary
        ? null
        : { status: 'streaming', senderHost: upstream, slotName: slotName(node.name) },
      passwordsCurrent: isPrimary ? postgres.passwordsCurrent : null,
      settings: setInForce(postgres.settings, {
        settings: { ...step.settings, ...node.overrides },
        applies: ({ context }) => context !== 'postmaster',
      }),
    },
  };
}

/** Returns a primary with the step's slots and access rules. */
export function admit(
  node: NodeObservation,
  step: StepOf<'admit'>,
  context: PredictionContext,
): NodeObservation {
  const { postgres } = node;
  if (postgres === null) return node;
  const kept = postgres.slots.filter(
    ({ name, walStatus }) => walStatus !== 'lost' && !step.retiredSlots.includes(name),
  );
  return {
    ...reload(node, { ...step, kind: 'reload' }, context),
    postgres: {
      ...postgres,
      slots: openSlots(kept, step.slots),
      passwordsCurrent: true,
      filesLoaded: true,
      settings: setInForce(postgres.settings, {
        settings: { ...step.settings, ...node.overrides },
        applies: ({ context }) => context !== 'postmaster',
      }),
    },
  };
}

/** Returns a replica after its promotion. */
export function promote(
  node: NodeObservation,
  step: StepOf<'switchover' | 'promote'>,
  { desired, nodes }: PredictionContext,
): NodeObservation {
  const { settings } = step;
  const postgres = node.postgres ?? buildPostgres(node, settings, nodes);
  const { timeline } = postgres;
  const lsn = step.kind === 'switchover' ? findEnd(nodes, postgres) : postgres.lsn;
  return {
    ...node,
    standby: false,
    container: { state: 'running', current: node.container?.current ?? true },
    control: null,
    files: {
      ...node.files,
      ...renderFiles(desired, { node: node.name, primary: node.name, settings }),
    },
    postgres: {
      ...postgres,
      lsn,
      inRecovery: false,
      timeline: timeline + 1,
      history: [...postgres.history, { timeline, switchLsn: lsn }],
      receiver: null,
      filesLoaded: true,
      slots: openSlots([], step.slots),
      // Its verifiers were replicated; the former primary was asked whether they are the given ones.
      passwordsCurrent: true,
    },
  };
}

/**
 * Returns where a switchover ends the timeline: at the old primary's last byte, which no replica is past. The nodes were
 * not observed at the same moment, and clients wrote in between.
 */
function findEnd(
  nodes: ReadonlyMap<string, NodeObservation>,
  { timeline, lsn }: PostgresObservation,
): string {
  const servers = [...nodes.values()].flatMap(({ postgres }) => postgres ?? []);
  const same = servers.filter((server) => server.timeline === timeline);
  return findFurthest(
    same.map((server) => server.lsn),
    lsn,
  );
}

function openSlots(
  present: PostgresObservation['slots'],
  names: readonly string[],
): PostgresObservation['slots'] {
  const added = names.filter((name) => !present.some((slot) => slot.name === name));
  return [
    ...present,
    ...added.map((name) => ({ name, active: false, walStatus: 'reserved', retainedBytes: 0 })),
  ];
}
