import * as core from '@actions/core';
import { readMessage } from '../messages/errors.ts';

/**
 * From now on, an error that nothing caught (thrown in an event handler, or a rejection without a handler) is passed to
 * `report`, and then the process exits with 1. Without this, Node.js would print a raw stack trace.
 */
export function exitOnUncaughtErrors(report: (error: unknown) => Promise<void>): void {
  let isExiting = false;
  const exit = async (error: unknown) => {
    // Errors that follow from the first one would bury it.
    if (isExiting) return;
    isExiting = true;
    try {
      await report(error);
    } catch (failure) {
      core.error(`${readMessage(error)} (and its report failed: ${readMessage(failure)})`);
    } finally {
      process.exit(core.ExitCode.Failure);
    }
  };
  process.on('uncaughtException', exit);
  process.on('unhandledRejection', exit);
}
