import { type DesiredCluster, findNode, renderFiles } from '../desired.ts';
import { isNodeSlot, slotName } from '../node.ts';
import type { ControlObservation, NodeObservation } from '../observation.ts';
import { readQuorum } from '../rollout/node-settings.ts';
import type { Step } from '../rollout/step.ts';
import { HOT_STANDBY_SENSITIVE, type Settings } from '../settings/settings.ts';
import { createSettingsInForce, DEFAULTS } from './fixtures.ts';

// A cluster for tests that obeys PostgreSQL's rules and Docker's, and complains when a step breaks one.

/** One node of the model: what is on its disk, and what runs. */
export interface ModelNode {
  readonly name: string;
  readonly address: string;
  instanceType: string;
  hostReady: boolean;
  mounted: boolean;
  data: NodeObservation['data'];
  /** Of the data: whose it was, and how far it got, by the WAL that it has; positions are in MiB. */
  standbySignal: boolean;
  timeline: number;
  lsn: number;
  /** How far it has replayed what it received; a primary's is its own position. */
  replayed: number;
  /** What it replays while the primary writes 1; null: all that it receives. */
  replaySpeed: number | null;
  /** How far by its control file: that of a replica may be as old as its clone, or as its time as primary. */
  checkpoint: { timeline: number; lsn: number };
  history: { timeline: number; end: number }[];
  /** How its server ended. */
  state: ControlObservation['state'];
  /** Sensitive settings of the primary whose WAL it has replayed. */
  required: Settings;
  image: string;
  file: Settings;
  /** What ALTER SYSTEM wrote into the data directory: it goes before the file, and clones have it too. */
  auto: Settings;
  /** The names that were in a file when the server started. */
  fileAtStart: readonly string[];
  upstream: string | null;
  files: NodeObservation['files'];
  loaded: boolean;
  container: 'none' | 'stopped' | 'running';
  containerCurrent: boolean;
  inRecovery: boolean;
  settings: Settings;
  slots: { name: string; lost: boolean }[];
  /** Those of consumers; `synced`: a replica's copy of its primary's. */
  logicalSlots: { name: string; failover: boolean; synced: boolean }[];
  /** A primary's oldest WAL. */
  oldest: number;
  /** Its data was moved aside, not deleted. */
  movedAside: number;
  /** It receives nothing for now, though it is connected. */
  delayed: boolean;
  /** How far the WAL of an unfinished copy reaches; null where none goes on. */
  copied: number | null;
}

/** In MiB, as all positions: more than a switchover accepts, and than is written while a few steps are done. */
const FAR_BEHIND = 60;

/** What a step broke. */
export class Violation extends Error {}

/** The cluster, and the steps done to it. */
export class ModelCluster {
  readonly nodes: Map<string, ModelNode>;
  desired: DesiredCluster;
  /** How far commits that wait for replicas were acknowledged. */
  acknowledged = 0;
  /** A copy in progress counts as a replica, as it did when pg_basebackup came under its node's name. */
  copiesAcknowledge = false;
  /** PostgreSQL's major version. */
  major = 17;

