import * as core from '@actions/core';
import { planReplacement } from '../cluster/rollout/replacement.ts';
import { UserError } from '../messages/errors.ts';
import type { DecideSteps } from '../operations/configure.ts';
import type { Infrastructure } from '../operations/infrastructure.ts';
import { describeCountMismatch } from '../operations/node-count.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { Announcement } from './announcement.ts';
import { configureNodes } from './configure-nodes.ts';
import type { Job } from './job.ts';
import { openTerraform, refuseForeignCluster } from './open-terraform.ts';
import { type RefreshedNodes, refreshNodes } from './refresh-nodes.ts';
import { replaceInstance } from './staged-apply.ts';
import { summarizeRun } from './summarize-run.ts';
import { ensureDirectory } from './terraform-directory.ts';

/**
 * Replaces the instance of the node named by the input `replace`. If it is the primary, another node becomes the primary
 * first. The data volume is attached again or, with `replaceVolume`, replaced by a blank one and cloned. Then replication
 * is proved.
 *
 * @throws UserError if another node is down, if the node is not in the cluster, or with what failed on which node
 */
export async function replaceNode(
  given: Job,
  { announcement, commit }: { announcement: Announcement; commit: string },
): Promise<void> {
  const { replace: node, replaceVolume: volume } = given.inputs;
  if (node === null) throw new Error('a replacement without a node');
  // The next deploy moves the primary to where the inputs want it.
  const spec = { ...given.inputs.spec, primary: null };
  const job: Job = { ...given, inputs: { ...given.inputs, spec } };
  const nextStep = ({ steps }: { steps: readonly { kind: string }[] }) =>
    steps.some(({ kind }) => kind === 'replace')
      ? 'Fix the cause and deploy: it looks at every node and does the rest.'
      : 'Fix the cause and run this again: it looks at every node first.';
  await summarizeRun(job, { announcement, commit, nextStep }, async (_, listeners) => {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    await refuseForeignCluster(job, terraform);
    const found = await refreshNodes(job, terraform);
    requireClusterNode('replace', node, { found, replicaCount: spec.replicaCount });
    const result = await configureNodes(job, {
      ...found,
      instanceType: null,
      memoryMib: null,
      infrastructure: createReplacement(job, terraform, { node, volume }),
      decide: decideReplacement(node, { withVolume: volume }),
      ...listeners,
    });
    core.notice(`${node} has another instance${volume ? ' and a new data volume' : ''}.`);
    const wanted = given.inputs.spec.primary;
    if (wanted !== null && wanted !== result.primary) {
      core.warning(
        `${result.primary} is the primary now; the next deploy makes ${wanted} the primary again, as the input primary asks.`,
      );
    }
    return result;
  });
}

/**
 * Requires that `node`, given by `input`, is in the cluster and that the run has the inputs of the last deploy.
 *
 * @throws UserError
 */
export function requireClusterNode(
  input: 'replace' | 'discard',
  node: string,
  { found, replicaCount }: { found: RefreshedNodes; replicaCount: number },
): void {
  const names = found.nodes.map(({ name }) => name);
  if (!names.includes(node)) {
    throw new UserError(
      `${input}: ${node} is not a node of the cluster (${names.join(', ') || 'none'}). Name one of them.`,
    );
  }
  const mismatch = describeCountMismatch(names.length, replicaCount);
  if (mismatch !== null) {
    throw new UserError(`${mismatch} Give this run the inputs of the last deploy.`);
  }
}

/** Returns an infrastructure that can only replace the instance of this node. */
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

/** Returns a function that decides the steps before and after the replacement of `node`. */
export function decideReplacement(
  node: string,
  { withVolume }: { withVolume: boolean },
): DecideSteps {
  let isReplaced = false;
  return (observation, { desired }) => {
    const decision = planReplacement(observation, { desired, node, withVolume, isReplaced });
    // Terraform runs next.
    if (decision.kind === 'steps' && decision.steps[0]?.kind === 'replace') isReplaced = true;
    return decision;
  };
}
