import { randomUUID } from 'node:crypto';
import { sshAddress } from '../ansible/inventory.ts';
import type { AnsibleResult } from '../ansible/result.ts';
import type { Node } from '../cluster/configuration.ts';
import { type DesiredCluster, describeDesired } from '../cluster/desired.ts';
import { pinImage } from '../cluster/image.ts';
import { describeFreshNode, type NodeObservation } from '../cluster/observation.ts';
import { findProofProblems, type NodeProof } from '../cluster/proof.ts';
import { isRunningPrimary } from '../cluster/replication.ts';
import { type Rollout, rollout } from '../cluster/rollout.ts';
import { isTerraformStep, type Step, type TerraformStep } from '../cluster/step.ts';
import { UserError } from '../errors.ts';
import type { Infrastructure } from './infrastructure.ts';
import { type NodeAccess, Nodes, type Sighting } from './nodes.ts';
import { writeResult } from './result.ts';

/** How long a node may take to boot. */
const BOOT_SECONDS = 300;
/** How long to wait for one that is perhaps never to come back. */
const LOST_SECONDS = 20;
/** The same step so many times in a row leads nowhere. */
const REPETITIONS = 3;

/** What was done and what was proved. */
export interface ConfigureResult {
  readonly primary: string;
  /** In the order they were done. */
  readonly steps: readonly Step[];
  readonly changes: readonly NodeChange[];
  readonly proof: readonly NodeProof[];
  readonly nodes: readonly Node[];
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

/** What is told while it happens, so that it is known even if the end is a failure. */
export interface ConfigureListeners {
  /** The steps that were done and those that are ahead. */
  readonly onSteps?: (steps: readonly Step[]) => void;
  readonly onProof?: (proof: readonly NodeProof[]) => void;
}

/** How the next steps are decided from what was seen; `reachable` is the part of `desired` that was. */
export type Decide = (
  sighting: Sighting,
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
    /** Null: the instances stay what they are. */
    infrastructure: Infrastructure | null;
    /** Nodes whose machine this run has made. */
    fresh?: readonly string[];
    /** Digest of the image that was reviewed; null or none where nobody could tell, or nothing was. */
    reviewedImage?: string | null;
    /** Nodes may be out of reach, and somebody else than `rollout` decides. */
    decide?: Decide;
  } & ConfigureListeners,
): Promise<ConfigureResult> {
  const { directory, log } = access;
  if (options.infrastructure === null) {
    checkNodeCount(options.nodes.length, access.request.spec.replicaCount);
  }
  const nodes = new Nodes(access);
  let outcome: Outcome;
  try {
    outcome = await converge(nodes, { access, ...options });
  } finally {
    await nodes.close();
  }
  const { proof, changes } = outcome;
  options.onProof?.(proof);
  log(
    `${changes.length} ${changes.length === 1 ? 'task' : 'tasks'} changed something on the nodes`,
  );
  const jsonFile = await writeResult(directory, 'configure', outcome);
  const expected = outcome.proved.map(({ name }) => name);
  const problems = findProofProblems(proof, expected);
  if (problems.length > 0) {
    throw new UserError(problems.map((problem) => `Replication is not proved. ${problem}`));
  }
  return { ...outcome, inventory: nodes.inventory, jsonFile };
}

interface Outcome extends Omit<ConfigureResult, 'inventory' | 'jsonFile'> {
  /** Those that the proof was asked of. */
  readonly proved: readonly Node[];
}

