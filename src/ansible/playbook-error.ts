import { FailedStepsError } from '../messages/failed-steps-error.ts';
import type { AnsibleResult } from './result.ts';

type Failure = AnsibleResult['failures'][number];

/** Steps failed on nodes, or the connections to nodes were lost during steps, or both. */
export class PlaybookError extends FailedStepsError {
  /** The report; its failures name the steps. */
  readonly result: AnsibleResult;
  /** Failures of nodes whose connection was lost, or could not be made. */
  readonly lost: readonly Failure[];
  /** What failed on nodes that answer, one message per failure; empty if nothing failed but connections. */
  readonly failures: readonly string[];
  /** Why nodes do not answer, and what to do: sentences. Empty if all nodes answer. */
  readonly explanation: readonly string[];

  /** Without `explanation`, what ssh said stands for it. */
  constructor(
    result: AnsibleResult,
    { explanation, cause }: { explanation?: readonly string[]; cause: unknown },
  ) {
    const lost = result.failures.filter((one) => isLost(one, result));
    const failures = listFailures(result.failures.filter((one) => !lost.includes(one)));
    const reasons = explanation ?? listFailures(lost);
    super([...failures, ...reasons], { steps: result.failures.map(({ step }) => step), cause });
    this.result = result;
    this.lost = lost;
    this.failures = failures;
    this.explanation = reasons;
  }

  /** What ssh said, one message per lost connection. */
  get transcripts(): readonly string[] {
    return listFailures(this.lost);
  }
}

function isLost({ node }: Failure, { stats }: AnsibleResult): boolean {
  return (stats[node]?.unreachable ?? 0) > 0 && stats[node]?.failures === 0;
}

/** One message per failure: the node, the task, and what failed. */
export function listFailures(failures: readonly Failure[]): string[] {
  return failures.map(
    ({ node, task, message, log }) => `${node}: ${task}: ${[message, log].join('\n').trim()}`,
  );
}
