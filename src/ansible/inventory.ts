import type { Node } from '../cluster/node.ts';
import { type Route, sshAddress } from './route.ts';

/**
 * Renders `inventory.ini` of the cluster. The path of `sshConfigFile` is safe (`Workspace.temporary`). All other values
 * come from Terraform's outputs or from validated inputs and contain no character that INI or ssh's shell interprets.
 *
 * Host keys belong to an instance id, not to an address, because AWS reuses addresses.
 */
export function renderInventory(
  nodes: readonly Node[],
  options: { sshUser: string; sshConfigFile: string; route: Route },
): string {
  const hosts = nodes.map((node) =>
    [
      node.name,
      `ansible_host=${sshAddress(node, options.route)}`,
      `private_address=${node.privateAddress}`,
      `instance_id=${node.instanceId}`,
      `volume_id=${node.volumeId}`,
      `ansible_ssh_common_args='-o HostKeyAlias=${node.instanceId}'`,
    ].join(' '),
  );
  return [
    '[nodes]',
    ...hosts,
    '',
    '[nodes:vars]',
    `ansible_user=${options.sshUser}`,
    `ansible_ssh_extra_args='-F ${options.sshConfigFile}'`,
    '',
  ].join('\n');
}