async function converge(
  nodes: Nodes,
  options: { access: NodeAccess } & Parameters<typeof configure>[1],
): Promise<Outcome> {
  const { access, instanceType, memoryMib, infrastructure, decide, onSteps } = options;
  const { reviewedImage: reviewed = null } = options;
  let standing = options.nodes;
  const fresh = new Set(options.fresh);
  // Nodes that are asked no more: their instance was stopped, or their PostgreSQL could not be.
  const away = new Set<string>();
  const steps: Step[] = [];
  const changes: NodeChange[] = [];
  for (;;) {
    const desired = describeDesired(access.request.spec, { standing, instanceType, memoryMib });
    const asked = standing.filter(({ name }) => !away.has(name));
    const seen = await nodes.observe(asked, {
      desired,
      waitSeconds: decide ? LOST_SECONDS : BOOT_SECONDS,
      fresh: [...fresh],
    });
    const sighting = { ...seen, unreachable: [...seen.unreachable, ...away] };
    const reachable = removeNodes(desired, sighting.unreachable);
    const decision = decide
      ? decide(sighting, { desired, reachable })
      : rollout(requireSight(sighting, desired), desired);
    if (!('steps' in decision)) throw new UserError(decision.refusals);
    onSteps?.([...steps, ...decision.steps]);
    const [first] = decision.steps;
    if (first) refuseRepetition(steps, first);

    if (first && isTerraformStep(first)) {
      if (infrastructure === null) throw new Error(`${first.kind} without Terraform`);
      access.log(`${first.kind} ${first.nodes.join(', ')}`);
      standing = await change(infrastructure, first);
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
    };
    let report: AnsibleResult;
    try {
      report = await nodes.perform(work, reachable);
    } catch (error) {
      const [fence] = segment;
      if (!(error instanceof UserError) || fence?.kind !== 'fence' || infrastructure === null) {
        throw error;
      }
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
        proved: reachable.nodes,
      };
    }
  }
}

/**
 * What was seen of the nodes, all of them; but a node that leaves may be out of reach, as long as the primary is
 * another one: then nothing is left to be done on it.
 *
 * @throws UserError with why which node could not be looked at
 */
export function requireSight(
  { observed, unreachable, broken, failures }: Sighting,
  desired: DesiredCluster,
): readonly NodeObservation[] {
  const leaves = (name: string) => desired.leaving.some((node) => node.name === name);
  const lost = unreachable.filter((name) => !broken.includes(name));
  const isSafe = broken.length === 0 && lost.every(leaves) && observed.some(isRunningPrimary);
  if (unreachable.length === 0) return observed;
  if (isSafe) return [...observed, ...unreachable.map(describeFreshNode)];
  const wayOut = {
    broken: `${broken.join(', ')} can be logged in to, but the look at it failed, so nothing more was done. Fix what the messages above name; its server may run as ever.`,
    lost: `${lost.join(', ')} could not be reached, so nothing more was done. Bring it back; or, where its instance is lost for good, terminate it in EC2 (lift its termination protection first) and merge a pull request, any edit that is planned: its plan makes another one around the data volume. If it was the primary, run the action with command: failover first.`,
  };
  throw new UserError([
    ...failures,
    ...(broken.length > 0 ? [wayOut.broken] : []),
    ...(lost.length > 0 ? [wayOut.lost] : []),
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

function change(infrastructure: Infrastructure, step: TerraformStep): Promise<readonly Node[]> {
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
      throw new Error(`${step.nodes.join(', ')} was applied and does not stand`);
  }
}

function checkNodeCount(standing: number, replicaCount: number): void {
  const wanted = replicaCount + 1;
  if (standing === wanted) return;
  const next =
    standing < wanted
      ? 'Run apply first'
      : 'Merge the change, so that PostgreSQL and Terraform take turns';
  throw new UserError(
    `replica-count: ${replicaCount} asks for ${wanted} nodes, Terraform's state has ${standing}. ${next}, or give replica-count ${standing - 1}.`,
  );
}

function refuseRepetition(done: readonly Step[], next: Step): void {
  const last = done.slice(-REPETITIONS);
  if (last.length < REPETITIONS) return;
  if (last.some((step) => JSON.stringify(step) !== JSON.stringify(next))) return;
  throw new UserError(
    `${next.nodes.join(', ')}: the step ${next.kind} was done ${REPETITIONS} times and is still asked for. Look at the log of that step; something undoes it.`,
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
