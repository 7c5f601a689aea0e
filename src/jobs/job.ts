import type { Inputs } from '../inputs/inputs.ts';
import type { PublicKeys } from '../inputs/ssh-key.ts';
import type { RunnerEnvironment } from '../runner/environment.ts';
import type { Workspace } from '../runner/workspace.ts';

/** Everything that a job works with. */
export interface Job {
  readonly environment: RunnerEnvironment;
  readonly inputs: Inputs;
  /** Null only if the job needs no key and none was given. */
  readonly keys: PublicKeys | null;
  readonly workspace: Workspace;
  /** The action's own folder. */
  readonly actionRoot: string;
}
