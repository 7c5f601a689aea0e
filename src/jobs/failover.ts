import * as core from '@actions/core';
import { planFailover } from '../cluster/failover.ts';
import type { NodeProof } from '../cluster/proof.ts';
import { rollout } from '../cluster/rollout.ts';
import type { Step } from '../cluster/step.ts';
import { UserError } from '../errors.ts';
import { type Decide, renderConnectionString } from '../operations/configure.ts';
import type { DeployState } from '../report/deploy-comment.ts';
import { renderDeploySummary } from '../report/summary.ts';
import { readNodes } from '../terraform/outputs.ts';
import type { Announcement } from './announcement.ts';
import { ensureDirectory, type Job, openTerraform, planDirectory } from './job.ts';
import { configureNodes } from './operation.ts';
import { Stages } from './stages.ts';

/**
 * Makes the most advanced replica the primary because the primary does not answer, and brings back whoever
 * can be reached. `fenced`: the node of which a person says that it is down and stays down.
 *
 * @throws UserError with the reason where a failover is refused, or what failed on which node
 */
export async function failOver(
  job: Job,
  options: { announcement: Announcement; commit: string; fenced: string | null },
): Promise<void> {
  const { announcement, commit, fenced } = options;
  let steps: readonly Step[] = [];
  let proof: readonly NodeProof[] = [];
  const summarize = (progress: DeployState) =>
    announcement.summarize(
      renderDeploySummary({
        cluster: job.request.spec.name,
        progress,
        plan: null,
        steps,
        proof,
        warnings: [],
        run: {
          commit,
          url: job.environment.runUrl,
          time: new Date(),
          terraformVersion: null,
          planDigest: null,
        },
      }),
    );
  try {
    await ensureDirectory(job);
    const { terraform } = await openTerraform(job);
    const reviewed = await planDirectory(job, terraform, { lock: true });
    const standing = readNodes(await terraform.outputs(), {
      directory: job.workspace.directory,
      spec: job.request.spec,
    });
    refuseOtherSize(standing.length, job.request.spec.replicaCount);
    const result = await configureNodes(job, {
      nodes: standing,
      instanceType: null,
      memoryMib: null,
      infrastructure: new Stages(job, { terraform, reviewed, standing }),
      decide: decideFailover(fenced),
      onSteps: (all) => {
        steps = all;
      },
      onProof: (all) => {
        proof = all;
      },
    });
    core.notice(`${result.primary} is the primary now.`);
    const connectionString = renderConnectionString(result.nodes);
    await summarize({ state: 'done', connectionString, changes: result.changes.length });
  } catch (error) {
    await summarize({
      state: 'failed',
      phase: 'configuring',
      error: error instanceof Error ? error.message : String(error),
      nextStep: 'Mend what it says and run the failover again: it looks at every node first.',
    });
    throw error;
  }
}

/** A lost primary is no time to add nodes or to remove them. */
function refuseOtherSize(standing: number, replicaCount: number): void {
  if (standing === replicaCount + 1) return;
  throw new UserError(
    `replica-count: ${replicaCount} asks for ${replicaCount + 1} nodes, Terraform's state has ${standing}. Give a failover the inputs of the last deploy.`,
  );
}

/** First a failover; once there is a primary again all that is left is an ordinary rollout. */
function decideFailover(fenced: string | null): Decide {
  let isPromoted = false;
  return ({ observed, unreachable }, { desired, reachable }) => {
    if (isPromoted) return rollout(observed, reachable);
    const decision = planFailover({ observed, unreachable }, { desired, fenced });
    // After a replacement the nodes are looked at once more before anyone is promoted.
    isPromoted = 'steps' in decision && decision.steps.every(({ kind }) => kind !== 'replace');
    return decision;
  };
}
