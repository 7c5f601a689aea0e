import * as core from '@actions/core';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { Node } from '../cluster/node.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import { isRunningPrimary, isStreaming } from '../cluster/replication.ts';
import { rolloutAfterFailover } from '../cluster/rollout/after-failover.ts';
import { planFailover } from '../cluster/rollout/failover.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { UserError } from '../messages/errors.ts';
import type { ConfigureResult, DecideSteps } from '../operations/configure.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import { describeCountMismatch } from '../operations/node-count.ts';
import { warn } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { readNodes, readState } from '../terraform/outputs.ts';
import type { Announcement } from './announcement.ts';
import { configureNodes } from './configure-nodes.ts';
import { haltInstance } from './halt.ts';
import type { Job } from './job.ts';
import { openTerraform, readTerraformState } from './open-terraform.ts';
import { type RefreshedNodes, refreshNodes } from './refresh-nodes.ts';
import { replaceInstance } from './staged-apply.ts';
import { summarizeRun } from './summarize-run.ts';
import { ensureDirectory } from './terraform-directory.ts';

const NEXT_STEP = 'Fix the cause and run the failover again: it looks at every node first.';

/**
 * Promotes the most advanced replica because the primary does not answer, and brings back every node that can be reached.
 *
 * @param options.fenced the node that a person declares to be down for good
 * @throws UserError with the reason of a refusal, or what failed on which node
 */
export async function failOver(
  given: Job,
  options: { announcement: Announcement; commit: string; fenced: string | null },
): Promise<void> {
  const { announcement, commit, fenced } = options;
  // Any replica may be promoted; the next deploy moves the primary to where the inputs want it.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  const nextStep = () => NEXT_STEP;
  await summarizeRun(job, { announcement, commit, nextStep }, async (progress, listeners) => {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await readTerraformState(terraform);
    const outputs = await terraform.outputs();
    const known = readNodes(outputs, {
      directory: job.workspace.directory,
      spec,
    });
    requireSameSize(known.length, spec.replicaCount);
    const { nodes, excluded, gone, states } = await refreshOrUseState(job, terraform, known);
    if (fenced !== null && states === null) {
      core.warning(
        `fenced: AWS cannot be asked, so the input is trusted: ${fenced} is treated as down. If its instance runs nevertheless, there will be two primaries.`,
      );
    }
    const result = await configureNodes(job, {
      nodes,
      instanceType: null,
      memoryMib: null,
      excluded,
      endpointId: readState(outputs)?.endpointId ?? null,
      infrastructure: createInfrastructure(job, terraform, nodes),
      // Slots of the primary are lost with it unless a replica has a copy.
      allowsSlotLoss: true,
      decide: decideFailover({ fenced, gone, states }),
      ...listeners,
      onNotes: (notes) => {
        progress.warnings = notes.map(({ node, note }) => `${node}: ${note}.`);
      },
    });
    core.notice(`${result.primary} is the primary now.`);
    warnAfterFailover(given, result);
    return result;
  });
}

/** Warns if the inputs of the next deploy would stop writes or move the primary back. */
function warnAfterFailover({ inputs }: Job, { primary, proof }: ConfigureResult): void {
  const { synchronousReplicas, primary: wanted } = inputs.spec;
  const streaming = proof.filter(({ state }) => state === 'streaming').length;
  if (streaming < synchronousReplicas) {
    core.warning(
      `synchronous-replicas: commits wait for ${synchronousReplicas} and ${streaming} ${streaming === 1 ? 'streams' : 'stream'}, so all writes wait. Bring the other nodes back, or deploy with synchronous-replicas: ${streaming}.`,
    );
  }
  if (wanted !== null && wanted !== primary) {
    core.warning(
      `primary: ${wanted} would become the primary again with the next deploy. Change the input if that is not wanted.`,
    );
  }
}

/** Refuses to add or remove nodes during a failover. */
function requireSameSize(existing: number, replicaCount: number): void {
  const mismatch = describeCountMismatch(existing, replicaCount);
  if (mismatch === null) return;
  throw new UserError(
    `${mismatch} Give a failover the inputs of the last deploy; if that deploy changed the number and did not finish, use replica-count ${existing - 1}.`,
  );
}

/**
 * Returns the nodes as AWS reports them. An AWS that does not answer must not keep a database down: then Terraform's state
 * and the input `fenced` have to do (`states` is null). The rest of the configuration is not planned: its defects do not
 * concern the existing instances.
 */
async function refreshOrUseState(
  job: Job,
  terraform: Terraform,
  known: readonly Node[],
): Promise<
  Pick<RefreshedNodes, 'nodes' | 'excluded'> & {
    gone: readonly string[];
    states: Readonly<Record<string, string>> | null;
  }
