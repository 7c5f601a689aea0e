/** A node as Terraform created it. Addresses are IPv4. */
export interface Node {
  /** `node-1`, `node-2`, … */
  readonly name: string;
  readonly instanceId: string;
  readonly instanceType: string;
  readonly privateAddress: string;
  /** Empty in a subnet without public addresses. */
  readonly publicAddress: string;
  /** Name in a private DNS zone, e.g. `node-1.orders.example.internal`; empty without a zone. */
  readonly dnsName: string;
  readonly volumeId: string;
  /** Availability zone, e.g. `us-east-1a`. */
  readonly zone: string;
}

/** Returns the name of node `number` (1-based), the same in Terraform, Ansible, PostgreSQL and every message. */
export function nodeName(number: number): string {
  return `node-${number}`;
}

/**
 * Returns the replication slot, and `application_name`, of a node. Slot names allow `[a-z0-9_]` only
 * (PostgreSQL manual, 26.2.6 "Replication Slots").
 */
export function slotName(node: string): string {
  return node.replaceAll('-', '_');
}

/** Orders `node-2` before `node-10`. */
export function compareNames(a: string, b: string): number {
  return Number(a.replace(/\D/g, '')) - Number(b.replace(/\D/g, ''));
}

/** Returns the number in a node's name, which is its key in Terraform: `3` for `node-3`. */
export function nodeNumber(node: string): string {
  return /\d+$/.exec(node)?.[0] ?? '';
}

/** Returns the names of nodes, in their order. */
export function namesOf(nodes: readonly { readonly name: string }[]): string[] {
  return nodes.map(({ name }) => name);
}

/** The names that nodes may have: at most three digits, no leading zero. */
export const NODE_NAME = /^node-[1-9]\d{0,2}$/;

/** Whether a replication slot is named like that of a node. Other slots belong to other tools. */
export function isNodeSlot(slot: string): boolean {
  return /^node_\d+$/.test(slot);
}
