import { chmod, copyFile, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledError, readMessage, UserError } from '../messages/errors.ts';
import { BACKEND_FILE } from './generated-files.ts';

/** Where Terraform leaves, in the directory it runs in, a state that an apply could not write to the backend. */
export const ERRORED_STATE = 'errored.tfstate';

/** Milliseconds before each try to push: a network may come back, expired credentials do not. */
const PUSH_DELAYS_MS = [0, 5000, 10_000];

/** Where such a state is, and where it is kept. */
export interface ErroredState {
  /** The directory Terraform runs in. */
  readonly directory: string;
  /** A folder that outlives the job. */
  readonly keep: string;
  /** How people call the program at a prompt. */
  readonly command: string;
}

/** What became of a state that an apply could not save. */
export interface RescueResult {
  readonly saved: boolean;
  /** Sentences: what was done, and what is left to do. */
  readonly message: string;
}

/**
 * Refuses an apply while the state of an earlier one waits to be pushed: it would create the same resources again.
 *
 * @throws UserError with the steps
 */
export async function refuseErroredState({
  directory,
  keep,
  command,
}: ErroredState): Promise<void> {
  for (const folder of [keep, directory]) {
    if (!(await exists(join(folder, ERRORED_STATE)))) continue;
    throw new UserError(
      `${join(folder, ERRORED_STATE)} is the state of an earlier apply that was not saved in the backend. Nothing was applied, because it would create the same resources again. ${explainPush({ folder, command })} If the file is in the repository, delete it there instead: nobody but the action writes it.`,
    );
  }
}

/**
 * Pushes the state that an apply could not save, in three tries within 15 s; where that fails keeps it, readable by this
 * user only, beside its backend's configuration. Null where there is no such state.
 *
 * @throws CancelledError when the job was cancelled meanwhile; the state is kept, and stays where it is as well
 */
export async function rescueState(
  state: ErroredState,
  {
    push,
    waits = PUSH_DELAYS_MS,
  }: { push: (file: string) => Promise<unknown>; waits?: readonly number[] },
): Promise<RescueResult | null> {
  const { directory, keep, command } = state;
  const file = join(directory, ERRORED_STATE);
  if (!(await exists(file))) return null;
  let reason = '';
  for (const wait of waits) {
    await sleep(wait);
    try {
      await push(file);
      await rm(file);
      await rm(keep, { recursive: true, force: true });
      const message = `The state that the apply could not save is in the backend now (${command} state push).`;
      return { saved: true, message };
    } catch (error) {
      if (error instanceof CancelledError) {
        await keepState(state);
        throw error;
      }
      reason = readMessage(error);
    }
  }
  try {
    await keepState(state);
    await rm(file);
  } catch (error) {
    const message = `The state could neither be pushed to the backend nor copied to ${keep} (${readMessage(error)}). It is in ${file}. Copy it now: the runner empties that folder with its next job, and a hosted one is deleted. Do not run a deploy before the state is saved. ${explainPush({ folder: directory, command })}\n${reason}`;
    return { saved: false, message };
  }
  const message = `The state could not be pushed to the backend. It is in ${join(keep, ERRORED_STATE)}. A hosted runner deletes that folder unless a later step of the job uploads it. Do not run a deploy before the state is saved: it would create the same resources again. ${explainPush({ folder: keep, command })}\n${reason}`;
  return { saved: false, message };
}

/** Whether such a state is only where Terraform ran, so that the directory must not be removed. */
export async function isStateUnsaved({
  directory,
  keep,
}: Pick<ErroredState, 'directory' | 'keep'>): Promise<boolean> {
  return (
    (await exists(join(directory, ERRORED_STATE))) && !(await exists(join(keep, ERRORED_STATE)))
  );
}

/** Also where another process is about to push it: a later step of the job can upload what is kept. */
async function keepState({ directory, keep }: ErroredState): Promise<void> {
  // A person runs Terraform in it: a checkout must not add a file, or lead it elsewhere by a link.
  await rm(keep, { recursive: true, force: true });
  await mkdir(keep, { recursive: true, mode: 0o700 });
  for (const name of [ERRORED_STATE, BACKEND_FILE]) {
    if (!(await exists(join(directory, name)))) continue;
    await copyFile(join(directory, name), join(keep, name));
    await chmod(join(keep, name), 0o600);
  }
}

function explainPush({ folder, command }: { folder: string; command: string }): string {
  const quoted = `'${folder.replaceAll("'", "'\\''")}'`;
  return `With new credentials: cd ${quoted} && ${command} init && ${command} state push ${ERRORED_STATE}; then delete the folder.`;
}

async function exists(path: string): Promise<boolean> {
  // A link counts, wherever it leads.
  return lstat(path).then(
    () => true,
    () => false,
  );
}
