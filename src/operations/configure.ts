import { randomUUID } from 'node:crypto';
import { type ClusterObservation, type NodeAccess, Nodes } from '../ansible/nodes.ts';
import { buildDesired, type DesiredCluster } from '../cluster/desired.ts';
import { pinImage } from '../cluster/image.ts';
import { compareNames, type Node } from '../cluster/node.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeWork } from '../cluster/progress.ts';
import { findProofProblems, type NodeProof } from '../cluster/proof.ts';
import type { Deferral } from '../cluster/rollout/deferral.ts';
import { type DatabaseLosses, type Rollout, rollout } from '../cluster/rollout/rollout.ts';
import { isTerraformStep, type Step, withoutReasons } from '../cluster/rollout/step.ts';
import { UserError } from '../messages/errors.ts';
import { FailedStepsError } from '../messages/failed-steps-error.ts';
import { ContinuingError } from './continuing-error.ts';
import { changeInstances, type Infrastructure } from './infrastructure.ts';
import { isCurrent, type Look } from './look.ts';
import { requireNodeCount } from './node-count.ts';
import { observeNodes } from './observe-nodes.ts';
import { type PerformedSteps, performSteps } from './perform-steps.ts';
import { findVantage, removeNodes, requireObservation } from './reachability.ts';
import { writeResult } from './result.ts';
import { buildUnprovedProof } from './unproved.ts';

/** The same step this many times in a row makes no progress. */
const MAX_REPETITIONS = 3;

/** What was done and proved. */
export interface ConfigureResult {
  readonly primary: string;
  /** In the order of execution. */
  readonly steps: readonly Step[];
  readonly changes: readonly NodeChange[];
  readonly proof: readonly NodeProof[];
  readonly nodes: readonly Node[];
  /** What waits for unreachable nodes; null if all nodes were reached. */
  readonly deferral: Deferral | null;
  /** Paths. */
  readonly inventory: string;
  readonly jsonFile: string;
}

/** A task that changed something, by node and step. */
export interface NodeChange {
  readonly node: string;
  readonly step: string;
  readonly task: string;
}

/** A message of a step to the user, by node. */
export interface NodeNote {
  readonly node: string;
  /** Commands to type are in backquotes. */
  readonly note: string;
}

/** Callbacks that report progress, so that it is known even if a later step fails. */
export interface ConfigureListeners {
  /** Gets the steps that were done and those that are ahead. */
  readonly onSteps?: (steps: readonly Step[]) => void;
  /** Gets all notes so far. */
  readonly onNotes?: (notes: readonly NodeNote[]) => void;
  /** Gets the nodes each time that they are observed. */
  readonly onObserved?: (observed: readonly NodeObservation[]) => void;
  readonly onProof?: (proof: readonly NodeProof[]) => void;
  /** Gets what the steps ahead lose with permission. */
  readonly onLosses?: (losses: DatabaseLosses) => void;
  /** Gets what waits for unreachable nodes, before the steps are done. */
  readonly onLeftOut?: (deferral: Deferral) => void;
  /** Gets what the nodes do, every few seconds while it takes long, and nothing once it has ended. */
  readonly onWork?: (work: readonly NodeWork[]) => void;
}

/** Decides the next steps from an observation; `reachable` is `desired` without the unreachable nodes. */
export type DecideSteps = (
  observation: ClusterObservation,
  clusters: { readonly desired: DesiredCluster; readonly reachable: DesiredCluster },
) => Rollout;

/**
 * Brings the nodes to the desired state and proves that replication works.
 *
 * Observes, decides (`rollout`) and acts, and starts over whenever Terraform changed the instances; then proves. Keeps no
 * state between two rounds except what the nodes report.
 *
 * @throws UserError with every refusal, every failure by node, or every problem of the proof
 * @throws ContinuingError if the nodes still work at the `deadline`; nothing is proved
 */
