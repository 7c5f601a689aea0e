import { UserError } from '../messages/errors.ts';
import type { AnsibleResult } from './result.ts';

/** A run ended because nodes could not be reached over SSH; nothing else failed. */
export class LostConnectionError extends UserError {
  /** The report; its failures name the steps during which the connections were lost. */
  readonly result: AnsibleResult;

  constructor(
    problems: readonly string[],
    { result, cause }: { result: AnsibleResult; cause: unknown },
  ) {
    super(problems, { cause });
    this.result = result;
  }
}
