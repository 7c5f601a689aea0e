import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { nodeNumber } from '../cluster/node.ts';
import { CancelledError, readMessage, UserError } from '../messages/errors.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { buildNodeChanges, instanceAddress, volumeAddress } from '../terraform/node-changes.ts';
import { explainApplyRefusal, permit } from '../terraform/permit.ts';
import { type PlanSummary, summarizePlan } from '../terraform/plan.ts';
import type { Job } from './job.ts';
import { survivorOptions } from './post-state.ts';

/**
 * Applies a plan. If that fails, the data volumes that it created for nodes without an instance are removed again: a
 * volume fixes the zone of its node, and the reason may be that the zone has no capacity. The next plan places them anew.
 * No instance has ever been there to write to them, so they are blank.
 *
 * @param summary the whole plan
 * @throws what `work` throws, with what was removed
 */
export async function discardBlankVolumes<Result>(
  job: Job,
  { terraform, summary }: { terraform: Terraform; summary: PlanSummary },
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError) || error instanceof CancelledError) throw error;
    try {
      const nodes = await discard(job, terraform, summary);
      if (nodes.length === 0) throw error;
      const names = nodes.join(', ');
      throw new UserError(
        [
          ...error.problems,
          `The blank data volumes of ${names}, which were just created, are removed again: the next deploy chooses the zones anew.`,
        ],
        { cause: error },
      );
    } catch (failure) {
      if (failure instanceof UserError && (failure === error || failure.cause === error)) {
        throw failure;
      }
      core.info(`Blank volumes of new nodes could not be removed: ${readMessage(failure)}`);
      throw error;
    }
  }
}

/** Removes the volumes and returns the names of their nodes. */
async function discard(job: Job, terraform: Terraform, summary: PlanSummary): Promise<string[]> {
  const { create } = buildNodeChanges(summary);
  const made = new Set(
    summary.resources.filter(({ action }) => action === 'create').map(({ address }) => address),
  );
  const fresh = create.filter((node) => made.has(volumeAddress(node)));
  if (fresh.length === 0) return [];
  const nodes = await findBlank(fresh, terraform);
  if (nodes.length === 0) return [];
  const { workspace, keys } = job;
  const planFile = join(workspace.temporary, `${randomUUID()}.tfplan`);
  return logGroup(`Remove the blank volumes of ${nodes.join(', ')}`, async () => {
    await terraform.plan(planFile, {
      publicKey: keys?.current ?? null,
      lock: true,
      // `-destroy -target` would include all instances, because they depend on the volumes as a whole.
      stage: {
        instanceTypes: {},
        keptNodes: [],
        absent: nodes.map(nodeNumber),
        only: nodes.map(volumeAddress),
      },
    });
    // Another run may have held the lock, and created an instance. A change after this look makes the plan stale.
    const blank = await findBlank(nodes, terraform);
    if (blank.length < nodes.length) return [];
    const removal = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
    const ground = { kind: 'blank', nodes } as const;
    const beyond = explainApplyRefusal(removal, ground);
    if (beyond.length > 0) throw new UserError(beyond);
    await terraform.apply(
      permit({ planFile, summary: removal }, ground),
      survivorOptions(workspace),
    );
    return nodes;
  });
}

/** Returns the nodes that have a volume in the state, and no instance. */
async function findBlank(nodes: readonly string[], terraform: Terraform): Promise<string[]> {
  const existing = await terraform.listState();
  return nodes.filter(
    (node) => existing.includes(volumeAddress(node)) && !existing.includes(instanceAddress(node)),
  );
}