export async function configure(
  access: NodeAccess,
  options: {
    /** The existing nodes. */
    nodes: readonly Node[];
    /** Null: each node stays what it is. */
    instanceType: string | null;
    /** RAM of that type; null if unknown. */
    memoryMib: number | null;
    /** A label or a failover allows the loss of logical slots. */
    allowsSlotLoss?: boolean;
    /** A label allows that backups are deleted or end. */
    allowsBackupLoss?: boolean;
    /** Null: the instances stay as they are. */
    infrastructure: Infrastructure | null;
    /** What this run saw of the nodes before, if it has changed none of them since; it serves instead of the first look. */
    look?: Look | null;
    /** Nodes whose instance this run created. */
    fresh?: readonly string[];
    /** Other nodes whose instance may just be starting. */
    starting?: readonly string[];
    /** EC2's word for the state of the instances, by node, if known. */
    states?: Readonly<Record<string, string>>;
    /** Nodes that must not be contacted: their instance does not run, and another instance may have their address. */
    excluded?: readonly string[];
    /** Digest of the reviewed image; null if unknown or without a review. */
    reviewedImage?: string | null;
    /** Labels of the merged pull request; null without one. */
    labels?: readonly string[] | null;
    /** Whether replication is proved in the end; by default it is. */
    proves?: boolean;
    /** When to stop waiting for long work, in ms since 1970; by default never. */
    deadline?: number;
    /** Decides instead of `rollout`, and allows unreachable nodes. */
    decide?: DecideSteps;
    /** Whether the primary's proof says what a rehearsal compares with its restore. */
    canary?: boolean;
  } & ConfigureListeners,
): Promise<ConfigureResult> {
  const { directory, log } = access;
  if (options.infrastructure === null) {
    requireNodeCount(options.nodes, access.inputs.spec.replicaCount);
  }
  const nodes = new Nodes(access);
  let outcome: Outcome;
  try {
    outcome = await converge(nodes, { access, ...options });
  } finally {
    await nodes.close();
  }
  const { changes, deferral } = outcome;
  const unproved = (deferral?.nodes ?? []).map((name) => buildUnprovedProof(name, outcome.nodes));
  const proof = [...outcome.proof, ...unproved].sort((a, b) => compareNames(a.name, b.name));
  options.onProof?.(proof);
  log(
    `${changes.length} ${changes.length === 1 ? 'task' : 'tasks'} changed something on the nodes`,
  );
  const jsonFile = await writeResult(directory, 'configure', { ...outcome, proof });
  const expected = outcome.proved.map(({ name }) => name);
  const problems = options.proves === false ? [] : findProofProblems(outcome.proof, expected);
  if (problems.length > 0) {
    throw new FailedStepsError(
      problems.map((problem) => `Replication is not proved. ${problem}`),
      { steps: ['proof'] },
    );
  }
  return { ...outcome, proof, inventory: nodes.inventory, jsonFile };
}

interface Outcome extends Omit<ConfigureResult, 'inventory' | 'jsonFile'> {
  /** The nodes that the proof must cover. */
  readonly proved: readonly Node[];
}

