import { randomUUID } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import * as core from '@actions/core';
import { usesLockfile } from '../backend.ts';
import type { RunnerEnvironment } from '../environment.ts';
import { generate } from '../operations/generate.ts';
import { type PlanResult, plan } from '../operations/plan.ts';
import type { Tool } from '../report/run.ts';
import type { Request } from '../request.ts';
import type { PublicKeys } from '../ssh-key.ts';
import { Terraform } from '../terraform/cli.ts';
import { TFVARS_FILE } from '../terraform/files.ts';
import { findTerraform } from '../terraform/install.ts';
import { readState, refuseForeignState } from '../terraform/outputs.ts';
import type { Workspace } from '../workspace.ts';
import { logGroup } from './log-group.ts';

/** Everything a job works with. */
export interface Job {
  readonly environment: RunnerEnvironment;
  readonly request: Request;
  /** Null only where no key is needed and none was given. */
  readonly keys: PublicKeys | null;
  readonly workspace: Workspace;
  /** The action's own folder. */
  readonly actionRoot: string;
}

/** A Terraform ready to work on the job's directory, and what it is. */
export async function openTerraform(job: Job): Promise<{ terraform: Terraform; tool: Tool }> {
  const binary = await findTerraform({
    name: job.request.terraformBinary,
    usesLockfile: usesLockfile(job.request.backend.config),
    releasesUrl: process.env.TERRAFORM_RELEASES_URL,
    log: core.info,
  });
  const terraform = new Terraform({
    binary: binary.path,
    product: binary.product,
    directory: job.workspace.directory,
    log: core.info,
  });
  return { terraform, tool: binary };
}

/** Generates the Terraform directory anew from the request. */
export async function generateDirectory(job: Job): Promise<void> {
  const { directory, files } = await generate(job.request, {
    directory: job.workspace.directory,
    templates: join(job.actionRoot, 'templates', 'aws'),
    publicKey: job.keys?.current ?? null,
  });
  core.info(`Generated ${files.length} files in ${directory}`);
  core.setOutput('terraform-directory', directory);
}

/**
 * Uses the directory an earlier step generated; where there is none, as on a fresh runner, generates it
 * from this step's inputs.
 */
export async function ensureDirectory(job: Job): Promise<void> {
  const { directory } = job.workspace;
  try {
    await access(join(directory, TFVARS_FILE));
    core.info(`Using the generated directory ${directory}`);
    core.setOutput('terraform-directory', directory);
  } catch {
    core.info(`${directory} was not generated on this runner; generating it from the inputs`);
    await generateDirectory(job);
  }
}

/**
 * Refuses to work on the state of another cluster.
 *
 * @throws UserError that names the inputs and the ways out
 */
export async function refuseForeignCluster(job: Job, terraform: Terraform): Promise<void> {
  await logGroup('Read the state', () => terraform.init());
  const state = readState(await terraform.outputs());
  if (state !== null) refuseForeignState(state, job.request.spec);
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
