import * as core from '@actions/core';
import { describeRemains, nameRehearsal } from '../cluster/rehearsal.ts';
import { deriveRehearsalBackend, explainNoRehearsalState } from '../inputs/rehearsal-backend.ts';
import { isClusterName } from '../inputs/schema-fields.ts';
import { readMessage, UserError } from '../messages/errors.ts';
import { openWorkspace } from '../runner/workspace.ts';
import type { Terraform } from '../terraform/cli.ts';
import type { Job } from './job.ts';
import { openTerraform, readTerraformState } from './open-terraform.ts';
import { saveWorkspaces } from './post-state.ts';
import { removeEverything } from './remove-everything.ts';
import { generateDirectory } from './terraform-directory.ts';

/** The state of a cluster's rehearsal, open for its removal. */
export interface RehearsalState {
  /** Works on the rehearsal: another cluster, state and workspace, and the same keys. */
  readonly job: Job;
  readonly terraform: Terraform;
  /** Whether an earlier rehearsal left anything. */
  readonly isLeft: boolean;
}

/** Opens and reads the state of this cluster's rehearsal. */
export async function openRehearsal(given: Job): Promise<RehearsalState> {
  const { inputs, environment } = given;
  const workingDirectory = nameRehearsal(inputs.workingDirectory);
  const workspace = await openWorkspace({
    root: environment.workspace,
    workingDirectory,
    runnerTemp: environment.temporary,
  });
  saveWorkspaces(given.workspace, workspace);
  const spec = describeRemains(inputs.spec);
  const backend = inputs.backend && deriveRehearsalBackend(inputs.backend);
  // It reads the cluster's own backups, not what the cluster was once restored from.
  const secrets = { ...inputs.secrets, restoreCipherKey: '' };
  const own = { ...inputs, spec, backend, workingDirectory, secrets };
  const job: Job = { ...given, workspace, inputs: own };
  await generateDirectory(job);
  const { terraform } = await openTerraform(job, { isRemoval: true });
  await readTerraformState(terraform);
  return { job, terraform, isLeft: (await terraform.listState()).length > 0 };
}

/** Removes what is left of a rehearsal. */
export async function removeRehearsal({ job, terraform }: RehearsalState): Promise<void> {
  await removeEverything(job, { terraform, isRehearsal: true });
}

/**
 * Returns what a rehearsal of this cluster left, and null if nothing is left, if it can have no rehearsal, or if that state
 * cannot be read: a role need not reach it, so that is a warning.
 */
export async function findLeftRehearsal(given: Job): Promise<RehearsalState | null> {
  const { backend, spec } = given.inputs;
  const name = nameRehearsal(spec.name);
  if (backend === null || !isClusterName(name)) return null;
  if (explainNoRehearsalState(backend) !== null) return null;
  try {
    const state = await openRehearsal(given);
    return state.isLeft ? state : null;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    core.warning(
      `Whether a rehearsal of ${spec.name} left its node is not known, because the state of ${name} cannot be read. If one ever ran, look for what has the tag RehearsalOf = ${spec.name}. ${readMessage(error)}`,
    );
    return null;
  }
}
