import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { NodeAccess } from '../../src/ansible/nodes.ts';
import { DIRECT } from '../../src/ansible/route.ts';
import type { Step } from '../../src/cluster/rollout/step.ts';
import { createDesired, createHealthy } from '../../src/cluster/testing/fixtures.ts';
import { configure } from '../../src/operations/configure.ts';
import { scriptNodes } from './scripted-nodes.ts';

// Starting Ansible takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fence-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

test('a fence that fails over SSH continues through EC2, and the node is not called again', async () => {
  const desired = createDesired({ size: 2 });
  const healthy = createHealthy(desired);
  const look = (index: number) => JSON.stringify({ changed: false, observation: healthy[index] });
  const scripted = scriptNodes(folder, {
    'node-1': {
      answers: {
        cluster_observe: look(0),
        cluster_postgres: '{"failed": true, "msg": "Docker does not answer"}',
      },
    },
    'node-2': { answers: { cluster_observe: look(1) } },
  });
  vi.stubEnv('PATH', scripted.path);
  const done: string[] = [];
  const log: string[] = [];
  const seen: (readonly string[])[] = [];
  const [fence, halt]: Step[] = [
    { kind: 'fence', nodes: ['node-1'] },
    { kind: 'halt', nodes: ['node-1'] },
  ];
  const run = configure(buildAccess(desired.nodes.length, log), {
    nodes: desired.nodes,
    instanceType: null,
    memoryMib: null,
    infrastructure: {
      resize: async () => desired.nodes,
      destroy: async () => desired.nodes,
      replace: async () => desired.nodes,
      async halt(node) {
        done.push(`halt ${node}`);
        return desired.nodes;
      },
    },
    decide({ unreachable }) {
      seen.push(unreachable);
      const steps = [fence, halt][seen.length - 1];
      if (steps === undefined) return { kind: 'refused', refusals: ['the end of this test'] };
      return { kind: 'steps', primary: 'node-2', steps: [steps], observeAgain: true };
    },
  });
  await expect(run).rejects.toThrow('the end of this test');
  expect(done).toEqual(['halt node-1']);
  expect(seen).toEqual([[], ['node-1'], ['node-1']]);
  expect(log.join('\n')).toMatch(
    /node-1 could not be fenced over SSH[\s\S]*Docker does not answer/,
  );
});

function buildAccess(count: number, log: string[]): NodeAccess {
  const [temporary, lasting] = ['temporary', 'lasting'].map((name) => join(folder, name));
  for (const path of [temporary, lasting]) mkdirSync(path as string);
  return {
    inputs: {
      sshUser: 'admin',
      spec: {
        name: 'postgres',
        region: 'us-east-1',
        instanceType: 't3.small',
        replicaCount: count - 1,
        image: 'postgres',
        imageTag: '17',
        settings: {},
        clientCidrs: [],
        primary: null,
        synchronousReplicas: 0,
        storage: { dataGib: 20, rootGib: 16 },
        clone: { from: 'primary', maxRate: null },
      },
      secrets: { sshPrivateKey: 'none', postgresPassword: '', replicationPassword: '' },
    } as unknown as NodeAccess['inputs'],
    keys: { current: 'ssh-ed25519 AAAA', retired: [] },
    route: DIRECT,
    directory: folder,
    temporary: temporary as string,
    lasting: lasting as string,
    playbooks: join(import.meta.dirname, '../../playbooks'),
    log: (line) => log.push(line),
  };
}
