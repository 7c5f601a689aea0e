import { join } from 'node:path';
import * as core from '@actions/core';
import { usesLockfile } from '../inputs/backend.ts';
import type { Tool } from '../report/footer.ts';
import { logGroup } from '../runner/log-group.ts';
import { Terraform } from '../terraform/cli.ts';
import { prepareEnvironment } from '../terraform/environment.ts';
import { findTerraform } from '../terraform/install.ts';
import { readState, refuseForeignState } from '../terraform/outputs.ts';
import { readEndpointVariables } from './given-endpoint.ts';
import type { Job } from './job.ts';
import { saveTerraform } from './post-state.ts';

/**
 * Finds or installs Terraform and prepares it for the job's directory.
 *
 * @param options.providerLock the lock file of a review, whose provider is used; null: the newest provider that the
 *   templates allow
 * @param options.isRemoval whether everything is to be removed; a given endpoint may be gone then
 */
export async function openTerraform(
  job: Job,
  {
    providerLock = null,
    isRemoval = false,
  }: { providerLock?: string | null; isRemoval?: boolean } = {},
): Promise<{ terraform: Terraform; tool: Tool }> {
  const { inputs, workspace } = job;
  const binary = await findTerraform({
    name: inputs.terraformBinary,
    usesLockfile: usesLockfile(inputs.backend?.config ?? {}),
    releasesUrl: process.env.TERRAFORM_RELEASES_URL,
    log: core.info,
  });
  const setup = {
    binary: binary.path,
    product: binary.product,
    directory: workspace.directory,
    keep: join(workspace.lasting, 'errored-state'),
    backend: inputs.backend?.type ?? 'local',
    temporary: workspace.temporary,
  };
  saveTerraform(setup);
  const environment = await prepareEnvironment(process.env, setup);
  const variables = isRemoval ? {} : await readEndpointVariables(job);
  const terraform = new Terraform({
    ...{ ...setup, environment, log: core.info },
    ...{ providerLock, variables },
  });
  return { terraform, tool: binary };
}

/** Runs `terraform init`, which makes the state readable. */
export async function readTerraformState(terraform: Terraform): Promise<void> {
  await logGroup('Read the state', () => terraform.init());
}

/**
 * Refuses to work on the state of another cluster.
 *
 * @throws UserError with the inputs that differ and the ways out
 */
export async function refuseForeignCluster(job: Job, terraform: Terraform): Promise<void> {
  await readTerraformState(terraform);
  const state = readState(await terraform.outputs());
  if (state !== null) refuseForeignState(state, job.inputs.spec);
}