  constructor(desired: DesiredCluster, nodes: readonly ModelNode[] = []) {
    this.desired = desired;
    this.nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  /** A copy that goes its own way. */
  fork(desired = this.desired): ModelCluster {
    return new ModelCluster(
      desired,
      [...this.nodes.values()].map((node) => structuredClone(node)),
    );
  }

  get(name: string): ModelNode {
    const node = this.nodes.get(name);
    if (!node) throw new Violation(`${name} does not stand`);
    return node;
  }

  get primaries(): ModelNode[] {
    return [...this.nodes.values()].filter(
      (node) => node.container === 'running' && !node.inRecovery,
    );
  }

  get primary(): ModelNode | undefined {
    return this.primaries[0];
  }

  /** The replica receives what its upstream writes, and replays it. */
  isStreaming(node: ModelNode): boolean {
    const upstream = this.#upstreamOf(node);
    if (node.container !== 'running' || !node.inRecovery || !upstream) return false;
    if (upstream.container !== 'running' || upstream.inRecovery) return false;
    const slot = upstream.slots.find(({ name }) => name === slotName(node.name));
    if (!slot || slot.lost || node.lsn < upstream.oldest) return false;
    if (node.timeline === upstream.timeline) return node.lsn <= upstream.lsn;
    const ended = upstream.history.find(({ timeline }) => timeline === node.timeline);
    return ended !== undefined && node.lsn <= ended.end;
  }

  /** Time goes by: the primary writes, and its replicas receive. */
  advance(): void {
    const { primary } = this;
    if (primary) {
      primary.lsn += 1;
      primary.replayed = primary.lsn;
    }
    for (const node of this.nodes.values()) {
      if (primary && node.copied !== null) node.copied = primary.lsn;
      if (!this.isStreaming(node) || node.delayed) continue;
      const upstream = this.#upstreamOf(node) as ModelNode;
      node.lsn = upstream.lsn;
      node.timeline = upstream.timeline;
      node.history = structuredClone(upstream.history);
      node.replayed = Math.min(node.lsn, node.replayed + (node.replaySpeed ?? Infinity));
      // What the primary runs with now, a replica needs once it has replayed that far.
      if (node.replayed === node.lsn) node.required = sensitiveOf(upstream.settings);
      this.#requireNotBelow(node);
      copySlots(upstream, node);
    }
    this.#acknowledge();
  }

  /** A commit is acknowledged once as many of the named standbys have it as the primary waits for. */
  #acknowledge(): void {
    const { primary } = this;
    const names = primary?.settings.synchronous_standby_names ?? '';
    const quorum = readQuorum(names);
    if (!primary || quorum === 0) return;
    const received = [...this.nodes.values()].flatMap((node) => {
      if (!names.includes(slotName(node.name))) return [];
      if (this.isStreaming(node)) return [node.lsn];
      return this.copiesAcknowledge && node.copied !== null ? [node.copied] : [];
    });
    const common = received.sort((a, b) => b - a)[quorum - 1] ?? 0;
    this.acknowledged = Math.max(this.acknowledged, common);
  }

  /** Does one step; throws Violation when that breaks a rule. */
  execute(step: Step): void {
    for (const name of step.nodes) if (step.kind !== 'provision') this.get(name);
    this.#act(step);
    this.advance();
    if (this.primaries.length > 1) throw new Violation('two primaries');
  }

