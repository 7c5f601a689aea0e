import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DIRECT, type Route } from '../../src/ansible/route.ts';
import type { NodeProof } from '../../src/cluster/proof.ts';
import { createDesired, createHealthy } from '../../src/cluster/testing/fixtures.ts';
import { createStep } from '../../src/inputs/input-fixtures.ts';
import { readInputs } from '../../src/inputs/read-inputs.ts';
import { decideReplacement } from '../../src/jobs/replace.ts';
import { configure } from '../../src/operations/configure.ts';
import { type NodeScript, scriptNodes } from './scripted-nodes.ts';

// How `configure` handles unreachable nodes, with real Ansible and an `ssh` that plays the nodes.

// Starting Ansible takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

// Short timeouts, so that no test waits.
const AWAY: NodeScript = {
  refusals: ['ssh: Could not resolve hostname: Name or service not known'],
};
const STATES = { 'node-1': 'running', 'node-2': 'running', 'node-3': 'running' };

const made = readInputs(
  { step: createStep({ settings: 'max_connections = 100' }), file: null },
  { kind: 'operation', operation: 'configure', body: {}, why: 'test' },
);
if (made.inputs === null) throw new Error(made.problems.join('\n'));
const { inputs } = made;
const desired = createDesired({
  ...inputs.spec,
  image: `${inputs.spec.image}:${inputs.spec.imageTag}`,
  instanceType: null,
});
const healthy = createHealthy(desired);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'away-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function answer(number: number): NodeScript {
  const observation = healthy[number - 1];
  const proof: NodeProof = {
    name: `node-${number}`,
    role: number === 1 ? 'primary' : 'replica',
    address: `10.42.0.1${number}`,
    state: number === 1 ? 'running' : 'streaming',
    ...{ timeline: 1, lsn: '0/3000148', systemIdentifier: '7300000000000000001' },
    ...{ lagBytes: number === 1 ? null : 0, lagSeconds: number === 1 ? null : 0 },
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
    slot: number === 1 ? null : `node_${number}`,
  };
  const answers = {
    cluster_observe: JSON.stringify({ changed: false, observation }),
    cluster_proof: JSON.stringify({ changed: false, proof }),
  };
  return { answers };
}

function run(
  nodes: Readonly<Record<string, NodeScript>>,
  options: Partial<Parameters<typeof configure>[1]> = {},
  route: Route = DIRECT,
) {
  vi.stubEnv('PATH', scriptNodes(folder, nodes).path);
  const place = (name: string) => {
    mkdirSync(join(folder, name), { recursive: true });
    return join(folder, name);
  };
  const playbooks = join(import.meta.dirname, '../../playbooks');
  const access = {
    ...{ inputs, keys: { current: 'ssh-ed25519 AAAA', retired: [] }, playbooks, log: () => {} },
    ...{
      directory: place('result'),
      temporary: place('temporary'),
      lasting: place('lasting'),
      route,
    },
  };
  return configure(access, {
    ...{ nodes: desired.nodes, instanceType: null, memoryMib: null, infrastructure: null },
    states: STATES,
    ...options,
  });
}

describe('with an unreachable node, configure', () => {
  test('proves the others and names the node if it is a replica', async () => {
    const result = await run({ 'node-1': answer(1), 'node-2': AWAY, 'node-3': answer(3) });
    expect(result.deferral).toEqual({ nodes: ['node-2'], deferred: [] });
    expect(result.proof.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'node-1 running',
      'node-2 not proved: cannot be reached',
      'node-3 streaming',
    ]);
  });

  test('does nothing and quotes EC2 if it is the primary', async () => {
    await expect(run({ 'node-1': AWAY, 'node-2': answer(2), 'node-3': answer(3) })).rejects.toThrow(
      /^node-1 cannot be reached .*EC2 says: running[\s\S]*command: failover/,
    );
  });

  test('reports the likely cause first if all nodes are unreachable', async () => {
    await expect(run({ 'node-1': AWAY, 'node-2': AWAY, 'node-3': AWAY })).rejects.toThrow(
      /^None of the nodes answers SSH .*ssh-cidrs/,
    );
  });
});

