import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Nodes } from '../ansible/nodes.ts';
import { readProgress } from '../ansible/progress.ts';
import type { Route } from '../ansible/route.ts';
import type { SshSpec } from '../cluster/spec.ts';
import { createNode } from '../cluster/testing/fixtures.ts';
import { buildNodeAccess } from './node-access.ts';
import { createJob } from './testing/job.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-access-'));
  for (const name of ['temporary', 'lasting', 'bin']) mkdirSync(join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true }));

const openJob = (address: SshSpec['address'], { sshPrivateKey = 'a key\n' } = {}) =>
  createJob({
    inputs: {
      secrets: { sshPrivateKey },
      spec: { ssh: { via: 'direct', endpointId: null, address } },
    },
    workspace: {
      directory: folder,
      temporary: join(folder, 'temporary'),
      lasting: join(folder, 'lasting'),
    },
  });

/** The address to which ssh would connect to read the progress of node-1. */
async function readAddress(route: Route): Promise<string | undefined> {
  const [ssh, given] = [join(folder, 'bin', 'ssh'), join(folder, 'arguments')];
  writeFileSync(ssh, `#!/bin/sh\nprintf '%s\\n' "$@" >${given}\n`);
  chmodSync(ssh, 0o755);
  const environment = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin` };
  const access = { sshUser: 'admin', sshConfigFile: '/c', sockets: null, route, environment };
  await readProgress(createNode(1), access, new AbortController().signal);
  const lines = readFileSync(given, 'utf8').split('\n');
  return lines[lines.indexOf('--') + 1];
}

test.each<[SshSpec['address'], string]>([
  [null, '203.0.113.11'],
  ['public', '203.0.113.11'],
  ['private', '10.42.0.11'],
])('with ssh-address %s, Ansible and the progress take the address %s', async (value, address) => {
  const access = buildNodeAccess(openJob(value), null);
  if (access === null) throw new Error('no access');
  const nodes = new Nodes(access);
  await nodes.reach([createNode(1)]);
  const inventory = readFileSync(nodes.inventory, 'utf8');
  await nodes.close();
  expect(/ansible_host=(\S+)/.exec(inventory)?.[1]).toBe(address);
  expect(await readAddress(access.route)).toBe(address);
});

test('with an endpoint in the state the nodes are reached through it, whatever ssh-address says', async () => {
  const access = buildNodeAccess(openJob('public'), 'eice-1');
  expect(access?.route).toMatchObject({ kind: 'endpoint', endpointId: 'eice-1' });
  expect(await readAddress(access?.route as Route)).toBe('10.42.0.11');
});

test('without a private key there is no access', () => {
  expect(buildNodeAccess(openJob(null, { sshPrivateKey: '' }), null)).toBeNull();
});