async function converge(
  nodes: Nodes,
  options: { access: NodeAccess } & Parameters<typeof configure>[1],
): Promise<Outcome> {
  const { access, instanceType, memoryMib, infrastructure, decide } = options;
  const { onSteps, onNotes, onLeftOut, onWork = () => {}, allowsSlotLoss = false } = options;
  const { allowsBackupLoss = false, proves = true } = options;
  const { deadline = Number.POSITIVE_INFINITY } = options;
  const { reviewedImage: reviewed = null, starting = [], states = {}, labels = null } = options;
  const { allowCollationLabel } = access.inputs;
  let existing = options.nodes;
  let { look = null } = options;
  const fresh = new Set(options.fresh);
  // Nodes that are not observed any more: their instance was stopped, or fencing them over SSH failed.
  const away = new Set(options.excluded);
  const steps: Step[] = [];
  const changes: NodeChange[] = [];
  const notes: NodeNote[] = [];
  for (;;) {
    const isBooting = fresh.size > 0 || starting.length > 0 || steps.some(isTerraformStep);
    // An instance that this run created gets the full time to boot.
    const mayBeLost = decide !== undefined && fresh.size === 0;
    const described = buildDesired(access.inputs.spec, {
      existing,
      instanceType,
      memoryMib,
      allowsSlotLoss,
      allowsBackupLoss,
      keepsStorage: decide !== undefined,
    });
    const asked = existing.filter(({ name }) => !away.has(name));
    const earlier = look;
    look = null;
    let seen: ClusterObservation;
    if (earlier !== null && isCurrent(earlier, { nodes: asked, now: performance.now() })) {
      access.log('The nodes were looked at seconds ago, and nothing was changed since.');
      await nodes.reach(asked);
      seen = earlier.seen;
    } else {
      const limits = { fresh: [...fresh], isBooting, mayBeLost };
      seen = await observeNodes(nodes, asked, { desired: described, ...limits });
    }
    options.onObserved?.(seen.observed);
    const observation = { ...seen, unreachable: [...seen.unreachable, ...away] };
    const reachable = removeNodes(described, observation.unreachable);
    let desired = described;
    let decision: Rollout;
    // If no node was observed there is nothing to decide; the likely cause is the network path.
    const isGivenUp = away.size > (options.excluded?.length ?? 0);
    if (decide && (observation.observed.length > 0 || isGivenUp)) {
      decision = decide(observation, { desired, reachable });
    } else {
      const known = { asked: existing, away: [...away], fresh: [...fresh], states };
      const found = requireObservation(seen, desired, { ...known, vantage: findVantage(access) });
      for (const name of found.away) away.add(name);
      desired = { ...described, unreachable: found.away };
      decision = rollout(found.observed, desired);
    }
    if (decision.kind !== 'steps') throw new UserError(decision.refusals);
    if (decision.deferral) onLeftOut?.(decision.deferral);
    if (decision.losses) options.onLosses?.(decision.losses);
    onSteps?.([...steps, ...decision.steps]);
    const [first] = decision.steps;
    if (first) refuseRepetition(steps, first);

    if (first && isTerraformStep(first)) {
      if (infrastructure === null) throw new Error(`${first.kind} without Terraform`);
      access.log(`${first.kind} ${first.nodes.join(', ')}`);
      existing = await changeInstances(infrastructure, first);
      if (first.kind === 'halt') away.add(first.nodes[0]);
      if (first.kind === 'replace') {
        fresh.add(first.nodes[0]);
        away.delete(first.nodes[0]);
      }
      steps.push(first);
      continue;
    }
    const end = decision.steps.findIndex(isTerraformStep);
    const segment = end === -1 ? decision.steps : decision.steps.slice(0, end);
    const isLast = end === -1 && !decision.observeAgain;
    const { primary } = decision;
    const work = {
      primary,
      steps: segment,
      proofToken: isLast && proves ? randomUUID() : null,
      listsCanary: options.canary ?? false,
      image: pinImage(observation.observed, desired, { reviewed }),
      collationLabel: { input: 'allow-collation-label', label: allowCollationLabel, labels },
    };
    // A node that is away stays in every generated file.
    const target = decide ? reachable : { ...desired, leaving: reachable.leaving };
    let done: PerformedSteps;
    try {
      done = await performSteps(nodes, work, {
        ...{ target, deadline, log: access.log, onWork },
        onNotes: (added) => {
          // A step that is performed again may report the same again.
          const isKnown = (one: NodeNote) =>
            notes.some(({ node, note }) => node === one.node && note === one.note);
          notes.push(...added.filter((one) => !isKnown(one)));
          onNotes?.([...notes]);
        },
      });
    } catch (error) {
      const [fence] = segment;
      if (!(error instanceof UserError) || fence?.kind !== 'fence' || !decide) throw error;
      // Fencing over SSH failed; the next round halts its instance.
      access.log(`${fence.nodes[0]} could not be fenced over SSH. ${error.message}`);
      away.add(fence.nodes[0]);
      continue;
    }
    if (done.work.length > 0) throw new ContinuingError(done.work);
    steps.push(...segment);
    changes.push(...done.changes);
    if (isLast) {
      return {
        primary,
        steps,
        changes,
        proof: done.proof,
        nodes: existing,
        deferral: decision.deferral ?? null,
        proved: target.nodes.filter(({ name }) => !away.has(name)),
      };
    }
  }
}

function refuseRepetition(done: readonly Step[], next: Step): void {
  const last = done.slice(-MAX_REPETITIONS);
  if (last.length < MAX_REPETITIONS) return;
  // The size of a copy differs each time.
  const compared = (step: Step) => JSON.stringify({ ...withoutReasons(step), neededBytes: null });
  if (last.some((step) => compared(step) !== compared(next))) return;
  throw new UserError(
    `${next.nodes.join(', ')}: the step ${next.kind} was done ${MAX_REPETITIONS} times and is still needed. Look at the log of that step: something undoes it.`,
  );
}