> {
  try {
    const { nodes, states, excluded } = await refreshNodes(job, terraform);
    const gone = nodes.map(({ name }) => name).filter((name) => states[name] === 'terminated');
    return { nodes, excluded, gone, states };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // `refreshNodes` begins with a sentence for jobs that would send passwords.
    const reasons = error.problems.length > 1 ? error.problems.slice(1) : error.problems;
    core.warning(
      `The nodes could not be looked up in AWS, so the addresses of the last apply are used. ${reasons.join(' ')}`,
    );
    return { nodes: known, excluded: [], gone: [], states: null };
  }
}

function createInfrastructure(
  job: Job,
  terraform: Terraform,
  nodes: readonly Node[],
): Infrastructure {
  const refuse = async (): Promise<never> => {
    throw new Error('a failover neither resizes nor removes nodes');
  };
  return {
    resize: refuse,
    destroy: refuse,
    async halt(name) {
      const node = nodes.find((one) => one.name === name);
      if (!node) throw new Error(`${name} does not exist`);
      await explain(() => haltInstance(job, terraform, node), {
        problem: `${name} cannot be reached, and its instance could not be stopped, so nothing was promoted. Stop it in EC2 yourself (aws ec2 stop-instances --force --instance-ids ${node.instanceId}) and run this again with fenced: ${name} once EC2 says stopped.`,
      });
      return nodes;
    },
    replace: (name) =>
      explain(() => replaceInstance(job, terraform, name), {
        problem: `There is a primary again. The instance of ${name}, the former primary, was stopped and could not be replaced. Leave it stopped, and run the action with command: replace and replace: ${name} to bring the node back with another instance.`,
      }),
  };
}

/** Puts `problem` and its fix before Terraform's messages. */
async function explain<Result>(
  work: () => Promise<Result>,
  { problem }: { problem: string },
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError([problem, ...error.problems]);
  }
}

/**
 * Returns a function that decides on a failover until a node is promoted, and on an ordinary rollout afterwards. A node
 * whose instance was stopped gets another one last, once all other nodes follow the new primary: that may take long.
 */
function decideFailover(options: {
  fenced: string | null;
  gone: readonly string[];
  states: Readonly<Record<string, string>> | null;
}): DecideSteps {
  const { fenced } = options;
  const gone = new Set(options.gone);
  let { states } = options;
  let isPromoted = false;
  let old: string | null = null;
  let halted: string | null = null;
  const reached = new Set<string>();
  const warned = new Set<string>();
  return ({ observed, unreachable }, { desired, reachable }) => {
    if (isPromoted || isHalfDone({ observed, unreachable }, { desired, fenced, gone })) {
      const { decision, leftOut } = rolloutAfterFailover(observed, reachable);
      for (const reason of leftOut.filter((one) => !warned.has(one))) warn(reason);
      for (const reason of leftOut) warned.add(reason);
      if (halted === null || decision.kind !== 'steps') return decision;
      if (decision.steps.length > 0) return { ...decision, observeAgain: true };
      const replacement: Step = { kind: 'replace', nodes: [halted] };
      halted = null;
      return { ...decision, steps: [replacement], observeAgain: true };
    }
    for (const { name } of observed) reached.add(name);
    const decision = planFailover(
      {
        observed,
        unreachable,
        terminated: [...gone],
        states,
        reached: [...reached],
        formerPrimary: old,
      },
      { desired, fenced },
    );
    for (const step of decision.kind === 'steps' ? decision.steps : []) {
      if (step.kind === 'halt' || step.kind === 'fence') old = step.nodes[0];
      if (step.kind === 'halt') {
        halted = step.nodes[0];
        states = { ...states, [halted]: 'stopped' };
      }
      if (step.kind === 'promote') isPromoted = true;
    }
    return decision;
  };
}

/**
 * Whether an earlier failover promoted a node and stopped there: the fenced node is still away, or reachable replicas do
 * not follow the new primary. Any other node that is away is a replica, whose slot must be kept.
 */
function isHalfDone(
  {
    observed,
    unreachable,
  }: { observed: readonly NodeObservation[]; unreachable: readonly string[] },
  {
    desired,
    fenced,
    gone,
  }: { desired: DesiredCluster; fenced: string | null; gone: ReadonlySet<string> },
): boolean {
  const [primary, second] = observed.filter(isRunningPrimary);
  if (!primary || second) return false;
  if (fenced !== null && unreachable.includes(fenced)) return true;
  return (
    unreachable.every((name) => gone.has(name)) &&
    observed.some(
      (node) =>
        node !== primary &&
        node.data === 'complete' &&
        !isStreaming(node, { primary: primary.name, desired }),
    )
  );
}
