import { randomUUID } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { sshAddress } from '../ansible/inventory.ts';
import { type ClusterObservation, type NodeAccess, Nodes } from '../ansible/nodes.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import { buildDesired, type DesiredCluster } from '../cluster/desired.ts';
import { pinImage } from '../cluster/image.ts';
import { compareNames, type Node } from '../cluster/node.ts';
import { buildFreshObservation, type NodeObservation } from '../cluster/observation.ts';
import { findProofProblems, NOT_PROVED, type NodeProof } from '../cluster/proof.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import type { Deferral } from '../cluster/rollout/deferral.ts';
import { type Rollout, rollout } from '../cluster/rollout/rollout.ts';
import { isTerraformStep, type Step, type TerraformStep } from '../cluster/rollout/step.ts';
import {
  explainUnreachable,
  type RunnerNetwork,
  type UnreachableNodes,
} from '../cluster/unreachable.ts';
import { UserError } from '../messages/errors.ts';
import type { Infrastructure } from './infrastructure.ts';
import { writeResult } from './result.ts';

/** How long a node may take to boot. */
const BOOT_SECONDS = 300;
/** How long one may take whose machine nothing was done to: it may have been rebooted by somebody just now. */
const REBOOT_SECONDS = 60;
/** How long to wait for one that is perhaps never to come back. */
const LOST_SECONDS = 20;
/** How long to look at one that may hang. */
const OBSERVE_SECONDS = 120;
/** The same step so many times in a row leads nowhere. */
const MAX_REPETITIONS = 3;

const NO_OBSERVATION: ClusterObservation = {
  observed: [],
  unreachable: [],
  broken: [],
  locked: [],
  failures: [],
};

