import type { Deferral } from '../cluster/rollout/deferral.ts';
import { UserError } from '../messages/errors.ts';

/** Everything that was safe was done; a part of the change waits for nodes that are away. */
export class LeftOutError extends UserError {
  readonly deferral: Deferral;

  /** `sentences`: what was left out, and how to bring the nodes back. */
  constructor(deferral: Deferral, sentences: readonly string[]) {
    super(sentences);
    this.deferral = deferral;
  }
}
