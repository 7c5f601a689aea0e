import { type DesiredCluster, findNode, renderFiles } from '../desired.ts';
import { findFurthest } from '../lsn.ts';
import { slotName } from '../node.ts';
import {
  buildFreshObservation,
  type NodeObservation,
  type PostgresObservation,
} from '../observation.ts';
import { findObstacle } from '../replication.ts';
import { HOT_STANDBY_SENSITIVE, type SettingInForce, type Settings } from '../settings/settings.ts';
import type { Step, StepOf } from './step.ts';

/** The nodes that stand, by name. */
export type NodesByName = ReadonlyMap<string, NodeObservation>;

/**
 * What will be observed once `step` is done: the rollout plans its next step from it, and the next run does
 * so from what is really there.
 */
export function predict(view: NodesByName, step: Step, desired: DesiredCluster): NodesByName {
  const next = new Map(view);
  const change = (name: string, bend: (node: NodeObservation) => NodeObservation) => {
    const node = next.get(name);
    if (node) next.set(name, bend(node));
  };
  const world = { desired, view };
  switch (step.kind) {
    case 'provision':
    case 'boot':
    case 'replace':
      for (const name of step.nodes) next.set(name, buildFreshObservation(name));
      break;
    case 'prepare':
      for (const name of step.nodes) change(name, prepare);
      break;
    case 'check':
    case 'resize':
    case 'halt':
      break;
    case 'initialise':
      change(step.nodes[0], (node) => runAsPrimary(prepare(node), step, world));
      break;
    case 'admit':
      // A slot that is made anew does not bring back what its replica lacks: that one is cloned.
      for (const replica of findReplicasToClone(view, step)) {
        change(replica, (node) => ({ ...node, data: 'partial' }));
      }
      change(step.nodes[0], (node) => admit(node, step, world));
      break;
    case 'clone':
      for (const name of step.nodes) change(name, (node) => cloneFromPrimary(node, step, world));
      break;
    case 'start':
    case 'restart':
      for (const name of step.nodes) change(name, (node) => run(node, step, world));
      break;
    case 'reload':
      for (const name of step.nodes) change(name, (node) => reload(node, step, world));
      break;
    case 'stop':
      for (const name of step.nodes)
        change(name, (node) => ({ ...shutDown(node), container: null }));
      break;
    case 'fence':
      change(step.nodes[0], (node) => ({ ...shutDown(node), standby: true }));
      break;
    case 'switchover': {
      const [from, to] = step.nodes;
      const files = renderFiles(desired, { node: from, ...step });
      change(from, (node) => ({ ...shutDown(node), standby: true, files }));
      change(to, (node) => promote(node, step, world));
      break;
    }
    case 'promote':
      change(step.nodes[0], (node) => promote(node, step, world));
      break;
    case 'destroy':
      for (const name of step.nodes) next.delete(name);
      break;
  }
  return next;
}

/** The replicas that can never follow, of those whose slot is made anew. */
function findReplicasToClone(view: NodesByName, { nodes, slots }: StepOf<'admit'>): string[] {
  const primary = view.get(nodes[0]);
  if (!primary) return [];
  const present = primary.postgres?.slots.filter(({ walStatus }) => walStatus !== 'lost') ?? [];
  return [...view.values()]
    .filter((node) => slots.includes(slotName(node.name)))
    .filter((node) => !present.some(({ name }) => name === slotName(node.name)))
    .filter((node) => node.data === 'complete' && findObstacle(node, primary) !== null)
    .map(({ name }) => name);
}

interface PredictionContext {
  readonly desired: DesiredCluster;
  readonly view: NodesByName;
}

type Configured = StepOf<'start' | 'restart' | 'initialise' | 'clone'>;

