import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Node } from '../cluster/node.ts';
import { UserError } from '../messages/errors.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { isAccessFailure } from '../terraform/credentials.ts';
import { buildInstanceStates } from '../terraform/existing-nodes.ts';
import { instanceAddress, type PlanOverrides, volumeAddress } from '../terraform/node-changes.ts';
import { readNodes, readState } from '../terraform/outputs.ts';
import { readRefreshedNodes } from '../terraform/refreshed-nodes.ts';
import type { Job } from './job.ts';

/**
 * Limits the plan to the existing nodes. Terraform cannot evaluate the outputs while an instance is gone, and a node that
 * does not exist yet has no volume that decides its zone.
 */
const buildRefreshOverrides = (nodes: readonly Node[]): PlanOverrides => ({
  instanceTypes: {},
  keptNodes: [],
  only: nodes.flatMap(({ name }) => [instanceAddress(name), volumeAddress(name)]),
});

/** The nodes of the state, as AWS reports them now. */
export interface RefreshedNodes {
  /** With their current addresses; a node whose instance no longer exists keeps the old ones. */
  readonly nodes: readonly Node[];
  /** EC2's state of each instance, by node; `terminated` if it no longer exists. */
  readonly states: Readonly<Record<string, string>>;
  /** Nodes that must not be contacted: their instance does not run, and another instance may have their address. */
  readonly excluded: readonly string[];
  /** Nodes whose instance is starting. */
  readonly starting: readonly string[];
  /** The EC2 Instance Connect Endpoint of the cluster; null: its connections are direct. */
  readonly endpointId: string | null;
}

/**
 * Asks AWS for the present addresses of the nodes in the state. Requires `init`. Changes nothing and takes no lock.
 *
 * An instance that was stopped and started has a new public address, and a stranger's instance may have the old one (EC2
 * User Guide, "Public IPv4 addresses"). It would be sent the passwords: a fresh runner knows no host keys.
 *
 * @throws UserError if AWS does not answer
 */
export async function refreshNodes(job: Job, terraform: Terraform): Promise<RefreshedNodes> {
  const { directory, temporary } = job.workspace;
  const outputs = await terraform.outputs();
  const known = readNodes(outputs, { directory, spec: job.inputs.spec });
  const planFile = join(temporary, `${randomUUID()}.tfplan`);
  const existing = await logGroup('Look up the nodes in AWS', async () => {
    try {
      await terraform.plan(planFile, {
        publicKey: job.keys?.current ?? null,
        lock: false,
        mode: 'refresh-only',
        stage: buildRefreshOverrides(known),
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const nextStep = isAccessFailure(error.message)
        ? 'Give the job credentials that may read EC2 in this region, and run it again.'
        : 'Fix the error below, and run the job again.';
      throw new UserError(
        [
          `The nodes could not be looked up in AWS, so nothing was sent to them: another instance may have an address of the last apply by now. ${nextStep}`,
          ...error.problems,
        ],
        { cause: error },
      );
    }
    return readRefreshedNodes(JSON.parse(await terraform.showJson(planFile)));
  });
  const found = new Map(existing.nodes.map((node) => [node.name, node]));
  const present = buildInstanceStates(existing);
  const states = Object.fromEntries(
    known.map(({ name }) => [name, present[name] ?? 'terminated'] as const),
  );
  const named = (test: (state: string) => boolean) =>
    known.map(({ name }) => name).filter((name) => test(states[name] ?? ''));
  return {
    nodes: known.map((node) => found.get(node.name) ?? node),
    states,
    excluded: named((state) => state !== 'running' && state !== 'pending'),
    starting: named((state) => state === 'pending'),
    endpointId: readState(outputs)?.endpointId ?? null,
  };
}
