import { sshAddress } from '../ansible/ssh-config.ts';
import type { Node } from '../cluster/node.ts';

/**
 * Returns libpq's connection string over all nodes, without a password; the client finds the primary (PostgreSQL manual,
 * 34.1.1).
 */
export function renderConnectionString(nodes: readonly Node[]): string {
  const hosts = nodes.map((node) => `${sshAddress(node)}:5432`).join(',');
  return `postgresql://postgres@${hosts}/postgres?target_session_attrs=read-write`;
}
