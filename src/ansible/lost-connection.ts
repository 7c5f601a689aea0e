import { FailedStepsError } from '../messages/failed-steps-error.ts';
import type { AnsibleResult } from './result.ts';

/** A run ended because nodes could not be reached over SSH; nothing else failed. */
export class LostConnectionError extends FailedStepsError {
  /** The report; its failures name the steps during which the connections were lost. */
  readonly result: AnsibleResult;

  constructor(
    problems: readonly string[],
    { result, cause }: { result: AnsibleResult; cause: unknown },
  ) {
    super(problems, { steps: result.failures.map(({ step }) => step), cause });
    this.result = result;
  }

  /** What ssh said, one message per failure. */
  get transcripts(): readonly string[] {
    return listFailures(this.result.failures);
  }
}

/** One message per failure: the node, the task, and what failed. */
export function listFailures(failures: AnsibleResult['failures']): string[] {
  return failures.map(
    ({ node, task, message, log }) => `${node}: ${task}: ${[message, log].join('\n').trim()}`,
  );
}
