import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  createDesired,
  createHealthy,
  RUNNING_DIGEST,
} from '../../src/cluster/testing/fixtures.ts';
import { UserError } from '../../src/messages/errors.ts';
import { type PlaybookRun, runPlaybook } from './drive.ts';
import { type NodeScript, type ScriptedNodes, scriptNodes } from './scripted-nodes.ts';

// The playbooks against nodes that answer whatever their root wants, or that are unreachable.

// Starting Ansible takes seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scripted-nodes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const desired = createDesired({ size: 2 });
const RUNNING = `postgres@${RUNNING_DIGEST}`;

const observed = (node: number) => ({
  cluster_observe: JSON.stringify({
    changed: false,
    observation: createHealthy(desired)[node - 1],
  }),
});
const DENIED = 'admin@203.0.113.11: Permission denied (publickey).';
const REFUSED = 'ssh: connect to host 203.0.113.11 port 22: Connection refused';

async function play(
  nodes: Readonly<Record<string, NodeScript>>,
  playbook: 'observe.yml' | 'site.yml',
  options: Partial<Parameters<typeof runPlaybook>[0]> & {
    work?: Parameters<typeof runPlaybook>[2];
  } = {},
): Promise<PlaybookRun & Omit<ScriptedNodes, 'path'>> {
  const scripted = scriptNodes(folder, nodes);
  const { work, ...rest } = options;
  writeFileSync(join(folder, 'key'), '');
  const run = await runPlaybook(
    {
      desired,
      folder: join(folder, 'run'),
      key: join(folder, 'key'),
      authorizedKey: 'ssh-ed25519 AAAA',
      env: { PATH: scripted.path },
      ...rest,
    },
    playbook,
    work,
  );
  return { ...run, ...scripted };
}

const prepare = {
  primary: 'node-1',
  steps: [{ kind: 'prepare', nodes: ['node-1', 'node-2'] }],
} as const;

