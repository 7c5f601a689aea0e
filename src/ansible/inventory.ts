import type { Node } from '../cluster/configuration.ts';

/** The address the runner reaches a node at: public where it has one. */
export function sshAddress(node: Node): string {
  return node.publicAddress || node.privateAddress;
}

/**
 * `inventory.ini` of the cluster. Paths are the runner's; every other value comes from Terraform's outputs
 * or from checked inputs and holds no character that INI or the shell of ssh would read.
 *
 * Host keys are known by instance id, not by address: addresses are handed out again, instances are not. A
 * first contact is accepted and remembered in `knownHostsFile`; a changed key stops the run.
 */
export function renderInventory(
  nodes: readonly Node[],
  options: { sshUser: string; privateKeyFiles: readonly string[]; knownHostsFile: string },
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
  // A key that is being rotated out still opens hosts that have not met the new one.
  const identities = options.privateKeyFiles.map((file) => `-o IdentityFile="${file}"`);
  const ssh = [
    ...identities,
    '-o IdentitiesOnly=yes',
    '-o StrictHostKeyChecking=accept-new',
    `-o UserKnownHostsFile="${options.knownHostsFile}"`,
  ];
  return [
    '[nodes]',
    ...hosts,
    '',
    '[nodes:vars]',
    `ansible_user=${options.sshUser}`,
    `ansible_ssh_extra_args='${ssh.join(' ')}'`,
    '',
  ].join('\n');
}
