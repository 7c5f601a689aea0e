import * as core from '@actions/core';
import type { NodeProof } from '../cluster/proof.ts';
import { planReplacement } from '../cluster/rollout/replacement.ts';
import type { Step } from '../cluster/rollout/step.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import { type DecideSteps, renderConnectionString } from '../operations/configure.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import type { DeployReport, DeployState } from '../report/deploy-comment.ts';
import { renderDeploySummary } from '../report/summary.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { Announcement } from './announcement.ts';
import { ensureDirectory, type Job, openTerraform, refuseForeignCluster } from './job.ts';
import { type RefreshedNodes, refreshNodes } from './refresh-nodes.ts';
import { beginReport } from './run-context.ts';
import { configureNodes } from './single-operation.ts';
import { replaceInstance } from './staged-apply.ts';

/**
 * Gives one node, `request.replace`, another instance: another node becomes the primary first where it is one, its data
 * volume is attached again or, with `request.replaceVolume`, a blank one is cloned, and replication is proved.
 *
 * @throws UserError where another node is down or the node is not one of the cluster's, or what failed on which node
 */
export async function replaceNode(
  given: Job,
  options: { announcement: Announcement; commit: string },
): Promise<void> {
  const { announcement, commit } = options;
  const { replace: node, replaceVolume: volume } = given.inputs;
  if (node === null) throw new Error('a replacement without a node');
  // Where the primary shall be in the end is the next deploy's.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  let steps: readonly Step[] = [];
  let proof: readonly NodeProof[] = [];
  let notes: DeployReport['notes'] = [];
  const summarize = (progress: DeployState) =>
    announcement.summarize(
      { ...beginReport(job, { commit }), progress, steps, proof, notes },
      renderDeploySummary,
    );
  try {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await refuseForeignCluster(job, terraform);
    const found = await refreshNodes(job, terraform);
    requireClusterNode(node, { found, replicaCount: spec.replicaCount });
    const result = await configureNodes(job, {
      ...found,
      instanceType: null,
      memoryMib: null,
      infrastructure: createReplacement(job, terraform, { node, volume }),
      decide: decideReplacement(node),
      onSteps: (all) => {
        steps = all;
      },
      onNotes: (all) => {
        notes = all;
      },
      onProof: (all) => {
        proof = all;
      },
    });
    core.notice(`${node} has another instance${volume ? ' and a new data volume' : ''}.`);
    const wanted = given.inputs.spec.primary;
    if (wanted !== null && wanted !== result.primary) {
      core.warning(
        `${result.primary} is the primary now; the next deploy makes ${wanted} the primary again, as the input primary asks.`,
      );
    }
    const connectionString = renderConnectionString(result.nodes);
    await summarize({ state: 'done', connectionString, changes: result.changes.length });
  } catch (error) {
    await summarize({
      state: 'failed',
      phase: 'configuring',
      error: readMessage(error),
      nextStep: steps.some(({ kind }) => kind === 'replace')
        ? 'Fix the cause and deploy: it looks at every node and does the rest.'
        : 'Fix the cause and run this again: it looks at every node first.',
    });
    throw error;
  }
}

function requireClusterNode(
  node: string,
  { found, replicaCount }: { found: RefreshedNodes; replicaCount: number },
): void {
  const standing = found.nodes.map(({ name }) => name);
  if (!standing.includes(node)) {
    throw new UserError(
      `replace: ${node} is none of the cluster's nodes (${standing.join(', ') || 'none'}). Name one of them.`,
    );
  }
  if (standing.length !== replicaCount + 1) {
    throw new UserError(
      `replica-count: ${replicaCount} asks for ${replicaCount + 1} nodes, Terraform's state has ${standing.length}. Give a replacement the inputs of the last deploy.`,
    );
  }
}

/** Terraform replaces this node and does nothing else. */
function createReplacement(
  job: Job,
  terraform: Terraform,
  { node, volume }: { node: string; volume: boolean },
): Infrastructure {
  const refuse = async (): Promise<never> => {
    throw new Error('a replacement neither resizes nor removes nodes');
  };
  return {
    resize: refuse,
    destroy: refuse,
    halt: refuse,
    replace: async (name) => {
      if (name !== node) return refuse();
      return replaceInstance(job, terraform, node, { volume });
    },
  };
}

/** Decides the steps of a replacement of `node` from what is seen before and after it. */
export function decideReplacement(node: string): DecideSteps {
  let isReplaced = false;
  return (sighting, { desired }) => {
    const decision = planReplacement(sighting, { desired, node, isReplaced });
    // It is Terraform's turn at once.
    if ('steps' in decision && decision.steps[0]?.kind === 'replace') isReplaced = true;
    return decision;
  };
}
