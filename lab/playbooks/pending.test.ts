import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DIRECT } from '../../src/ansible/route.ts';
import type { NodeObservation } from '../../src/cluster/observation.ts';
import type { NodeProof } from '../../src/cluster/proof.ts';
import { createDesired, createHealthy } from '../../src/cluster/testing/fixtures.ts';
import { createStep } from '../../src/inputs/input-fixtures.ts';
import { readInputs } from '../../src/inputs/read-inputs.ts';
import { configure } from '../../src/operations/configure.ts';
import { ContinuingError } from '../../src/operations/continuing-error.ts';
import { type NodeScript, scriptNodes } from './scripted-nodes.ts';

// What `configure` does with work that a node goes on with, with real Ansible and an `ssh` that plays the nodes.

// Starting Ansible takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pending-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const made = readInputs(
  { step: createStep({ settings: 'max_connections = 100' }), file: null },
  { kind: 'operation', operation: 'configure', body: {}, why: 'test' },
);
if (made.inputs === null) throw new Error(made.problems.join('\n'));
const { inputs } = made;
const image = `${inputs.spec.image}:${inputs.spec.imageTag}`;
const desired = createDesired({ ...inputs.spec, image, instanceType: null });
// Node 3 runs nothing and holds nothing.
const observations = createHealthy(desired).map(
  (node): NodeObservation =>
    node.name === 'node-3'
      ? { ...node, data: 'absent', record: null, container: null, control: null, postgres: null }
      : node,
);

/** Runs `configure`; `copying` is the script of node 3. */
function run(copying: Partial<NodeScript>, postgres: object, deadline?: number) {
  const scripts = observations.map((observation, index): [string, NodeScript] => {
    const isCopying = observation.name === 'node-3';
    const proof: NodeProof = {
      ...{ name: observation.name, role: index === 0 ? 'primary' : 'replica' },
      ...{ address: `10.42.0.1${index + 1}`, state: index === 0 ? 'running' : 'streaming' },
      ...{ timeline: 1, lsn: '0/3000148', systemIdentifier: '7300000000000000001' },
      ...{ lagBytes: index === 0 ? null : 0, lagSeconds: index === 0 ? null : 0 },
      ...{
        replayPaused: false,
        tokenRead: true,
        archiver: null,
        archivedWal: null,
        canary: null,
        verification: null,
        storage: null,
        problem: null,
      },
      slot: index === 0 ? null : `node_${index + 1}`,
    };
    const answers = {
      cluster_observe: JSON.stringify({ changed: false, observation }),
      cluster_postgres: JSON.stringify({ changed: false, ...(isCopying && postgres) }),
      cluster_proof: JSON.stringify({ changed: false, proof }),
    };
    return [observation.name, { answers, ...(isCopying && copying) }];
  });
  const nodes = scriptNodes(folder, Object.fromEntries(scripts));
  vi.stubEnv('PATH', nodes.path);
  const place = (name: string) => {
    mkdirSync(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const log: string[] = [];
  const access = {
    ...{ inputs, keys: { current: 'ssh-ed25519 AAAA', retired: [] } },
    playbooks: join(import.meta.dirname, '../../playbooks'),
    log: (line: string) => log.push(line),
    ...{
      directory: place('result'),
      temporary: place('temporary'),
      lasting: place('lasting'),
      route: DIRECT,
    },
  };
  const end = configure(access, {
    ...{ nodes: desired.nodes, instanceType: null, memoryMib: null, infrastructure: null },
    ...(deadline !== undefined && { deadline }),
  });
  return { end, log, nodes };
}

test('when its time is over, configure leaves a copy to its node and proves nothing', async () => {
  const pending = { pending: true, ansible_facts: { postgres_pending: true } };
  const { end, nodes } = run({}, pending, Date.now());
  await expect(end).rejects.toBeInstanceOf(ContinuingError);
  await expect(end).rejects.toMatchObject({
    nodes: ['node-3'],
    work: [{ kind: 'step', node: 'node-3', step: 'clone' }],
  });
  expect(nodes.readSent('node-1', 'cluster_proof')).toBe('');
});

test('a connection that is lost during a clone is made again', async () => {
  const times = { started: 1, updated: 2, working: false };
  const progress = JSON.stringify({ kind: 'copy', done: 1, total: 1, ...times });
  const { end, log } = run({ cut: 'cluster_postgres', progress }, { changed: true });
  const { proof, changes } = await end;
  expect(proof.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'node-1 running',
    'node-2 streaming',
    'node-3 streaming',
  ]);
  expect(changes).toContainEqual(expect.objectContaining({ node: 'node-3', step: 'clone' }));
  expect(log.filter((line) => line.startsWith('The connection was lost'))).toHaveLength(1);
});