describe('the answer of a hostile node', () => {
  test('changes no variable of the inventory and runs nothing on the runner', async () => {
    const proof = join(folder, 'ran');
    const program = join(folder, 'evil');
    writeFileSync(program, `#!/bin/sh\ntouch ${proof}\nexit 255\n`, { mode: 0o755 });
    const template = `{{ lookup('pipe', 'touch ${proof}') }}`;
    const hostile = JSON.stringify({
      changed: true,
      add_host: { host_name: 'node-2', host_vars: { ansible_ssh_executable: program } },
      ansible_facts: {
        private_address: `elsewhere ${template}`,
        ansible_ssh_executable: program,
        proof_cluster: template,
      },
    });
    const run = await play(
      { 'node-1': { answers: { cluster_host: hostile } }, 'node-2': {} },
      'site.yml',
      { work: prepare },
    );
    expect(run.exitCode).toBe(0);
    expect(run.readSent('node-1', 'cluster_proof')).toContain('10.42.0.11');
    expect(run.readSent('node-1', 'cluster_proof')).not.toContain('elsewhere');
    expect(existsSync(proof)).toBe(false);
  });

  test.each([
    [
      'cluster_postgres',
      { ansible_facts: { postgres_running_image: { image: 'postgres:17', digest: '-v/:/host' } } },
      'digest',
    ],
    ['cluster_record', { record: { image: '--all-tags', digest: RUNNING } }, 'image'],
  ])('%s: %j does not reach another node', async (module, answer, field) => {
    const answers = {
      cluster_postgres: '{"changed": false}',
      [module]: JSON.stringify({ changed: false, ...answer }),
    };
    const settings = { max_connections: '100' };
    const copy = { source: 'node-1', maxRate: null, neededBytes: {} };
    const work = {
      primary: 'node-1',
      steps: [
        ...(module === 'cluster_record'
          ? []
          : [{ kind: 'reload', nodes: ['node-1'], primary: 'node-1', settings } as const]),
        { kind: 'clone', nodes: ['node-2'], primary: 'node-1', settings, ...copy } as const,
      ],
    };
    const run = await play({ 'node-1': { answers }, 'node-2': {} }, 'site.yml', { work });
    expect(run.exitCode).not.toBe(0);
    expect(run.failures[0]?.message).toMatch(
      /^node-1 sent an answer that this action's modules never send: /,
    );
    expect(run.failures[0]?.message).toContain(`.${field} is "`);
    expect(run.readSent('node-2', 'cluster_postgres')).toBe('');
  });

  test('with a template as the image digest is refused by the action before it does anything', async () => {
    const proof = join(folder, 'ran');
    const [node] = createHealthy(desired);
    const digest = `{{ lookup('pipe', 'touch ${proof}') }}`;
    const observation = { ...node, record: { ...node?.record, digest } };
    const answers = { cluster_observe: JSON.stringify({ changed: false, observation }) };
    const nodes = { 'node-1': { answers }, 'node-2': { answers: observed(2) } };
    const error: unknown = await play(nodes, 'observe.yml').catch((reason) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toContain('node-1: observation.record.digest is "{{ lookup(');
    expect(existsSync(proof)).toBe(false);
  });

  test('about a failed switchover is reported literally and runs nothing', async () => {
    const proof = join(folder, 'ran');
    const problem = `{{ lookup('pipe', 'touch ${proof}') }} {% raw %}`;
    const answer = (role: string) => {
      const facts = { role, nonce: '0'.repeat(32), port: 40_000, promoted: false, problem };
      const named = Object.entries(facts).map(([name, value]) => [`postgres_${name}`, value]);
      const ansible_facts = Object.fromEntries(named);
      return JSON.stringify({ changed: false, notes: [problem], ...facts, ansible_facts });
    };
    const settings = { max_connections: '100' };
    const work = {
      primary: 'node-2',
      steps: [
        {
          kind: 'switchover',
          nodes: ['node-1', 'node-2'],
          primary: 'node-2',
          settings,
          slots: ['node_1'],
        },
      ],
    } as const;
    const run = await play(
      {
        'node-1': { answers: { cluster_postgres: answer('primary') } },
        'node-2': { answers: { cluster_postgres: answer('replica') } },
      },
      'site.yml',
      { work },
    );
    expect(run.failures.at(-1)?.message).toBe(
      `the switchover was undone, and node-1 is still the primary: ${problem}; ${problem}`,
    );
    expect(existsSync(proof)).toBe(false);
  });

  test('in the name of another node is refused', async () => {
    const run = await play(
      { 'node-1': { answers: observed(1) }, 'node-2': { answers: observed(1) } },
      'observe.yml',
    );
    expect(run.observations.map(({ name }) => name)).toEqual(['node-1']);
    expect(run.failures[0]).toMatchObject({
      node: 'node-2',
      message: expect.stringContaining('observation.name is "node-1", expected node-2'),
    });
  });

  test('stays on its line of the log, with invisible characters shown', async () => {
    const words = 'first\r::add-mask::a\u2028::set-output name=x::y\u202e\u0007\u001b[31m';
    const answer = JSON.stringify({ failed: true, msg: words, log: `x\u2029::error::${words}` })
      // As sent by a node that wants it to get through.
      .replace(
        /[^ -~]/g,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    const run = await play(
      { 'node-1': { answers: { cluster_observe: answer } }, 'node-2': { answers: observed(2) } },
      'observe.yml',
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    expect(run.output).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u2028\u2029\u202e]/);
    expect(run.output).toContain('<U+202E>');
    expect(run.output.split('\n').filter((line) => line.startsWith('::'))).toEqual([]);
  });
});

test('a node whose programs hang after the login times out, and the other nodes are observed', async () => {
  const run = await play(
    { 'node-1': { hangs: true }, 'node-2': { answers: observed(2) } },
    'observe.yml',
    { lookSeconds: 8 },
  );
  expect(run.observations.map(({ name }) => name)).toEqual(['node-2']);
  expect(run.stats['node-1']).toMatchObject({ failures: 1, unreachable: 0 });
  expect(run.failures).toMatchObject([{ node: 'node-1', task: 'Look at the node' }]);
});

describe('an unreachable node', () => {
  const others = { 'node-2': { answers: observed(2) } };

  test.each([
    [DENIED, 'Permission denied'],
    ['command-line line 0: invalid quotes', 'invalid quotes'],
  ])('ends within seconds if waiting does not help: %s', async (refusal, words) => {
    const run = await play({ 'node-1': { refusals: [refusal] }, ...others }, 'observe.yml', {
      waitSeconds: 300,
    });
    expect(run.count('node-1')).toBe(1);
    expect(run.failures[0]).toMatchObject({
      node: 'node-1',
      message: expect.stringContaining(words),
    });
    expect(run.observations.map(({ name }) => name)).toEqual(['node-2']);
  });

  test('is waited for while it starts, and a little longer until it knows the key', async () => {
    const nodes = {
      'node-1': { refusals: [REFUSED, DENIED, ''], answers: observed(1) },
      'node-2': { refusals: [DENIED, ''], answers: observed(2) },
    };
    const run = await play(nodes, 'observe.yml', { waitSeconds: 300, freshNodes: ['node-2'] });
    expect(run.failures).toEqual([]);
    expect(run.observations.map(({ name }) => name)).toEqual(['node-1', 'node-2']);
  });
});

test('work that goes on ends the rollout on every node, without a failure and without a proof', async () => {
  const settings = { max_connections: '100' };
  const common = { primary: 'node-1', settings } as const;
  const image = { image: 'postgres:17', digest: RUNNING };
  const record = JSON.stringify({ changed: false, record: image });
  const pending = { changed: false, pending: true, ansible_facts: { postgres_pending: true } };
  const run = await play(
    {
      'node-1': { answers: { cluster_record: record } },
      'node-2': { answers: { cluster_postgres: JSON.stringify(pending) } },
    },
    'site.yml',
    {
      once: true,
      work: {
        primary: 'node-1',
        steps: [
          {
            kind: 'clone',
            nodes: ['node-2'],
            ...common,
            source: 'node-1',
            maxRate: null,
            neededBytes: {},
          },
          { kind: 'reload', nodes: ['node-1'], ...common },
        ],
      },
    },
  );
  expect(run.exitCode, run.output).toBe(0);
  expect(run.pending).toEqual([{ node: 'node-2', step: 'clone' }]);
  expect([run.failures, run.changes, run.proof]).toEqual([[], [], []]);
  expect(run.readSent('node-1', 'cluster_postgres')).toBe('');
  expect(run.readSent('node-1', 'cluster_proof')).toBe('');
});
