import { type DesiredCluster, renderFiles } from './desired.ts';
import type { NodeObservation, PostgresObservation } from './observation.ts';
import { findPrimary, findRefusals } from './refusals.ts';
import { HOT_STANDBY_SENSITIVE, isInForce, mergeSettings, type Settings } from './settings.ts';
import { slotName } from './spec.ts';

/** One piece of work, idempotent, done on all of its nodes at the same time. */
export type Step =
  /** Make the host ready: authorised keys, Docker, data volume, image. */
  | { readonly kind: 'prepare'; readonly nodes: readonly string[] }
  /** Create the cluster's data where no node holds any, and start the primary. */
  | { readonly kind: 'initialise'; readonly nodes: readonly [string]; readonly settings: Settings }
  /** On the primary: roles and passwords, a slot per replica, retired slots dropped, pg_hba.conf reloaded. */
  | {
      readonly kind: 'admit';
      readonly nodes: readonly [string];
      readonly settings: Settings;
      readonly slots: readonly string[];
      readonly retiredSlots: readonly string[];
    }
  /** Copy the primary beside whatever is there, then follow it. */
  | {
      readonly kind: 'clone';
      readonly nodes: readonly string[];
      readonly primary: string;
      readonly settings: Settings;
    }
  /** Start a node that holds data and stands still. */
  | StepWithConfiguration<'start'>
  /** Write the configuration and have it reread. */
  | StepWithConfiguration<'reload'>
  /** Write the configuration and restart, or re-create the container, one node. */
  | StepWithConfiguration<'restart'>;

interface StepWithConfiguration<Kind extends string> {
  readonly kind: Kind;
  readonly nodes: readonly string[];
  readonly primary: string;
  readonly settings: Settings;
}

/**
 * What to do, or why nothing is done. `observeAgain`: the steps only uncover what is there, and decide
 * nothing yet.
 */
export type Rollout =
  | { readonly refusals: readonly string[] }
  | {
      readonly refusals: readonly [];
      readonly primary: string;
      readonly steps: readonly Step[];
      readonly observeAgain: boolean;
    };

/**
 * The steps that lead from what was observed to what is desired; none when it is there already.
 * Nothing is remembered between runs: after an interruption the next observation gives the rest.
 *
 * `observed` holds one entry per desired node, in any order.
 */
export function rollout(observed: readonly NodeObservation[], desired: DesiredCluster): Rollout {
  const covered = observed.filter(isCovered);
  if (covered.length > 0) {
    const steps: Step[] = [{ kind: 'prepare', nodes: names(covered) }];
    return { refusals: [], primary: firstNode(desired), steps, observeAgain: true };
  }
  const refusals = findRefusals(observed, desired);
  if (refusals.length > 0) return { refusals };

  const primary = findPrimary(observed) ?? firstNode(desired);
  const plan = new Planner(observed, desired, primary);
  return { refusals: [], primary, steps: plan.steps(), observeAgain: false };
}

/**
 * A volume with a file system that is not mounted may hold the cluster: an instance that was made anew, a
 * mount that failed at boot. It must be looked into before anybody says that no node holds data.
 */
function isCovered({ volume, data }: NodeObservation): boolean {
  return volume.filesystem !== null && !volume.ready && data === 'absent';
}

function firstNode(desired: DesiredCluster): string {
  const first = desired.nodes[0];
  if (!first) throw new Error(`cluster ${desired.name} has no nodes`);
  return first.name;
}

/** Collects the steps of one rollout and keeps track of what runs with which settings meanwhile. */
class Planner {
  readonly #observed: readonly NodeObservation[];
  readonly #desired: DesiredCluster;
  readonly #primary: NodeObservation;
  readonly #replicas: readonly NodeObservation[];
  /** What the cluster ends with. */
  readonly #target: Settings;
  /** The target, but no hot-standby-sensitive setting below what the primary runs with now. */
  readonly #ceiling: Settings;

  constructor(observed: readonly NodeObservation[], desired: DesiredCluster, primary: string) {
    this.#observed = observed;
    this.#desired = desired;
    this.#primary = requireNode(observed, primary);
    this.#replicas = observed.filter(({ name }) => name !== primary);
    this.#target = raiseOverridden(mergeSettings(desired.settings), this.#primary);
    this.#ceiling = raiseSensitive(this.#target, this.#primary);
  }

