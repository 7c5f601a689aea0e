import type { Node } from '../cluster/configuration.ts';

/** The address the runner reaches a node at: public where it has one. */
export function sshAddress(node: Node): string {
  return node.publicAddress || node.privateAddress;
}

/**
 * `inventory.ini` of the cluster. The path of `sshConfigFile` is a safe one (`Workspace.temporary`); every other value
 * comes from Terraform's outputs or from checked inputs and holds no character that INI or the shell of ssh would read.
 *
 * Host keys are known by instance id, not by address: addresses are handed out again, instances are not.
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
 * The only configuration that ssh reads (ssh_config(5)): the user's and the machine's own are left out. A first contact
 * is accepted and remembered in `knownHostsFile`; a changed key stops the run. All paths are safe ones.
 */
export function renderSshConfig(options: {
  /** A key that is being rotated out still opens hosts that have not met the new one. */
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
