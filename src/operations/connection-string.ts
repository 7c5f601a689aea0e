import type { Node } from '../cluster/node.ts';

/**
 * Returns the host by which clients in the cluster's network reach a node: its DNS name if it has one, else its private
 * address. Both stay when an instance is stopped.
 */
export function clientHost(node: Node): string {
  return node.dnsName || node.privateAddress;
}

/**
 * Returns libpq's connection string over all nodes, without a password; the client finds the primary (PostgreSQL manual,
 * 34.1.1). It is for clients in the cluster's network.
 */
export function renderConnectionString(nodes: readonly Node[]): string {
  return render(nodes.map(clientHost));
}

/** Returns the connection string over the public addresses; null if a node has none. */
export function renderPublicConnectionString(nodes: readonly Node[]): string | null {
  const addresses = nodes.map(({ publicAddress }) => publicAddress);
  return addresses.length === 0 || addresses.includes('') ? null : render(addresses);
}

function render(hosts: readonly string[]): string {
  const list = hosts.map((host) => `${host}:5432`).join(',');
  return `postgresql://postgres@${list}/postgres?target_session_attrs=read-write`;
}
