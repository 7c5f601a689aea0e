import { PlaybookError } from '../ansible/playbook-error.ts';
import { readMessage } from '../messages/errors.ts';
import { UnreachableError } from '../operations/reachability.ts';
import type { DeployState } from '../report/deploy-report.ts';

/** Returns what a report says of an error: why nodes cannot be reached, and what ssh said, apart from all other messages. */
export function describeError(
  error: unknown,
): Pick<Extract<DeployState, { state: 'failed' }>, 'error' | 'explanation' | 'transcripts'> {
  if (error instanceof UnreachableError || error instanceof PlaybookError) {
    const { explanation, failures, transcripts } = error;
    return { error: failures.join('\n'), explanation, transcripts };
  }
  return { error: readMessage(error) };
}
