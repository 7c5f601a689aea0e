import * as core from '@actions/core';
import type { DesiredCluster } from '../cluster/desired.ts';
import type { Node } from '../cluster/node.ts';
import type { NodeObservation } from '../cluster/observation.ts';
import type { NodeProof } from '../cluster/proof.ts';
import { isRunningPrimary, isStreaming } from '../cluster/replication.ts';
import { planFailover } from '../cluster/rollout/failover.ts';
import { rollout } from '../cluster/rollout/rollout.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import { type DecideSteps, renderConnectionString } from '../operations/configure.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import type { DeployState } from '../report/deploy-comment.ts';
import { renderDeploySummary } from '../report/summary.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import type { Announcement } from './announcement.ts';
import { haltInstance } from './halt.ts';
import { ensureDirectory, type Job, openTerraform } from './job.ts';
import { type RefreshedNodes, refreshNodes } from './refresh-nodes.ts';
import { beginReport } from './run-context.ts';
import { configureNodes } from './single-operation.ts';
import { replaceInstance } from './staged-apply.ts';

/**
 * Makes the most advanced replica the primary because the primary does not answer, and brings back every node that
 * can be reached. `fenced`: the node of which a person says that it is down and stays down.
 *
 * @throws UserError with the reason where a failover is refused, or what failed on which node
 */
export async function failOver(
  given: Job,
  options: { announcement: Announcement; commit: string; fenced: string | null },
): Promise<void> {
  const { announcement, commit, fenced } = options;
  // Whichever node is the best: where the primary shall be in the end is the next deploy's.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  let steps: readonly Step[] = [];
  let proof: readonly NodeProof[] = [];
  let warnings: readonly string[] = [];
  const summarize = (progress: DeployState) =>
    announcement.summarize(
      { ...beginReport(job, { commit, warnings }), progress, steps, proof },
      renderDeploySummary,
    );
  try {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await logGroup('Read the state', () => terraform.init());
    const known = readNodes(await terraform.outputs(), {
      directory: job.workspace.directory,
      spec,
    });
    requireNodeCount(known.length, spec.replicaCount);
    const {
      nodes: standing,
      unasked,
      gone,
      states,
    } = await refreshOrUseState(job, terraform, known);
    if (fenced !== null && states === null) {
      core.warning(
        `fenced: ${fenced} is believed without another look, as AWS cannot be asked. If its instance runs nevertheless, there will be two primaries.`,
      );
    }
    const result = await configureNodes(job, {
      nodes: standing,
      instanceType: null,
      memoryMib: null,
      unasked,
      infrastructure: createInfrastructure(job, terraform, standing),
      // Those of the primary are lost with it where no replica has a copy.
      allowsSlotLoss: true,
      decide: decideFailover({ fenced, gone, states }),
      onSteps: (all) => {
        steps = all;
      },
      onNotes: (notes) => {
        warnings = notes.map(({ node, note }) => `${node}: ${note}.`);
      },
      onProof: (all) => {
        proof = all;
      },
    });
    core.notice(`${result.primary} is the primary now.`);
    const streaming = result.proof.filter(({ state }) => state === 'streaming').length;
    if (streaming < spec.synchronousReplicas) {
      core.warning(
        `synchronous-replicas: commits wait for ${spec.synchronousReplicas} and ${streaming} ${streaming === 1 ? 'streams' : 'stream'}, so all writes wait. Bring the other nodes back, or deploy with synchronous-replicas: ${streaming}.`,
      );
    }
    const wanted = given.inputs.spec.primary;
    if (wanted !== null && wanted !== result.primary) {
      core.warning(
        `primary: ${wanted} would become the primary again with the next deploy. Change the input if it shall not.`,
      );
    }
    const connectionString = renderConnectionString(result.nodes);
    await summarize({ state: 'done', connectionString, changes: result.changes.length });
  } catch (error) {
    await summarize({
      state: 'failed',
      phase: 'configuring',
      error: readMessage(error),
      nextStep: 'Fix the cause and run the failover again: it looks at every node first.',
    });
    throw error;
  }
}

