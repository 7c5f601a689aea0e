import { UserError } from '../messages/errors.ts';
import type { ClusterIdentity } from './cluster-identity.ts';

/** Invalid inputs, or an invalid cluster file. */
export class RefusedInputsError extends UserError {
  /** The cluster whose comment reports them; null if it is unknown. */
  readonly cluster: ClusterIdentity | null;

  constructor(problems: string | readonly string[], cluster: ClusterIdentity | null) {
    super(problems);
    this.name = 'RefusedInputsError';
    this.cluster = cluster;
  }
}