  #act(step: Step): void {
    switch (step.kind) {
      case 'provision':
        for (const name of step.nodes) this.provision(name);
        return;
      case 'halt':
      case 'replace':
        throw new Violation(`${step.kind} is a failover's`);
      case 'fence': {
        const node = this.get(step.nodes[0]);
        if (this.primary) throw new Violation(`${node.name} fenced beside the primary`);
        this.#halt(node);
        node.standbySignal = true;
        return;
      }
      case 'prepare':
        for (const node of step.nodes.map((name) => this.get(name))) {
          node.hostReady = true;
          node.mounted = true;
          if (step.fenced) node.standbySignal = true;
        }
        return;
      case 'check':
        return;
      case 'initialise': {
        const node = this.get(step.nodes[0]);
        if (node.data === 'complete' || this.#holdsData())
          throw new Violation('data initialised over');
        if (!node.hostReady || !node.mounted) throw new Violation(`${node.name} is not prepared`);
        Object.assign(node, {
          data: 'complete',
          standbySignal: false,
          timeline: 1,
          lsn: 100,
          history: [],
        });
        node.image = this.desired.image;
        this.#configure(node, step);
        this.#start(node);
        return;
      }
      case 'admit': {
        const node = this.get(step.nodes[0]);
        if (node !== this.primary) throw new Violation(`${node.name} is not the primary`);
        for (const slot of step.retiredSlots) {
          const owner = [...this.nodes.values()].find(({ name }) => slotName(name) === slot);
          if (owner?.container === 'running' && this.isStreaming(owner)) {
            throw new Violation(`slot ${slot} is in use`);
          }
        }
        const kept = node.slots.filter(
          ({ name, lost }) => !lost && !step.retiredSlots.includes(name),
        );
        const added = step.slots.filter((name) => !kept.some((slot) => slot.name === name));
        node.slots = [...kept, ...added.map((name) => ({ name, lost: false }))];
        this.#configure(node, step);
        this.#load(node);
        return;
      }
      case 'clone':
        for (const name of step.nodes) this.#clone(this.get(name), step);
        return;
      case 'start':
        for (const name of step.nodes) this.#bringUp(this.get(name), step);
        return;
      case 'restart':
        this.#restart(this.get(step.nodes[0]), step);
        return;
      case 'reload':
        for (const node of step.nodes.map((name) => this.get(name))) {
          if (node.container !== 'running') throw new Violation(`${node.name} is down`);
          this.#configure(node, step);
          this.#load(node);
          if (node.inRecovery) this.#settle(node);
          else node.standbySignal = false;
        }
        return;
      case 'stop':
        for (const node of step.nodes.map((name) => this.get(name))) {
          this.#requireOthersUp(node, 'stopped');
          this.#halt(node);
          node.container = 'none';
        }
        return;
      case 'switchover':
        this.#switchOver(step);
        return;
      case 'promote': {
        const node = this.get(step.nodes[0]);
        if (this.primary) throw new Violation('promoted beside a primary');
        const best = Math.max(
          ...[...this.nodes.values()].map(({ data, lsn }) => (data === 'complete' ? lsn : 0)),
        );
        if (node.lsn < best) throw new Violation('commits are lost');
        if (node.container !== 'running') {
          this.#configure(node, step);
          this.#start(node);
        }
        this.#promote(node, step);
        return;
      }
      case 'resize': {
        const node = this.get(step.nodes[0]);
        if (node.container === 'running') throw new Violation(`${node.name} resized while it runs`);
        node.instanceType = step.instanceType;
        return;
      }
      case 'destroy':
        for (const node of step.nodes.map((name) => this.get(name))) {
          if (node.container === 'running')
            throw new Violation(`${node.name} destroyed while it runs`);
          if (!this.primary) throw new Violation('destroyed without a primary');
          const slot = this.primary.slots.some(({ name }) => name === slotName(node.name));
          if (slot) throw new Violation(`${node.name} destroyed before its slot`);
          this.nodes.delete(node.name);
        }
        return;
    }
  }

  /** A blank node, as Terraform makes it. */
  provision(name: string): void {
    const { privateAddress: address } = findNode(this.desired, name);
    this.nodes.set(
      name,
      createModelNode({ name, address, instanceType: this.desired.instanceType ?? 't' }),
    );
  }

