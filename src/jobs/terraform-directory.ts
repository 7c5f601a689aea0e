import { join } from 'node:path';
import * as core from '@actions/core';
import type { Backend } from '../inputs/inputs.ts';
import { type GenerateResult, generate, regenerate } from '../operations/generate.ts';
import { locateLocalState } from '../runner/workspace.ts';
import type { Job } from './job.ts';

/** Generates the Terraform directory from the inputs. */
export async function generateDirectory(job: Job): Promise<void> {
  const backend = await buildBackend(job);
  const generated = await generate(
    { spec: job.inputs.spec, backend },
    { ...locateDirectory(job), publicKey: job.keys?.current ?? null },
  );
  setDirectoryOutput(generated, 'Generated');
}

/**
 * Generates the directory from the values that an earlier step of this job left there; if there are none, as on a fresh
 * runner, from this step's inputs.
 */
export async function ensureDirectory(job: Job): Promise<void> {
  const generated = await regenerate(locateDirectory(job));
  if (generated !== null) return setDirectoryOutput(generated, 'An earlier step generated');
  core.info('No earlier step of this job generated the directory; generating it from the inputs');
  await generateDirectory(job);
}

function locateDirectory({ workspace, actionRoot }: Job): { directory: string; templates: string } {
  return { directory: workspace.directory, templates: join(actionRoot, 'templates', 'aws') };
}

function setDirectoryOutput({ directory, files }: GenerateResult, verb: string): void {
  core.info(`${verb} ${files.length} files in ${directory}`);
  core.setOutput('terraform-directory', directory);
}

/**
 * Returns the backend for Terraform. A `local` backend keeps its state in the working directory, because Terraform's own
 * directory is recreated by every run. Without a backend from a trusted place, Terraform starts with an empty state.
 */
async function buildBackend({ inputs, workspace }: Job): Promise<Backend> {
  if (inputs.backend === null) {
    return { type: 'local', config: { path: join(workspace.temporary, 'blank.tfstate') } };
  }
  const { type, config } = inputs.backend;
  if (type !== 'local') return inputs.backend;
  return { type, config: { ...config, path: await locateLocalState(workspace, config.path) } };
}
