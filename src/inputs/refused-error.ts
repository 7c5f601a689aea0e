import { UserError } from '../messages/errors.ts';
import type { ClusterLabel } from './read-inputs.ts';

/** Inputs, the cluster file among them, that nothing can be done with. */
export class RefusedInputs extends UserError {
  /** Whose comment says so; null where too little is known. */
  readonly cluster: ClusterLabel | null;

  constructor(problems: string | readonly string[], cluster: ClusterLabel | null) {
    super(problems);
    this.name = 'RefusedInputs';
    this.cluster = cluster;
  }
}