/** A lost primary is no time to add nodes or to remove them. */
function requireNodeCount(standing: number, replicaCount: number): void {
  if (standing === replicaCount + 1) return;
  throw new UserError(
    `replica-count: ${replicaCount} asks for ${replicaCount + 1} nodes, Terraform's state has ${standing}. Give a failover the inputs of the last deploy; where that one was to change the number and did not finish, replica-count ${standing - 1}.`,
  );
}

/**
 * The nodes as AWS knows them. A provider that does not answer must not keep a database down: then Terraform's state
 * has to do, and a person's word (`states` is null). The rest of the configuration is not planned: what is wrong with
 * it does not concern the instances that are there.
 */
async function refreshOrUseState(
  job: Job,
  terraform: Terraform,
  known: readonly Node[],
): Promise<
  Pick<RefreshedNodes, 'nodes' | 'unasked'> & {
    gone: readonly string[];
    states: Readonly<Record<string, string>> | null;
  }
> {
  try {
    const { nodes, states, unasked } = await refreshNodes(job, terraform);
    const gone = nodes.map(({ name }) => name).filter((name) => states[name] === 'terminated');
    return { nodes, unasked, gone, states };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // The first sentence is for those who would send passwords.
    const reasons = error.problems.length > 1 ? error.problems.slice(1) : error.problems;
    core.warning(
      `The nodes could not be looked up in AWS, so the addresses of the last apply are used. ${reasons.join(' ')}`,
    );
    return { nodes: known, unasked: [], gone: [], states: null };
  }
}

function createInfrastructure(
  job: Job,
  terraform: Terraform,
  standing: readonly Node[],
): Infrastructure {
  const refuse = async (): Promise<never> => {
    throw new Error('a failover neither resizes nor removes nodes');
  };
  return {
    resize: refuse,
    destroy: refuse,
    async halt(name) {
      const node = standing.find((one) => one.name === name);
      if (!node) throw new Error(`${name} does not stand`);
      await explain(() => haltInstance(job, terraform, node), {
        problem: `${name} cannot be reached, and its instance could not be stopped, so nothing was promoted. Stop it in EC2 yourself (aws ec2 stop-instances --force --instance-ids ${node.instanceId}) and run this again with fenced: ${name} once EC2 says stopped.`,
      });
      return standing;
    },
    replace: (name) =>
      explain(() => replaceInstance(job, terraform, name), {
        problem: `There is a primary again. The instance of ${name}, the former primary, was stopped and could not be replaced. Leave it stopped, and run the action with command: replace and replace: ${name} to bring the node back with another instance.`,
      }),
  };
}

/** Puts what is to be done about it before Terraform's words. */
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
 * First a failover; once there is a primary again all that is left is an ordinary rollout. A node whose instance was
 * stopped for it gets another one last, when everybody else follows the new primary: that may take long.
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
  return ({ observed, unreachable }, { desired, reachable }) => {
    if (isPromoted || isHalfDone({ observed, unreachable }, { desired, fenced, gone })) {
      // One whose volume takes no writes is gone around: the others must follow the new primary.
      const failing = observed.filter(({ volume }) => volume.readOnly).map(({ name }) => name);
      const decision = rollout(
        observed.filter(({ name }) => !failing.includes(name)),
        failing.length === 0 ? reachable : { ...reachable, unreachable: failing },
      );
      if (halted === null || !('steps' in decision)) return decision;
      if (decision.steps.length > 0) return { ...decision, observeAgain: true };
      const replacement: Step = { kind: 'replace', nodes: [halted] };
      halted = null;
      return { ...decision, steps: [replacement], observeAgain: true };
    }
    for (const { name } of observed) reached.add(name);
    const decision = planFailover(
      { observed, unreachable, gone: [...gone], states, reached: [...reached], old },
      { desired, fenced },
    );
    for (const step of 'steps' in decision ? decision.steps : []) {
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
 * An earlier failover promoted a node and went no further: the node that was given up is still away, or replicas
 * that can be reached do not follow the new primary. Any other node that is away is only a replica, whose slot
 * must be kept.
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
