import { UserError } from './errors.ts';

/** Steps failed on nodes. */
export class FailedStepsError extends UserError {
  /** Their kinds, and `proof`. A step of nodes may be here once for each of them. */
  readonly steps: readonly string[];

  constructor(
    problems: string | readonly string[],
    { steps, cause }: { steps: readonly string[]; cause?: unknown },
  ) {
    super(problems, { cause });
    this.steps = steps;
  }
}
