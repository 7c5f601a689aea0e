import { expect, test } from 'vitest';
import { createNode } from '../cluster/testing/fixtures.ts';
import { renderInventory } from './inventory.ts';
import { renderSshConfig } from './ssh-config.ts';

test('renders every node with the address at which the runner reaches it', () => {
  const nodes = [createNode(1), { ...createNode(2), publicAddress: '' }];
  expect(
    renderInventory(nodes, {
      sshUser: 'admin',
      sshConfigFile: '/tmp/pgca-a1/ssh_config',
      route: { kind: 'direct', address: null },
    }),
  ).toMatchInlineSnapshot(`
    "[nodes]
    node-1 ansible_host=203.0.113.11 private_address=10.42.0.11 instance_id=i-0000000000000001 volume_id=vol-0000000000000001 ansible_ssh_common_args='-o HostKeyAlias=i-0000000000000001'
    node-2 ansible_host=10.42.0.12 private_address=10.42.0.12 instance_id=i-0000000000000002 volume_id=vol-0000000000000002 ansible_ssh_common_args='-o HostKeyAlias=i-0000000000000002'

    [nodes:vars]
    ansible_user=admin
    ansible_ssh_extra_args='-F /tmp/pgca-a1/ssh_config'
    "
  `);
});

test('makes ssh read no other configuration', () => {
  const files = {
    privateKeyFiles: ['/tmp/new', '/tmp/old'],
    knownHostsFile: '/tmp/known_hosts',
    proxyCommand: null,
  };
  expect(renderSshConfig(files)).toMatchInlineSnapshot(`
    "IdentityFile /tmp/new
    IdentityFile /tmp/old
    IdentitiesOnly yes
    StrictHostKeyChecking accept-new
    UserKnownHostsFile /tmp/known_hosts
    GlobalKnownHostsFile /dev/null
    HashKnownHosts no
    UpdateHostKeys no
    "
  `);
});
