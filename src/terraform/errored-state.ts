import { chmod, copyFile, lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledError, readMessage, UserError } from '../messages/errors.ts';
import { BACKEND_FILE } from './generated-files.ts';

/** The file, in its working directory, in which Terraform leaves a state that it could not write to the backend. */
export const ERRORED_STATE = 'errored.tfstate';

/** Delays before each attempt to push. Network failures may end; expired credentials stay expired. */
const PUSH_DELAYS_MS = [0, 5000, 10_000];

/** The location of an unsaved state, and of its copy. */
export interface ErroredState {
  /** The directory Terraform runs in. */
  readonly directory: string;
  /** The folder of the copy, which outlives the job. */
  readonly keep: string;
  /** The program's name at a prompt. */
  readonly command: string;
}

/** What happened to a state that an apply could not save. */
export interface RescueResult {
  readonly saved: boolean;
  /** What was done, and the next steps. */
  readonly message: string;
}

/**
 * Refuses an apply while the state of an earlier one is not saved: it would create the same resources again, and a removal would
 * leave them.
 *
 * @throws UserError with the next steps
 */
export async function refuseErroredState({
  directory,
  keep,
  command,
}: ErroredState): Promise<void> {
  for (const folder of [keep, directory]) {
    if (!(await exists(join(folder, ERRORED_STATE)))) continue;
    throw new UserError(
      `${join(folder, ERRORED_STATE)} is the state of an earlier apply that was not saved in the backend. Nothing was applied: without that state the same resources would be created again, or not be removed. ${explainPush({ folder, command })} If the file is in the repository, delete it there instead: only the action may write it.`,
    );
  }
}

/**
 * Pushes an unsaved state, with three attempts within 15 s. If all fail, copies it beside its backend's configuration,
 * readable by this user only. Returns null if there is no unsaved state.
 *
 * @throws CancelledError if the job is cancelled meanwhile; the state is copied and stays in place
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

/** Whether the working directory has an unsaved state without a copy, and must not be removed. */
export async function isStateUnsaved({
  directory,
  keep,
}: Pick<ErroredState, 'directory' | 'keep'>): Promise<boolean> {
  return (
    (await exists(join(directory, ERRORED_STATE))) && !(await exists(join(keep, ERRORED_STATE)))
  );
}

/** Copies an unsaved state, so that a later step of the job can upload it. */
async function keepState({ directory, keep }: ErroredState): Promise<void> {
  // A person will run Terraform in this folder: files or links from a checkout must not remain in it.
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
  // A link counts, even if its target does not exist.
  return lstat(path).then(
    () => true,
    () => false,
  );
}