  steps(): Step[] {
    return [
      ...this.#prepare(),
      ...this.#bringUpPrimary(),
      ...this.#admit(),
      ...this.#bringUpReplicas(),
      ...this.#restart(),
      ...this.#reload(),
    ];
  }

  #prepare(): Step[] {
    const nodes = this.#observed.filter(
      ({ host, volume, data }) =>
        !(host.dockerReady && host.authorizedKeysCurrent && volume.ready && data === 'complete'),
    );
    return nodes.length === 0 ? [] : [{ kind: 'prepare', nodes: nodes.map(({ name }) => name) }];
  }

  #bringUpPrimary(): Step[] {
    const { name, data, postgres } = this.#primary;
    if (data !== 'complete') return [{ kind: 'initialise', nodes: [name], settings: this.#target }];
    // Started with what it ran with: its replicas may not be ready for more yet.
    if (postgres === null) return [this.#configure('start', [name], this.#beforeChange())];
    return [];
  }

  /** The primary's settings before any restart: the target, with the sensitive ones as it last had them. */
  #beforeChange(): Settings {
    const current = readSensitive(this.#primary);
    const settings = Object.entries(this.#target).map(([name, value]) => [
      name,
      current[name] ?? value,
    ]);
    return Object.fromEntries(settings);
  }

  #admit(): Step[] {
    const { name, postgres, files } = this.#primary;
    const slots = this.#replicas.map((replica) => slotName(replica.name));
    // A lost slot has no WAL left to give: it is made anew, and its replica cloned again.
    const present =
      postgres?.slots.filter((slot) => slot.walStatus !== 'lost').map((slot) => slot.name) ?? [];
    const own = new Set(this.#desired.nodes.map((node) => slotName(node.name)));
    // Only slots that follow the naming of nodes are ours to drop; a tool's own slot is left alone.
    const retiredSlots = present.filter((slot) => /^node_\d+$/.test(slot) && !own.has(slot));
    // A node that is only now initialised has no past; any other keeps its sensitive settings until its
    // replicas are ready, even if it happens to restart in between.
    const settings = this.#beforeChange();
    const done =
      postgres !== null &&
      slots.every((slot) => present.includes(slot)) &&
      retiredSlots.length === 0 &&
      postgres.passwordsCurrent !== false &&
      files.pgHba === this.#files(name, settings).pgHba;
    return done ? [] : [{ kind: 'admit', nodes: [name], settings, slots, retiredSlots }];
  }

  #bringUpReplicas(): Step[] {
    const lost = new Set(
      this.#primary.postgres?.slots
        .filter((slot) => slot.walStatus === 'lost')
        .map((slot) => slot.name),
    );
    const missing = this.#replicas.filter(
      ({ name, data }) => data !== 'complete' || lost.has(slotName(name)),
    );
    const stopped = this.#replicas.filter(
      (node) => node.postgres === null && !missing.includes(node),
    );
    const primary = this.#primary.name;
    return [
      ...(stopped.length === 0 ? [] : [this.#configure('start', names(stopped), this.#ceiling)]),
      ...(missing.length === 0
        ? []
        : [{ kind: 'clone', nodes: names(missing), primary, settings: this.#ceiling } as const]),
    ];
  }

  /**
   * Replicas first, up to the ceiling; then the primary, straight to the target; then the replicas whose
   * values may now come down. Raising ends after the primary, lowering skips the first round, and a mixed
   * change needs both: all of it from the one rule that a replica never runs below its primary.
   */
  #restart(): Step[] {
    const steps: Step[] = [];
    for (const replica of this.#replicas) {
      if (this.#needsRestart(replica, this.#ceiling))
        steps.push(this.#restartStep(replica, this.#ceiling));
    }
    if (this.#needsRestart(this.#primary, this.#target)) {
      steps.push(this.#restartStep(this.#primary, this.#target));
    }
    if (!isEqual(this.#ceiling, this.#target)) {
      for (const replica of this.#replicas) steps.push(this.#restartStep(replica, this.#target));
    }
    return steps;
  }

  #restartStep(node: NodeObservation, settings: Settings): Step {
    return this.#configure('restart', [node.name], settings);
  }

  /** A node that is started or cloned in this rollout gets its settings there. */
  #needsRestart(node: NodeObservation, settings: Settings): boolean {
    // A clone runs what the primary runs; a new image reaches it here, before the primary.
    if (node.data !== 'complete')
      return node !== this.#primary && this.#changesImage(this.#primary);
    if (node.postgres === null) {
      const changes = node === this.#primary && !isEqual(this.#beforeChange(), settings);
      return changes || this.#changesImage(node);
    }
    const { postgres } = node;
    return (
      node.container?.current === false ||
      this.#changesImage(node) ||
      Object.keys(settings).some((name) => needsChange(postgres, name, settings, 'restart'))
    );
  }

  #changesImage({ record }: NodeObservation): boolean {
    return record !== null && record.image !== this.#desired.image;
  }

  #reload(): Step[] {
    const restarted = new Set(this.#restart().flatMap(({ nodes }) => nodes));
    const nodes = this.#observed.filter((node) => {
      if (node.postgres === null || node.data !== 'complete' || restarted.has(node.name))
        return false;
      const { postgres } = node;
      const files = this.#files(node.name, this.#target);
      return (
        node.files.postgresqlConf !== files.postgresqlConf ||
        (node !== this.#primary && node.files.pgHba !== files.pgHba) ||
        // On the primary that is part of admitting; a replica's passfile is its own.
        (node !== this.#primary && postgres.passwordsCurrent === false) ||
        Object.keys(this.#target).some((name) =>
          needsChange(postgres, name, this.#target, 'reload'),
        )
      );
    });
    return nodes.length === 0 ? [] : [this.#configure('reload', names(nodes), this.#target)];
  }

  #configure<Kind extends 'start' | 'reload' | 'restart'>(
    kind: Kind,
    nodes: readonly string[],
    settings: Settings,
  ): StepWithConfiguration<Kind> {
    return { kind, nodes, primary: this.#primary.name, settings };
  }

  #files(node: string, settings: Settings) {
    return renderFiles(this.#desired, { node, primary: this.#primary.name, settings });
  }
}

const names = (nodes: readonly NodeObservation[]): string[] => nodes.map(({ name }) => name);

function requireNode(observed: readonly NodeObservation[], name: string): NodeObservation {
  const node = observed.find((candidate) => candidate.name === name);
  if (!node) throw new Error(`${name} was not observed`);
  return node;
}

function isEqual(a: Settings, b: Settings): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
}

function needsChange(
  postgres: PostgresObservation,
  name: string,
  settings: Settings,
  way: 'restart' | 'reload',
): boolean {
  const inForce = postgres.settings[name];
  if (inForce === undefined || inForce.overridden) return false;
  if ((inForce.context === 'postmaster') !== (way === 'restart')) return false;
  return !isInForce(settings[name] as string, inForce);
}

/** The hot-standby-sensitive settings a node runs with, or, when it stands still, last ran with. */
function readSensitive(node: NodeObservation): Settings {
  const entries = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    const value =
      node.postgres?.settings[name]?.setting ??
      new RegExp(`^${name} = '(\\d+)'$`, 'm').exec(node.files.postgresqlConf ?? '')?.[1];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

function raiseSensitive(target: Settings, primary: NodeObservation): Settings {
  const current = readSensitive(primary);
  const raised = Object.entries(target).map(([name, value]) => {
    const before = current[name];
    return [name, before !== undefined && Number(before) > Number(value) ? before : value] as const;
  });
  return Object.fromEntries(raised);
}

/**
 * What ALTER SYSTEM holds up on the primary holds for its replicas too: no file can bring it down, and they
 * must not run below it.
 */
function raiseOverridden(target: Settings, primary: NodeObservation): Settings {
  const raised = HOT_STANDBY_SENSITIVE.flatMap((name) => {
    const inForce = primary.postgres?.settings[name];
    if (!inForce?.overridden || Number(inForce.setting) <= Number(target[name])) return [];
    return [[name, inForce.setting] as const];
  });
  return { ...target, ...Object.fromEntries(raised) };
}
