import { join } from 'node:path';
import * as core from '@actions/core';
import { sshAddress } from '../ansible/inventory.ts';
import type { Node } from '../cluster/configuration.ts';
import { UserError } from '../errors.ts';
import type { Operation } from '../intent.ts';
import { type ApplyResult, apply } from '../operations/apply.ts';
import {
  type ConfigureListeners,
  type ConfigureResult,
  configure,
  renderConnectionString,
} from '../operations/configure.ts';
import type { PlanResult } from '../operations/plan.ts';
import type { Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import { rememberChild } from './afterwards.ts';
import {
  ensureDirectory,
  generateDirectory,
  type Job,
  openTerraform,
  planDirectory,
} from './job.ts';
import { logGroup } from './log-group.ts';

/** Runs one operation alone; its result lies in a file, its path in an output. */
export async function runOperation(job: Job, operation: Operation): Promise<void> {
  if (operation === 'generate') return generateDirectory(job);
  await ensureDirectory(job);
  const { terraform } = await openTerraform(job);
  switch (operation) {
    case 'plan':
      await planDirectory(job, terraform, { lock: false });
      return;
    case 'apply':
      await applyPlan(job, terraform, await planDirectory(job, terraform, { lock: true }));
      return;
    case 'configure': {
      await logGroup('Read the state', () => terraform.init());
      await configureNodes(job, await terraform.outputs());
      return;
    }
  }
}

/** Applies the plan and sets the output that names the result. */
export async function applyPlan(
  job: Job,
  terraform: Terraform,
  plan: PlanResult,
): Promise<ApplyResult> {
  const result = await logGroup('Apply', () =>
    apply(terraform, {
      directory: job.workspace.directory,
      plan,
      outlives: { temporary: job.workspace.temporary, announce: rememberChild },
    }),
  );
  core.setOutput('apply-json', result.jsonFile);
  return result;
}

/** Configures the nodes in Terraform's `outputs`, proves replication and sets the outputs about them. */
export async function configureNodes(
  job: Job,
  outputs: unknown,
  listeners: ConfigureListeners = {},
): Promise<ConfigureResult> {
  const { workspace, keys, request, actionRoot } = job;
  if (!keys) throw new UserError('ssh-private-key: missing. Ansible logs in with it.');
  const nodes = readNodes(outputs, {
    directory: workspace.directory,
    spec: request.spec,
  });
  const result = await logGroup('Configure', () =>
    configure(request, {
      nodes,
      keys,
      directory: workspace.directory,
      temporary: workspace.temporary,
      playbooks: join(actionRoot, 'playbooks'),
      log: core.info,
      ...listeners,
    }),
  );
  setClusterOutputs(result);
  return result;
}

function setClusterOutputs({ nodes, primary, proof, inventory }: ConfigureResult): void {
  const hostOf = (node: Node | undefined) => (node ? sshAddress(node) : '');
  core.setOutput('inventory', inventory);
  core.setOutput('primary-host', hostOf(nodes.find(({ name }) => name === primary)));
  core.setOutput(
    'replica-hosts',
    JSON.stringify(nodes.filter(({ name }) => name !== primary).map(hostOf)),
  );
  core.setOutput('connection-string', renderConnectionString(nodes));
  core.setOutput('cluster-status', JSON.stringify(proof));
}