function prepare(node: NodeObservation): NodeObservation {
  return {
    ...node,
    host: {
      ...node.host,
      dockerVersion: node.host.dockerVersion ?? '',
      dockerReady: true,
      imageReady: true,
      authorizedKeysCurrent: true,
    },
    volume: { ...node.volume, filesystem: node.volume.filesystem ?? 'ext4', ready: true },
  };
}

function shutDown(node: NodeObservation): NodeObservation {
  const { postgres } = node;
  const container = node.container && { ...node.container, state: 'exited' };
  if (postgres === null) return { ...node, container };
  const state = postgres.inRecovery ? 'shut down in recovery' : 'shut down';
  return {
    ...node,
    container,
    control: { state, timeline: postgres.timeline, lsn: postgres.lsn },
    postgres: null,
  };
}

/** A node that runs with the step's settings, as the primary or as its replica. */
function run(node: NodeObservation, step: Configured, world: PredictionContext): NodeObservation {
  // A server that is up already keeps what only a restart changes.
  if (step.kind === 'start' && node.postgres !== null) {
    return reload(node, { ...step, kind: 'reload' }, world);
  }
  return node.name === step.primary
    ? runAsPrimary(node, step, world)
    : runAsReplica(node, step, world);
}

function runAsPrimary(
  node: NodeObservation,
  step: Configured,
  { desired, view }: PredictionContext,
): NodeObservation {
  const image = step.kind === 'start' ? (node.record?.image ?? desired.image) : desired.image;
  return {
    ...start(node, step, desired),
    data: 'complete',
    standby: false,
    record: node.record && { ...node.record, image },
    postgres: {
      ...buildPostgres(node, step.settings, view),
      // Which slots a server has that stands still is not known: those of nodes that leave are looked for.
      slots:
        node.postgres?.slots ??
        openSlots(
          [],
          desired.leaving.map(({ name }) => slotName(name)),
        ),
      inRecovery: false,
      receiver: null,
      passwordsCurrent:
        step.kind === 'initialise' ? true : (node.postgres?.passwordsCurrent ?? null),
    },
  };
}

