import * as core from '@actions/core';
import type { ClusterFile } from '../inputs/cluster-file.ts';
import { limitAnnotations } from '../inputs/limit-annotations.ts';
import { locateInFile } from '../inputs/locate-in-cluster-file.ts';
import { mergeStepInputs, type StepInputs } from '../inputs/step-inputs.ts';
import { CancelledError, UserError } from '../messages/errors.ts';
import { ContinuingError } from '../operations/continuing-error.ts';
import { describeWork, explainContinuing } from '../report/progress.ts';
import { logGroup } from '../runner/log-group.ts';

/**
 * Fails the step and logs the reason. Work that goes on without the run is a warning, and the step succeeds. A user's mistakes become annotations at the lines of the cluster file that cause them;
 * any other error is shown as a defect of the action, with its stack trace.
 */
export async function reportFailure(
  error: unknown,
  { readInputs, file }: { readInputs: () => StepInputs; file: ClusterFile | null },
): Promise<void> {
  if (error instanceof ContinuingError) {
    core.warning(
      `${error.message}: ${describeWork(error.work).join(' · ')}. ${explainContinuing(error.run)}`,
    );
    return;
  }
  process.exitCode = core.ExitCode.Failure;
  if (error instanceof UserError) {
    await annotateProblems(error.problems, { step: readInputs(), file });
  } else if (error instanceof CancelledError) {
    core.error(`The job was ${error.message}. Run it again: it continues from what it finds.`);
  } else {
    const cause = error instanceof Error ? error : new Error(String(error));
    core.error(`${cause.message}. This is not your mistake; please report it with the log.`);
    // A stack trace begins with the message, which may look like a workflow command.
    await logGroup('Where it went wrong', async () => core.info(cause.stack ?? ''));
  }
}

async function annotateProblems(
  problems: readonly string[],
  { step, file }: { step: StepInputs; file: ClusterFile | null },
): Promise<void> {
  const values = mergeStepInputs(step);
  const path = values['cluster-file'] ?? '';
  const { annotations, lines } = limitAnnotations(problems);
  for (const problem of annotations) {
    core.error(problem, locateInFile(problem, { path, file, given: step.given }) ?? {});
  }
  if (lines.length > 0) await logGroup('All problems', async () => core.info(lines.join('\n')));
}
