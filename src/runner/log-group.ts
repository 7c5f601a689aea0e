import { randomUUID } from 'node:crypto';
import * as core from '@actions/core';

/** The word that ends the group that is open; null outside of groups. */
let ending: string | null = null;

/**
 * Runs `work` in a foldable group of the log. Output of child processes may look like a workflow command (a resource
 * named `::set-env…`), so the runner ignores commands until the group ends.
 */
export async function logGroup<Result>(
  title: string,
  work: () => Promise<Result>,
): Promise<Result> {
  // A stage of Terraform is a group within that of the configuration.
  const isNested = ending !== null;
  if (isNested) resumeCommands();
  core.startGroup(title);
  stopCommands();
  try {
    return await work();
  } finally {
    resumeCommands();
    core.endGroup();
    if (isNested) stopCommands();
  }
}

/**
 * Has the runner hide `secret` in the log, also inside of a group: there the runner would print the command that names
 * the secret.
 */
export function maskSecret(secret: string): void {
  sendCommand(() => core.setSecret(secret));
}

/** Adds a warning to the run, also inside of a group: there the runner would print the command and show no warning. */
export function warn(message: string): void {
  sendCommand(() => core.warning(message));
}

/** Lets the runner take commands during `send`. No output of a child comes between the lines. */
function sendCommand(send: () => void): void {
  const isInGroup = ending !== null;
  if (isInGroup) resumeCommands();
  send();
  if (isInGroup) stopCommands();
}

function stopCommands(): void {
  ending = randomUUID();
  core.info(`::stop-commands::${ending}`);
}

function resumeCommands(): void {
  core.info(`::${ending}::`);
  ending = null;
}