function runAsReplica(
  node: NodeObservation,
  step: Configured,
  { desired, view }: PredictionContext,
): NodeObservation {
  const primary = view.get(step.primary);
  const image = step.kind === 'restart' ? desired.image : node.record?.image;
  const upstream = findNode(desired, step.primary).privateAddress;
  return {
    ...start(node, step, desired),
    standby: true,
    record: node.record && { ...node.record, image: image ?? node.record.image },
    postgres: {
      ...buildPostgres(node, step.settings, view),
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

function cloneFromPrimary(
  node: NodeObservation,
  step: StepOf<'clone'>,
  world: PredictionContext,
): NodeObservation {
  const primary = world.view.get(step.primary);
  const { record = null, overrides = {} } = primary ?? {};
  const copied = { ...prepare(node), data: 'complete' as const, record, overrides, postgres: null };
  return runAsReplica(copied, step, world);
}

function start(node: NodeObservation, step: Configured, desired: DesiredCluster): NodeObservation {
  return {
    ...node,
    container: { state: 'running', current: true },
    files: renderFiles(desired, { node: node.name, ...step }),
    control: null,
  };
}

/** What a server that was just started with `settings` says. */
function buildPostgres(
  node: NodeObservation,
  settings: Settings,
  view: NodesByName,
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
    settings: setInForce(buildSettings(node, settings, view), {
      settings: { ...settings, ...node.overrides },
      applies: () => true,
    }),
  };
}

/** The settings of a server, from what it said before or what another one says of the same. */
function buildSettings(
  node: NodeObservation,
  settings: Settings,
  view: NodesByName,
): Readonly<Record<string, SettingInForce>> {
  const own = node.postgres?.settings;
  if (own) return own;
  const others = [...view.values()].find(({ postgres }) => postgres !== null)?.postgres?.settings;
  const catalogue = Object.entries(others ?? {}).map(
    ([name, inForce]) => [name, { ...inForce, fromFile: true }] as const,
  );
  const assumed = Object.entries(settings).map(
    ([name, setting]) => [name, assumeSetting(name, setting)] as const,
  );
  return { ...Object.fromEntries(assumed), ...Object.fromEntries(catalogue) };
}

/** Where no server says so, only of the hot-standby-sensitive ones is it known what they take. */
function assumeSetting(name: string, setting: string): SettingInForce {
  const context = HOT_STANDBY_SENSITIVE.includes(name) ? 'postmaster' : 'sighup';
  return {
    ...{ setting, context, unit: null, type: 'string', min: null, max: null, words: [] },
    ...{ default: null, fromFile: true },
  };
}

function setInForce(
  running: Readonly<Record<string, SettingInForce>>,
  { settings, applies }: { settings: Settings; applies: (inForce: SettingInForce) => boolean },
): Readonly<Record<string, SettingInForce>> {
  const entries = Object.entries(running).map(([name, inForce]) => {
    if (!applies(inForce)) return [name, inForce] as const;
    const value = settings[name];
    if (value !== undefined) {
      // Without a unit, so that the words themselves are compared.
      return [name, { ...inForce, setting: value, unit: null, fromFile: true }] as const;
    }
    if (!inForce.fromFile) return [name, inForce] as const;
    return [name, { ...inForce, setting: inForce.default ?? '', fromFile: false }] as const;
  });
  return Object.fromEntries(entries);
}

function reload(
  node: NodeObservation,
  step: StepOf<'reload'>,
  { desired, view }: PredictionContext,
): NodeObservation {
  const { postgres } = node;
  if (postgres === null) return node;
  const isPrimary = node.name === step.primary;
  const upstream = findNode(desired, step.primary).privateAddress;
  return {
    ...node,
    standby: !isPrimary,
    files: renderFiles(desired, { node: node.name, ...step }),
    postgres: {
      ...postgres,
      // A replica goes on to the timeline of whom it follows.
      timeline:
        (isPrimary ? null : view.get(step.primary)?.postgres?.timeline) ?? postgres.timeline,
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

function admit(
  node: NodeObservation,
  step: StepOf<'admit'>,
  world: PredictionContext,
): NodeObservation {
  const { postgres } = node;
  if (postgres === null) return node;
  const kept = postgres.slots.filter(
    ({ name, walStatus }) => walStatus !== 'lost' && !step.retiredSlots.includes(name),
  );
  return {
    ...reload(node, { ...step, kind: 'reload' }, world),
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

function promote(
  node: NodeObservation,
  step: StepOf<'switchover' | 'promote'>,
  { desired, view }: PredictionContext,
): NodeObservation {
  const { settings } = step;
  const postgres = node.postgres ?? buildPostgres(node, settings, view);
  const { timeline } = postgres;
  const lsn = step.kind === 'switchover' ? findEnd(view, postgres) : postgres.lsn;
  return {
    ...node,
    standby: false,
    container: { state: 'running', current: node.container?.current ?? true },
    control: null,
    files: renderFiles(desired, { node: node.name, primary: node.name, settings }),
    postgres: {
      ...postgres,
      lsn,
      inRecovery: false,
      timeline: timeline + 1,
      history: [...postgres.history, { timeline, switchLsn: lsn }],
      receiver: null,
      filesLoaded: true,
      slots: openSlots([], step.slots),
      // Its verifiers came with the replication; whether they are the ones given was asked of the old primary.
      passwordsCurrent: true,
    },
  };
}

/**
 * Where a switchover ends the timeline. The new primary takes the old one's last byte, which no replica is past;
 * but the nodes were not looked at in the same moment, and writes went on in between.
 */
function findEnd(view: NodesByName, { timeline, lsn }: PostgresObservation): string {
  const servers = [...view.values()].flatMap(({ postgres }) => postgres ?? []);
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
  return [...present, ...added.map((name) => ({ name, active: false, walStatus: 'reserved' }))];
}
