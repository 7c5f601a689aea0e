import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Node } from '../cluster/node.ts';
import { UserError } from '../messages/errors.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { isAccessFailure } from '../terraform/credentials.ts';
import { instanceAddress, type PlanOverrides, volumeAddress } from '../terraform/node-changes.ts';
import { readNodes } from '../terraform/outputs.ts';
import { readRefreshedNodes } from '../terraform/refreshed-nodes.ts';
import type { Job } from './job.ts';
import { buildInstanceStates } from './preview.ts';

/**
 * The nodes that there are, and nothing else: the outputs speak of every instance, and cannot be told while one is gone;
 * a node that is asked for and not there yet has no volume to be placed by.
 */
const buildRefreshOverrides = (nodes: readonly Node[]): PlanOverrides => ({
  instanceTypes: {},
  keptNodes: [],
  only: nodes.flatMap(({ name }) => [instanceAddress(name), volumeAddress(name)]),
});

/** The nodes of the state, as AWS knows them now. */
export interface RefreshedNodes {
  /** With the addresses that their instances have now; those of a node whose instance is gone are the old ones. */
  readonly nodes: readonly Node[];
  /** EC2's word for the state of each instance, by node; one that is gone is `terminated`. */
  readonly states: Readonly<Record<string, string>>;
  /** Nodes that must not be contacted: their instance does not run, and their address may be somebody else's. */
  readonly unasked: readonly string[];
  /** Nodes whose instance is starting. */
  readonly starting: readonly string[];
}

/**
 * Asks AWS for the present addresses of the nodes that the state holds, which `init` has been run for. Changes nothing
 * and takes no lock.
 *
 * An instance that was stopped and started has another public address, and the one in the state may be somebody else's
 * by then (EC2 User Guide, "Public IPv4 addresses"), who would be sent the passwords: a fresh runner knows no host keys.
 *
 * @throws UserError where AWS does not answer
 */
export async function refreshNodes(job: Job, terraform: Terraform): Promise<RefreshedNodes> {
  const { directory, temporary } = job.workspace;
  const known = readNodes(await terraform.outputs(), { directory, spec: job.inputs.spec });
  const planFile = join(temporary, `${randomUUID()}.tfplan`);
  const standing = await logGroup('Look up the nodes in AWS', async () => {
    try {
      await terraform.plan(planFile, {
        publicKey: job.keys?.current ?? null,
        lock: false,
        refreshOnly: true,
        stage: buildRefreshOverrides(known),
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(
        [
          `The nodes could not be looked up in AWS, so nothing was sent to them: an address of the last apply may be somebody else’s by now. ${isAccessFailure(error.message) ? 'Give the job credentials that may read EC2 in this region, and run it again.' : 'Fix the error below, and run the job again.'}`,
          ...error.problems,
        ],
        { cause: error },
      );
    }
    return readRefreshedNodes(JSON.parse(await terraform.showJson(planFile)));
  });
  const found = new Map(standing.nodes.map((node) => [node.name, node]));
  const present = buildInstanceStates(standing);
  const states = Object.fromEntries(
    known.map(({ name }) => [name, present[name] ?? 'terminated'] as const),
  );
  const named = (test: (state: string) => boolean) =>
    known.map(({ name }) => name).filter((name) => test(states[name] ?? ''));
  return {
    nodes: known.map((node) => found.get(node.name) ?? node),
    states,
    unasked: named((state) => state !== 'running' && state !== 'pending'),
    starting: named((state) => state === 'pending'),
  };
}
