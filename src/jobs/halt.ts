import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node } from '../cluster/node.ts';
import { logGroup } from '../runner/log-group.ts';
import type { Terraform } from '../terraform/cli.ts';
import { renderHaltTfvars, TFVARS_FILE } from '../terraform/generated-files.ts';
import { permit } from '../terraform/permit.ts';
import { summarizePlan } from '../terraform/plan.ts';
import type { Job } from './job.ts';
import { survivorOptions } from './post-state.ts';

/**
 * Stops the instance of a node by force, and returns once EC2 reports it as stopped. Neither reads nor writes the
 * cluster's state: `templates/halt` says why.
 *
 * @throws UserError with Terraform's messages
 */
export async function haltInstance(
  job: Pick<Job, 'actionRoot' | 'workspace' | 'inputs'>,
  terraform: Terraform,
  node: Node,
): Promise<void> {
  const { temporary } = job.workspace;
  const directory = join(temporary, `halt-${randomUUID()}`);
  await mkdir(directory, { mode: 0o700 });
  await copyFile(join(job.actionRoot, 'templates', 'halt', 'main.tf'), join(directory, 'main.tf'));
  await writeFile(
    join(directory, TFVARS_FILE),
    renderHaltTfvars({ region: job.inputs.spec.region, instanceId: node.instanceId }),
  );
  const halting = await terraform.inDirectory(directory);
  await logGroup(`Stop the instance of ${node.name} by force`, async () => {
    await halting.init();
    const planFile = join(temporary, `${randomUUID()}.tfplan`);
    await halting.plan(planFile, { publicKey: null, lock: false });
    const summary = summarizePlan(JSON.parse(await halting.showJson(planFile)));
    const permitted = permit({ planFile, summary }, { kind: 'halt' });
    await halting.apply(permitted, survivorOptions(job.workspace));
  });
}