  #holdsData(): boolean {
    return [...this.nodes.values()].some(({ data }) => data === 'complete');
  }

  #upstreamOf(node: ModelNode): ModelNode | undefined {
    return [...this.nodes.values()].find(({ name }) => name === node.upstream);
  }

  #configure(node: ModelNode, step: { primary: string; settings: Settings }): void {
    if (this.major < 17 && 'sync_replication_slots' in step.settings) {
      throw new Violation(`${node.name} does not know sync_replication_slots`);
    }
    node.file = step.settings;
    node.upstream = step.primary === node.name ? null : step.primary;
    node.files = renderFiles(this.desired, { node: node.name, ...step });
    node.loaded = false;
  }

  #load(node: ModelNode): void {
    node.loaded = true;
    const names = new Set([...Object.keys(node.file), ...Object.keys(node.settings)]);
    for (const name of names) {
      if (isRestartOnly(name)) continue;
      const value = node.auto[name] ?? node.file[name] ?? DEFAULTS[name] ?? '';
      node.settings = { ...node.settings, [name]: value };
    }
    requireLogical(node);
  }

  #start(node: ModelNode): void {
    if (node.data === 'absent' || node.data === 'partial')
      throw new Violation(`${node.name} has no data`);
    if (!node.mounted) throw new Violation(`${node.name} started without its volume`);
    node.settings = { ...DEFAULTS, ...node.file, ...node.auto };
    node.fileAtStart = Object.keys({ ...node.file, ...node.auto });
    node.loaded = true;
    node.container = 'running';
    node.containerCurrent = true;
    node.inRecovery = node.standbySignal;
    requireLogical(node);
    if (node.inRecovery) this.#requireNotBelow(node);
    else {
      writeCheckpoint(node);
      node.required = sensitiveOf(node.settings);
      const newer = [...this.nodes.values()].find(
        ({ data, timeline }) => data === 'complete' && timeline > node.timeline,
      );
      if (newer)
        throw new Violation(`${node.name} started as the primary, older than ${newer.name}`);
      if (this.primaries.length > 1)
        throw new Violation(`${node.name} started as a second primary`);
    }
  }

  #halt(node: ModelNode): void {
    if (node.container === 'running') shutDown(node);
    node.container = 'stopped';
  }

  /** A replica leaves its time as primary behind. Its restartpoint may yet be skipped, so here it always is. */
  #settle(node: ModelNode): void {
    node.slots = node.slots.filter(({ name }) => !isNodeSlot(name));
    node.logicalSlots = node.logicalSlots.filter(({ synced }) => synced);
  }

  #bringUp(node: ModelNode, step: { primary: string; settings: Settings }): void {
    const wasUp = node.container === 'running';
    this.#configure(node, step);
    if (step.primary !== node.name) node.standbySignal = true;
    if (wasUp) this.#load(node);
    else if (node.standbySignal) this.#startReplica(node);
    else this.#start(node);
    if (node.inRecovery) this.#settle(node);
    // What does not come up streaming is cloned in the same step.
    if (node.inRecovery && !this.isStreaming(node)) this.#clone(node, step);
  }

  /** With what its primary ran with where it has yet to replay that this came down; then it is started once more. */
  #startReplica(node: ModelNode): void {
    const { file } = node;
    node.file = raise(file, node.required);
    this.#start(node);
    this.#catchUp(node);
    const isRaised = HOT_STANDBY_SENSITIVE.some((name) => node.file[name] !== file[name]);
    node.file = file;
    if (isRaised && this.isStreaming(node)) this.#start(node);
  }

  /** A step on a replica ends when it has replayed what its primary had written. */
  #catchUp(node: ModelNode): void {
    const upstream = this.#upstreamOf(node);
    node.replaySpeed = null;
    node.replayed = node.lsn;
    if (this.isStreaming(node) && upstream) node.required = sensitiveOf(upstream.settings);
  }

  #restart(node: ModelNode, step: { primary: string; settings: Settings }): void {
    node.image = this.desired.image;
    if (node.container !== 'running') {
      this.#bringUp(node, step);
      return;
    }
    this.#requireOthersUp(node, 'restarted');
    if (node.inRecovery) this.#catchUp(node);
    this.#halt(node);
    this.#configure(node, step);
    if (!node.inRecovery && step.primary === node.name) {
      for (const replica of this.nodes.values()) {
        if (!this.isReplicaUp(replica)) continue;
        for (const name of HOT_STANDBY_SENSITIVE) {
          const raised = node.auto[name] ?? step.settings[name] ?? DEFAULTS[name];
          if (Number(raised) > Number(replica.settings[name])) {
            throw new Violation(`${node.name} restarted above ${replica.name} in ${name}`);
          }
        }
      }
    }
    this.#start(node);
  }

  isReplicaUp(node: ModelNode): boolean {
    return node.container === 'running' && node.inRecovery;
  }

  #clone(node: ModelNode, step: { primary: string; settings: Settings }): void {
    const { primary } = this;
    if (!primary || primary.name !== step.primary)
      throw new Violation('cloned without the primary');
    if (node === primary) throw new Violation('the primary cloned over');
    if (!node.hostReady || !node.mounted) throw new Violation(`${node.name} is not prepared`);
    const slot = primary.slots.find(({ name }) => name === slotName(node.name));
    if (!slot || slot.lost) throw new Violation(`${node.name} cloned without a slot`);
    if (node.data === 'complete') node.movedAside += 1;
    const { timeline, lsn, image, auto } = primary;
    Object.assign(node, {
      data: 'complete',
      standbySignal: true,
      timeline,
      lsn,
      image,
      slots: [],
      logicalSlots: [],
    });
    Object.assign(node, { replayed: lsn, replaySpeed: null });
    writeCheckpoint(node);
    node.copied = null;
    node.auto = { ...auto };
    node.history = structuredClone(primary.history);
    node.required = sensitiveOf(primary.settings);
    this.#configure(node, step);
    this.#start(node);
  }

  #switchOver(step: Extract<Step, { kind: 'switchover' }>): void {
    const from = this.get(step.nodes[0]);
    const to = this.get(step.nodes[1]);
    if (from !== this.primary) throw new Violation(`${from.name} is not the primary`);
    if (!this.isStreaming(to)) throw new Violation(`${to.name} does not stream`);
    const isBehind = (node: ModelNode) => from.lsn - node.replayed > FAR_BEHIND;
    const others = [...this.nodes.values()].filter((node) => this.isStreaming(node));
    if (isBehind(to) && to.name !== this.desired.primary && !others.every(isBehind))
      throw new Violation(`${to.name} takes over, and another replica is less far behind`);
    this.#requireOthersUp(from, 'switched over from');
    from.standbySignal = true;
    this.advance();
    this.#halt(from);
    this.#configure(from, step);
    if (to.lsn < from.lsn) throw new Violation('commits are lost');
    const lost = from.logicalSlots.filter(
      ({ name }) => !to.logicalSlots.some((slot) => slot.name === name),
    );
    if (lost.length > 0 && !this.desired.allowsSlotLoss) {
      throw new Violation(`logical slots are lost: ${lost.map(({ name }) => name)}`);
    }
    this.#promote(to, step);
  }

  #promote(
    node: ModelNode,
    step: { primary: string; settings: Settings; slots: readonly string[] },
  ): void {
    node.history = [...node.history, { timeline: node.timeline, end: node.lsn }];
    node.timeline += 1;
    node.replayed = node.lsn;
    node.replaySpeed = null;
    node.standbySignal = false;
    node.inRecovery = false;
    node.oldest = Math.max(0, node.lsn - 5);
    node.slots = step.slots.map((name) => ({ name, lost: false }));
    writeCheckpoint(node);
    this.#configure(node, step);
    this.#load(node);
  }

  #requireNotBelow(node: ModelNode): void {
    for (const name of HOT_STANDBY_SENSITIVE) {
      if (Number(node.settings[name]) < Number(node.required[name] ?? 0)) {
        throw new Violation(
          `${node.name} pauses: ${name} is ${node.settings[name]}, its primary's ${node.required[name]}`,
        );
      }
    }
  }

  /** Whoever goes down on purpose is the only one that is down. */
  #requireOthersUp(node: ModelNode, word: string): void {
    if (node.container !== 'running') return;
    const members = this.desired.nodes.map(({ name }) => this.get(name));
    const down = members.filter(
      (other) => other !== node && !(other === this.primary || this.isStreaming(other)),
    );
    if (down.length > 0) {
      throw new Violation(`${node.name} ${word} while ${down.map(({ name }) => name)} is down`);
    }
  }
}

