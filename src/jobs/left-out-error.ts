import type { Deferral } from '../cluster/rollout/deferral.ts';
import { UserError } from '../messages/errors.ts';

/** Everything that could be done safely was done, and a part of the change waits for nodes that are away. */
export class LeftOutError extends UserError {
  readonly leftOut: Deferral;

  /** `sentences`: what was left out, and what brings it back. */
  constructor(leftOut: Deferral, sentences: readonly string[]) {
    super(sentences);
    this.leftOut = leftOut;
  }
}
