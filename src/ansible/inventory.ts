import type { Node } from '../cluster/node.ts';

/** The address at which the runner reaches a node: the public one, if there is one. */
export function sshAddress(node: Node): string {
  return node.publicAddress || node.privateAddress;
}

/**
 * Renders `inventory.ini` of the cluster. The path of `sshConfigFile` is safe (`Workspace.temporary`). All other values
 * come from Terraform's outputs or from validated inputs and contain no character that INI or ssh's shell interprets.
 *
 * Host keys belong to an instance id, not to an address, because AWS reuses addresses.
 */
export function renderInventory(
  nodes: readonly Node[],
  options: { sshUser: string; sshConfigFile: string },
): string {
  const hosts = nodes.map((node) =>
    [
      node.name,
      `ansible_host=${sshAddress(node)}`,
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

/**
 * Renders the only configuration that ssh reads (ssh_config(5)), without the user's and the machine's. The host key of a
 * new node is accepted and saved in `knownHostsFile`; a changed key stops the run. All paths are safe.
 */
export function renderSshConfig(options: {
  /** In order: the current key first, then the key that is being replaced, for hosts without the new one. */
  privateKeyFiles: readonly string[];
  knownHostsFile: string;
}): string {
  return [
    ...options.privateKeyFiles.map((file) => `IdentityFile ${file}`),
    'IdentitiesOnly yes',
    'StrictHostKeyChecking accept-new',
    `UserKnownHostsFile ${options.knownHostsFile}`,
    'GlobalKnownHostsFile /dev/null',
    'HashKnownHosts no',
    'UpdateHostKeys no',
    '',
  ].join('\n');
}
