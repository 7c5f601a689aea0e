import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeAccess } from '../../src/ansible/nodes.ts';
import { DIRECT } from '../../src/ansible/route.ts';
import { createStep } from '../../src/inputs/input-fixtures.ts';
import { readInputs } from '../../src/inputs/read-inputs.ts';
import type { Testbed } from './testbed.ts';

/** Returns the action's own access to the nodes of a testbed, in a folder that `close` removes. */
export async function openAccess(
  { hosts }: Testbed,
  log: (line: string) => void,
): Promise<{ access: NodeAccess; close: () => Promise<void> }> {
  const made = readInputs(
    { step: createStep({ 'cluster-name': 'orders' }), file: null },
    { kind: 'operation', operation: 'configure', body: {}, why: 'test' },
  );
  if (made.inputs === null) throw new Error(made.problems.join('\n'));
  const secrets = {
    ...made.inputs.secrets,
    sshPrivateKey: await readFile(hosts.key, 'utf8'),
    postgresPassword: 'postgres',
    replicationPassword: 'replicator',
  };
  const folder = await mkdtemp(join(tmpdir(), 'pgca-'));
  const [directory, temporary, lasting] = ['r', 't', 'l'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([directory, temporary, lasting].map((path) => mkdir(path)));
  await mkdir(join(temporary, 'tmp'));
  return {
    access: {
      inputs: { ...made.inputs, secrets, sshUser: 'admin' },
      keys: { current: hosts.authorizedKey, retired: [] },
      playbooks: join(import.meta.dirname, '../../playbooks'),
      ...{ directory, temporary, lasting, route: DIRECT, log },
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
