/**
 * Renders the only configuration that ssh reads (ssh_config(5)), without the user's and the machine's. The host key of a
 * new node is accepted and saved in `knownHostsFile`; a changed key stops the run. All paths are safe.
 */
export function renderSshConfig(options: {
  /** In order: the current key first, then the key that is being replaced, for hosts without the new one. */
  privateKeyFiles: readonly string[];
  knownHostsFile: string;
  /** The program through which connections are made; null: directly. A shell reads it. */
  proxyCommand: string | null;
}): string {
  return [
    ...options.privateKeyFiles.map((file) => `IdentityFile ${file}`),
    'IdentitiesOnly yes',
    'StrictHostKeyChecking accept-new',
    `UserKnownHostsFile ${options.knownHostsFile}`,
    'GlobalKnownHostsFile /dev/null',
    'HashKnownHosts no',
    'UpdateHostKeys no',
    ...(options.proxyCommand === null ? [] : [`ProxyCommand ${options.proxyCommand}`]),
    '',
  ].join('\n');
}
