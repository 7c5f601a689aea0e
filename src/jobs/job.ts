import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as core from '@actions/core';
import { usesLockfile } from '../inputs/backend.ts';
import type { Backend, Inputs } from '../inputs/inputs.ts';
import type { PublicKeys } from '../inputs/ssh-key.ts';
import { type GenerateResult, generate, regenerate } from '../operations/generate.ts';
import { type PlanResult, plan } from '../operations/plan.ts';
import type { Tool } from '../report/footer.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import { logGroup } from '../runner/log-group.ts';
import { locateLocalState, type Workspace } from '../runner/workspace.ts';
import { Terraform } from '../terraform/cli.ts';
import { prepareEnvironment } from '../terraform/environment.ts';
import { findTerraform } from '../terraform/install.ts';
import { readState, refuseForeignState } from '../terraform/outputs.ts';
import { saveTerraform } from './post-state.ts';

/** Everything a job works with. */
export interface Job {
  readonly environment: RunnerEnvironment;
  readonly inputs: Inputs;
  /** Null only where no key is needed and none was given. */
  readonly keys: PublicKeys | null;
  readonly workspace: Workspace;
  /** The action's own folder. */
  readonly actionRoot: string;
}

/**
 * A Terraform ready to work on the job's directory, and what it is. `providerLock`: the lock file of a review, whose
 * provider is to be used; without one the newest that the templates allow.
 */
export async function openTerraform(
  job: Job,
  { providerLock = null }: { providerLock?: string | null } = {},
): Promise<{ terraform: Terraform; tool: Tool }> {
  const binary = await findTerraform({
    name: job.inputs.terraformBinary,
    usesLockfile: usesLockfile(job.inputs.backend?.config ?? {}),
    releasesUrl: process.env.TERRAFORM_RELEASES_URL,
    log: core.info,
  });
  const setup = {
    binary: binary.path,
    product: binary.product,
    directory: job.workspace.directory,
    keep: join(job.workspace.lasting, 'errored-state'),
    backend: job.inputs.backend?.type ?? 'local',
    temporary: job.workspace.temporary,
  };
  saveTerraform(setup);
  const environment = await prepareEnvironment(process.env, setup);
  const terraform = new Terraform({
    ...setup,
    environment,
    log: core.info,
    providerLock,
  });
  return { terraform, tool: binary };
}

/** Generates the Terraform directory anew from the request. */
export async function generateDirectory(job: Job): Promise<void> {
  const backend = await placeBackend(job);
  const generated = await generate(
    { spec: job.inputs.spec, backend },
    { ...locateGenerated(job), publicKey: job.keys?.current ?? null },
  );
  announceGenerated(generated, 'Generated');
}

function locateGenerated({ workspace, actionRoot }: Job): { directory: string; templates: string } {
  return { directory: workspace.directory, templates: join(actionRoot, 'templates', 'aws') };
}

function announceGenerated({ directory, files }: GenerateResult, verb: string): void {
  core.info(`${verb} ${files.length} files in ${directory}`);
  core.setOutput('terraform-directory', directory);
}

/**
 * The backend as Terraform gets it: the state of a `local` one lasts in the working directory, while Terraform's own
 * directory is made anew by every run. Where no trusted place names a backend, an empty state stands for it.
 */
async function placeBackend({ inputs, workspace }: Job): Promise<Backend> {
  if (inputs.backend === null) {
    return { type: 'local', config: { path: join(workspace.temporary, 'blank.tfstate') } };
  }
  const { type, config } = inputs.backend;
  if (type !== 'local') return inputs.backend;
  return { type, config: { ...config, path: await locateLocalState(workspace, config.path) } };
}

/**
 * Makes the directory from the values that an earlier step of this job generated; where there are none, as on a fresh
 * runner, from this step's inputs.
 */
export async function ensureDirectory(job: Job): Promise<void> {
  const generated = await regenerate(locateGenerated(job));
  if (generated !== null) return announceGenerated(generated, 'An earlier step generated');
  core.info('No earlier step of this job generated the directory; generating it from the inputs');
  await generateDirectory(job);
}

/**
 * Refuses to work on the state of another cluster.
 *
 * @throws UserError that names the inputs and the ways out
 */
export async function refuseForeignCluster(job: Job, terraform: Terraform): Promise<void> {
  await logGroup('Read the state', () => terraform.init());
  const state = readState(await terraform.outputs());
  if (state !== null) refuseForeignState(state, job.inputs.spec);
}

/**
 * Plans and sets the outputs that describe a plan. A plan that is only looked at takes no lock, so that it
 * neither waits for a deploy nor holds one up.
 */
export async function planDirectory(
  job: Job,
  terraform: Terraform,
  { lock }: { lock: boolean },
): Promise<PlanResult> {
  const result = await logGroup('Plan', () =>
    plan(terraform, {
      directory: job.workspace.directory,
      planFile: join(job.workspace.temporary, `${randomUUID()}.tfplan`),
      publicKey: job.keys?.current ?? null,
      lock,
    }),
  );
  const { counts, hasChanges } = result.summary;
  core.setOutput('has-changes', hasChanges);
  core.setOutput('to-add', counts.add);
  core.setOutput('to-change', counts.change);
  core.setOutput('to-replace', counts.replace);
  core.setOutput('to-destroy', counts.destroy);
  core.setOutput('plan-digest', result.digest);
  core.setOutput('plan-json', result.jsonFile);
  return result;
}
