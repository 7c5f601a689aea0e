import { UserError } from '../messages/errors.ts';
import type { ClusterIdentity } from './read-inputs.ts';

/** Inputs, the cluster file among them, that nothing can be done with. */
export class RefusedInputsError extends UserError {
  /** Whose comment says so; null where too little is known. */
  readonly cluster: ClusterIdentity | null;

  constructor(problems: string | readonly string[], cluster: ClusterIdentity | null) {
    super(problems);
    this.name = 'RefusedInputs';
    this.cluster = cluster;
  }
}