/** A replica that was told to keeps copies of its primary's failover slots (PostgreSQL manual, 47.2.3). */
function copySlots(primary: ModelNode, replica: ModelNode): void {
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

/** What PostgreSQL needs wal_level = logical for, or it does not start; early releases of 17 end in the last case. */
function requireLogical(node: ModelNode): void {
  if (node.settings.wal_level === 'logical') return;
  if (node.logicalSlots.length > 0)
    throw new Violation(`${node.name} does not start: logical slots`);
  if (node.inRecovery && node.settings.sync_replication_slots === 'on') {
    throw new Violation(`${node.name} ends: it cannot copy slots`);
  }
}

function writeCheckpoint(node: ModelNode): void {
  node.checkpoint = { timeline: node.timeline, lsn: node.lsn };
}

/** Ends a server in order. A replica makes no restartpoint where its primary has made no checkpoint since. */
export function shutDown(node: ModelNode): void {
  node.state = node.inRecovery ? 'shut down in recovery' : 'shut down';
  if (!node.inRecovery) writeCheckpoint(node);
}

/** Settings with none below what `required` says. */
const raise = (settings: Settings, required: Settings): Settings => ({
  ...settings,
  ...Object.fromEntries(
    Object.entries(required).filter(
      ([name, value]) => Number(value) > Number(settings[name] ?? DEFAULTS[name]),
    ),
  ),
});

const isRestartOnly = (name: string): boolean =>
  createSettingsInForce({ [name]: '' })[name]?.context === 'postmaster';

function sensitiveOf(settings: Settings): Settings {
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
    files: { postgresqlConf: null, pgHba: null },
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
    ...overrides,
  };
}
