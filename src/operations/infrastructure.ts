import type { Node } from '../cluster/node.ts';

/**
 * What a rollout changes about the instances, a stage of the reviewed plan each. Every method gives the
 * nodes that stand afterwards.
 */
export interface Infrastructure {
  /** Another instance type for one node. */
  resize(node: string): Promise<readonly Node[]>;
  /** The end of the nodes that leave. */
  destroy(): Promise<readonly Node[]>;
  /** Stops the instance of a node that cannot be reached, by force: EC2 says that it is stopped then. */
  halt(node: string): Promise<readonly Node[]>;
  /** Another instance for a node that cannot be reached, or of which a person asked for it. */
  replace(node: string): Promise<readonly Node[]>;
}