/** What was done and what was proved. */
export interface ConfigureResult {
  readonly primary: string;
  /** In the order they were done. */
  readonly steps: readonly Step[];
  readonly changes: readonly NodeChange[];
  readonly proof: readonly NodeProof[];
  readonly nodes: readonly Node[];
  /** What waits for nodes that cannot be reached; null where all can. */
  readonly leftOut: Deferral | null;
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

/** What people should know of a step, by node. */
export interface NodeNote {
  readonly node: string;
  /** What is to be typed stands in backquotes. */
  readonly note: string;
}

/** What is told while it happens, so that it is known even if the end is a failure. */
export interface ConfigureListeners {
  /** The steps that were done and those that are ahead. */
  readonly onSteps?: (steps: readonly Step[]) => void;
  /** What people should know of what was done, so far. */
  readonly onNotes?: (notes: readonly NodeNote[]) => void;
  readonly onProof?: (proof: readonly NodeProof[]) => void;
  /** What waits for nodes that cannot be reached, before the steps are done. */
  readonly onLeftOut?: (leftOut: Deferral) => void;
}

/** How the next steps are decided from what was seen; `reachable` is the part of `desired` that was. */
export type DecideSteps = (
  sighting: ClusterObservation,
  clusters: { readonly desired: DesiredCluster; readonly reachable: DesiredCluster },
) => Rollout;

/**
 * Brings the nodes to the state the request asks for and proves that replication works.
 *
 * Observe, decide (`rollout`), do, and again from the beginning wherever Terraform changed the instances;
 * then prove. Nothing is kept between two rounds but what the nodes show.
 *
 * @throws UserError with every refusal, every failure by node, or everything the proof found missing
 */
export async function configure(
  access: NodeAccess,
  options: {
    /** The nodes that stand. */
    nodes: readonly Node[];
    /** Null: each node stays what it is. */
    instanceType: string | null;
    /** RAM of that type, null where it is not known. */
    memoryMib: number | null;
    /** Somebody said that logical slots may be lost. */
    allowsSlotLoss?: boolean;
    /** Null: the instances stay what they are. */
    infrastructure: Infrastructure | null;
    /** Nodes whose machine this run has made. */
    fresh?: readonly string[];
    /** Nodes whose machine may just be starting, other than the fresh ones. */
    starting?: readonly string[];
    /** EC2's word for the state of instances, by node, as far as it is known. */
    states?: Readonly<Record<string, string>>;
    /** Nodes that are not even looked at: their instance does not run, and somebody else may have its address. */
    unasked?: readonly string[];
    /** Digest of the image that was reviewed; null or none where nobody could tell, or nothing was. */
    reviewedImage?: string | null;
    /** Of the pull request that brings the change; null or none without one. */
    labels?: readonly string[] | null;
    /** Nodes may be out of reach, and somebody else than `rollout` decides. */
    decide?: DecideSteps;
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
  const { changes, leftOut } = outcome;
  const away = (leftOut?.nodes ?? []).map((name) => buildUnprovedProof(name, outcome.nodes));
  const proof = [...outcome.proof, ...away].sort((a, b) => compareNames(a.name, b.name));
  options.onProof?.(proof);
  log(
    `${changes.length} ${changes.length === 1 ? 'task' : 'tasks'} changed something on the nodes`,
  );
  const jsonFile = await writeResult(directory, 'configure', { ...outcome, proof });
  const expected = outcome.proved.map(({ name }) => name);
  const problems = findProofProblems(outcome.proof, expected);
  if (problems.length > 0) {
    throw new UserError(problems.map((problem) => `Replication is not proved. ${problem}`));
  }
  return { ...outcome, proof, inventory: nodes.inventory, jsonFile };
}

/** A node that the proof is not of. */
function buildUnprovedProof(name: string, nodes: readonly Node[]): NodeProof {
  return {
    name,
    role: 'replica',
    address: nodes.find((node) => node.name === name)?.privateAddress ?? '',
    state: NOT_PROVED,
    ...{ timeline: null, lsn: null, lagBytes: null, lagSeconds: null, slot: null },
    ...{
      replayPaused: false,
      tokenRead: false,
      systemIdentifier: null,
      archiver: null,
      problem: null,
    },
  };
}

interface Outcome extends Omit<ConfigureResult, 'inventory' | 'jsonFile'> {
  /** Those that the proof was asked of. */
  readonly proved: readonly Node[];
}

async function converge(
  nodes: Nodes,
  options: { access: NodeAccess } & Parameters<typeof configure>[1],
): Promise<Outcome> {
  const { access, instanceType, memoryMib, infrastructure, decide } = options;
  const { onSteps, onNotes, onLeftOut, allowsSlotLoss = false } = options;
  const { reviewedImage: reviewed = null, starting = [], states = {}, labels = null } = options;
  const { allowCollationLabel } = access.inputs;
  let standing = options.nodes;
  const fresh = new Set(options.fresh);
  // Nodes that are asked no more: once given up, their instance was stopped, or their PostgreSQL could not be.
  const away = new Set(options.unasked);
  const steps: Step[] = [];
  const changes: NodeChange[] = [];
  const notes: NodeNote[] = [];
  for (;;) {
    const isBooting = fresh.size > 0 || starting.length > 0 || steps.some(isTerraformStep);
    // A machine that this run has made is waited for like any other that boots.
    const patience = decide === undefined || fresh.size > 0;
    const described = buildDesired(access.inputs.spec, {
      existing: standing,
      instanceType,
      memoryMib,
      allowsSlotLoss,
    });
    const asked = standing.filter(({ name }) => !away.has(name));
    const seen =
      asked.length === 0
        ? NO_OBSERVATION
        : await nodes.observe(asked, {
            desired: described,
            waitSeconds: patience ? (isBooting ? BOOT_SECONDS : REBOOT_SECONDS) : LOST_SECONDS,
            ...(patience ? {} : { lookSeconds: OBSERVE_SECONDS }),
            fresh: [...fresh],
          });
    const sighting = { ...seen, unreachable: [...seen.unreachable, ...away] };
    const reachable = removeNodes(described, sighting.unreachable);
    let desired = described;
    let decision: Rollout;
    // Where nobody was seen there is nothing to decide, and the likely cause is the way to the nodes.
    const isGivenUp = away.size > (options.unasked?.length ?? 0);
    if (decide && (sighting.observed.length > 0 || isGivenUp)) {
      decision = decide(sighting, { desired, reachable });
    } else {
      const known = { asked: standing, away: [...away], fresh: [...fresh], states };
      const found = requireObservation(seen, desired, { ...known, vantage: findVantage(access) });
      for (const name of found.away) away.add(name);
      desired = { ...described, unreachable: found.away };
      decision = rollout(found.observed, desired);
    }
    if (!('steps' in decision)) throw new UserError(decision.refusals);
    if (decision.deferral) onLeftOut?.(decision.deferral);
    onSteps?.([...steps, ...decision.steps]);
    const [first] = decision.steps;
    if (first) refuseRepetition(steps, first);

    if (first && isTerraformStep(first)) {
      if (infrastructure === null) throw new Error(`${first.kind} without Terraform`);
      access.log(`${first.kind} ${first.nodes.join(', ')}`);
      standing = await changeInstances(infrastructure, first);
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
      proofToken: isLast ? randomUUID() : null,
      image: pinImage(sighting.observed, desired, { reviewed }),
      collationLabel: { input: 'allow-collation-label', label: allowCollationLabel, labels },
    };
    // A node that is away keeps its place in every file.
    const target = decide ? reachable : { ...desired, leaving: reachable.leaving };
    let report: AnsibleResult;
    try {
      report = await nodes.perform(work, target, (added) => {
        notes.push(...added);
        onNotes?.([...notes]);
      });
    } catch (error) {
      const [fence] = segment;
      if (!(error instanceof UserError) || fence?.kind !== 'fence' || !decide) throw error;
      // It was tried over SSH; what is left is its instance.
      access.log(`${fence.nodes[0]} could not be fenced over SSH. ${error.message}`);
      away.add(fence.nodes[0]);
      continue;
    }
    steps.push(...segment);
    changes.push(...report.changes);
    if (isLast) {
      return {
        primary,
        steps,
        changes,
        proof: report.proof,
        nodes: standing,
        leftOut: decision.deferral ?? null,
        proved: target.nodes.filter(({ name }) => !away.has(name)),
      };
    }
  }
}

/** Where this runner logs in from. */
export function findVantage({ inputs }: NodeAccess): RunnerNetwork {
  const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const addresses = interfaces
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
  return { sshCidrs: inputs.spec.sshCidrs, addresses };
}

/**
 * What was seen of the nodes, and which are away. A node may be out of reach as long as another one answers as the
 * primary: one that stays is gone around, and on one that leaves nothing is left to be done. One that this run has made
 * may not, nor one whose SSH server answers: its PostgreSQL may run as ever.
 *
 * @throws UserError with the likely cause and the way out first, then what failed on which node
 */
export function requireObservation(
  { observed, unreachable, broken, locked, failures }: ClusterObservation,
  desired: DesiredCluster,
  options: {
    asked: readonly Node[];
    /** Nodes that were given up before. */
    away?: readonly string[];
    /** Nodes that this run has made. */
    fresh?: readonly string[];
    states: UnreachableNodes['states'];
    vantage: RunnerNetwork;
  },
): { readonly observed: readonly NodeObservation[]; readonly away: readonly string[] } {
  const { asked, away: before = [], fresh = [], states, vantage } = options;
  const leaves = (name: string) => desired.leaving.some((node) => node.name === name);
  const silent = unreachable.filter((name) => !broken.includes(name) && !locked.includes(name));
  const lost = [...silent, ...locked.filter(leaves)];
  const lockedOut = locked.filter((name) => !leaves(name));
  const away = [...before, ...lost].filter((name) => !leaves(name)).sort(compareNames);
  if (lost.length + before.length + broken.length + lockedOut.length === 0) {
    return { observed, away };
  }
  const isPrimarySeen = observed.some(isRunningPrimary);
  const isSafe =
    broken.length === 0 &&
    lockedOut.length === 0 &&
    isPrimarySeen &&
    !away.some((name) => fresh.includes(name));
  if (isSafe) {
    const gone = [...before, ...lost].filter(leaves);
    return { observed: [...observed, ...gone.map(buildFreshObservation)], away };
  }
  const silence = { asked, silent: [...before, ...silent], locked: lockedOut, states };
  throw new UserError([
    ...explainUnreachable(silence, { vantage, isPrimarySeen }),
    ...(broken.length === 0
      ? []
      : [
          `${broken.join(', ')} can be logged in to, but the look at it failed, so nothing more was done. Fix what the messages name; its server may run as ever.`,
        ]),
    ...failures,
  ]);
}

/** The cluster without the nodes that nobody can reach: they come back when somebody can. */
function removeNodes(desired: DesiredCluster, names: readonly string[]): DesiredCluster {
  const remains = ({ name }: Node) => !names.includes(name);
  return {
    ...desired,
    primary: names.includes(desired.primary ?? '') ? null : desired.primary,
    nodes: desired.nodes.filter(remains),
    leaving: desired.leaving.filter(remains),
  };
}

function changeInstances(
  infrastructure: Infrastructure,
  step: TerraformStep,
): Promise<readonly Node[]> {
  switch (step.kind) {
    case 'resize':
      return infrastructure.resize(step.nodes[0]);
    case 'halt':
      return infrastructure.halt(step.nodes[0]);
    case 'replace':
      return infrastructure.replace(step.nodes[0]);
    case 'destroy':
      return infrastructure.destroy();
    case 'provision':
    case 'boot':
      throw new Error(`${step.nodes.join(', ')} was applied and does not stand`);
  }
}

function requireNodeCount(nodes: readonly Node[], replicaCount: number): void {
  const wanted = replicaCount + 1;
  const { length: standing } = nodes;
  if (standing === wanted) return;
  const leaving = nodes.slice(wanted).map(({ name }) => name);
  const next =
    standing < wanted
      ? 'Run apply first'
      : `${leaving.join(', ')} ${leaving.length === 1 ? 'leaves' : 'leave'}, and PostgreSQL and Terraform take turns in that: merge the change; where its job was interrupted or failed, run that job again, which goes on with what is left of ${leaving.length === 1 ? 'it' : 'them'}`;
  throw new UserError(
    `replica-count: ${replicaCount} asks for ${wanted} nodes, Terraform's state has ${standing}. ${next}. Or give replica-count ${standing - 1}.`,
  );
}

function refuseRepetition(done: readonly Step[], next: Step): void {
  const last = done.slice(-MAX_REPETITIONS);
  if (last.length < MAX_REPETITIONS) return;
  if (last.some((step) => JSON.stringify(step) !== JSON.stringify(next))) return;
  throw new UserError(
    `${next.nodes.join(', ')}: the step ${next.kind} was done ${MAX_REPETITIONS} times and is still asked for. Look at the log of that step; something undoes it.`,
  );
}

/**
 * libpq's connection string over all nodes (PostgreSQL manual, 34.1.1): whichever is primary is found by
 * the client. The password is not in it.
 */
export function renderConnectionString(nodes: readonly Node[]): string {
  const hosts = nodes.map((node) => `${sshAddress(node)}:5432`).join(',');
  return `postgresql://postgres@${hosts}/postgres?target_session_attrs=read-write`;
}
