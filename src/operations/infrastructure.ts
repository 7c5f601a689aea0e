import type { Node } from '../cluster/node.ts';
import type { TerraformStep } from '../cluster/rollout/step.ts';

/** Changes instances during a rollout. Each method returns the nodes that exist afterwards. */
export interface Infrastructure {
  /** Changes the instance type of one node. */
  resize(node: string): Promise<readonly Node[]>;
  /** Removes the leaving nodes. */
  destroy(): Promise<readonly Node[]>;
  /** Stops the instance of an unreachable node by force, and returns once EC2 reports it as stopped. */
  halt(node: string): Promise<readonly Node[]>;
  /** Replaces the instance of an unreachable node, or of one that a person named. */
  replace(node: string): Promise<readonly Node[]>;
}

/** Does a step of Terraform; returns the nodes that exist afterwards. */
export function changeInstances(
  infrastructure: Infrastructure,
  step: TerraformStep,
): Promise<readonly Node[]> {
  switch (step.kind) {
    case 'resize':
      return infrastructure.resize(step.nodes[0]);
    case 'halt':
      return infrastructure.halt(step.nodes[0]);
    case 'replace':
      return infrastructure.replace(step.nodes[0]);
    case 'destroy':
      return infrastructure.destroy();
    case 'provision':
    case 'boot':
      throw new Error(`${step.nodes.join(', ')} was applied and does not exist`);
  }
}
