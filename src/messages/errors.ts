/**
 * A problem that the user can solve, shown without a stack trace. Each line names the input, file or node, what was
 * found, and the next step.
 */
export class UserError extends Error {
  readonly problems: readonly string[];

  constructor(problems: string | readonly string[], options?: ErrorOptions) {
    const list = typeof problems === 'string' ? [problems] : problems;
    super(list.join('\n'), options);
    this.name = 'UserError';
    this.problems = list;
  }
}

/** The job was cancelled while a program was running. */
export class CancelledError extends Error {
  constructor(what: string) {
    super(`cancelled while running ${what}`);
    this.name = 'CancelledError';
  }
}

/** Returns the message of a thrown value. */
export function readMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