test('a node that is lost during a step is named in one sentence, apart from what ssh said', async () => {
  const end = run({
    'node-1': answer(1),
    'node-2': answer(2),
    'node-3': { ...answer(3), cut: 'cluster_proof' },
  });
  await expect(end).rejects.toMatchObject({
    problems: [
      expect.stringMatching(
        /^node-3 does not answer SSH any more \(step proof\)\. .*console in EC2\.$/,
      ),
    ],
    transcripts: [expect.stringMatching(/^node-3: .*: /)],
  });
});

describe('beside a step that failed, a lost node', () => {
  const { answers } = answer(2);
  const failed = {
    answers: { ...answers, cluster_proof: '{"failed": true, "msg": "no proof"}' },
  };
  /** An endpoint whose tunnels ssh does not use here. The last one to node-3 was closed `ago` seconds before the question. */
  const viaEndpoint = (ago: number): Route => ({
    ...{ kind: 'endpoint', endpointId: 'eice-1' },
    open: async () => ({
      ...{ proxyCommand: 'false', admit: () => {}, close: async () => {}, findCause: () => null },
      findClosure: (address, since) =>
        address === '10.42.0.13' && vi.getRealSystemTime() - ago * 1_000 >= since
          ? 'eice-1 closed the tunnel (so). Run this again.'
          : null,
    }),
  });
  // So that the steps begin ten minutes before one fails.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 600_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each<[string, Partial<NodeScript>, Route, RegExp]>([
    [
      'is one sentence',
      {},
      DIRECT,
      /^node-3 does not answer SSH any more \(step proof\)\. .*console in EC2\.$/,
    ],
    [
      'with another host key is said to have it',
      { cutWith: 'Host key verification failed.' },
      DIRECT,
      /^node-3: the SSH server answers, but with another host key/,
    ],
    [
      'whose tunnel was closed is said to have lost it',
      {},
      viaEndpoint(1),
      /^node-3 cannot be reached any more \(step proof\): eice-1 closed the tunnel \(so\)\./,
    ],
    [
      'whose tunnel was closed minutes before is not said to have lost it',
      {},
      viaEndpoint(300),
      /^node-3 does not answer SSH any more \(step proof\)\. .*console in EC2\.$/,
    ],
  ])('%s', async (_, script, route, sentence) => {
    const end = run(
      {
        'node-1': answer(1),
        'node-2': failed,
        'node-3': { ...answer(3), cut: 'cluster_proof', ...script },
      },
      {},
      route,
    );
    await expect(end).rejects.toMatchObject({
      failures: [expect.stringMatching(/^node-2: .*no proof/s)],
      explanation: [expect.stringMatching(sentence)],
      transcripts: [expect.stringMatching(/^node-3: .*: /)],
    });
  });
});

test('configure runs Terraform once for a replacement, then waits for the node and proves all nodes', async () => {
  const others = { 'node-1': answer(1), 'node-3': answer(3) };
  const replaced: string[] = [];
  const never = () => Promise.reject(new Error('not asked for'));
  const result = await run(
    { ...others, 'node-2': AWAY },
    {
      decide: decideReplacement('node-2', { withVolume: false }),
      infrastructure: {
        ...{ resize: never, destroy: never, halt: never },
        async replace(node) {
          replaced.push(node);
          scriptNodes(folder, { ...others, 'node-2': answer(2) });
          return desired.nodes;
        },
      },
    },
  );
  expect(replaced).toEqual(['node-2']);
  expect(result.steps.map(({ kind }) => kind)).toEqual(['replace']);
  expect(result.proof.map(({ state }) => state)).toEqual(['running', 'streaming', 'streaming']);
});
