import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

/** A backend for Terraform's `http`: its state, and how many writes it refuses from now on. */
const backend = { state: '', refusals: 0, writes: [] as number[] };
let server: Server;
let bench: Bench;
let aws: Aws;
let folder: string;
let inputs: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'errored-test-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'GET') {
        response.writeHead(backend.state === '' ? 404 : 200).end(backend.state);
        return;
      }
      const refused = backend.writes.length < backend.refusals;
      backend.writes.push(refused ? 403 : 200);
      if (!refused) backend.state = Buffer.concat(chunks).toString('utf8');
      response.writeHead(refused ? 403 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/state`;
  inputs = {
    backend: 'http',
    'backend-config': `address = "${address}"`,
    // The merge has no review.
    'on-plan-change': 'apply',
  };
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'errored-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
});
beforeEach(() => Object.assign(backend, { state: '', refusals: 0, writes: [] }));
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function merge(branch: string) {
  const opened = bench.github.openPullRequest({ branch, title: 'Create the cluster' });
  const number = readPullNumber(opened);
  return { number, push: bench.github.merge(number, 'squash').push };
}

const withAws = () => ({ path: reachAws({ folder, reattach: aws.reattach }) });
const countInstances = (state: string): number => {
  const { resources } = JSON.parse(state) as {
    resources: { type: string; instances: unknown[] }[];
  };
  return resources.find(({ type }) => type === 'aws_instance')?.instances.length ?? 0;
};

test('a state that the backend refuses is kept, and nothing is applied until it is pushed', async () => {
  backend.refusals = 99;
  const { number, push } = merge('refused');
  const workDirectory = join(folder, 'job');
  const result = await bench.run(push, inputs, { ...withAws(), workDirectory });
  expect(result.conclusion).toBe('failure');
  expect(backend.state).toBe('');
  const kept = join(result.directories.workspace, '.postgres-cluster/postgres/errored-state');
  const file = join(kept, 'errored.tfstate');
  expect(countInstances(readFileSync(file, 'utf8'))).toBe(3);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const steps = `cd '${kept}' && terraform init && terraform state push errored.tfstate`;
  expect(listErrors(result).join('\n')).toContain(steps);
  expect(bench.github.listComments(number)[0]?.body).toContain(steps);
  expect(result.leftovers).toEqual([]);

  backend.refusals = 0;
  const again = await bench.run(push, inputs, { ...withAws(), workDirectory, runAttempt: 2 });
  expect(listErrors(again).join('\n')).toContain('was not saved in the backend');
  expect(backend.writes.filter((status) => status === 200)).toEqual([]);
}, 180_000);

test('a state that the backend accepts at the second try is stored there', async () => {
  backend.refusals = 1;
  const { push } = merge('hiccup');
  const result = await bench.run(push, inputs, withAws());
  expect(result.conclusion).toBe('failure');
  expect(listErrors(result).join('\n')).toContain('is in the backend now');
  expect(countInstances(backend.state)).toBe(3);
  expect(backend.writes).toEqual([403, 200]);
}, 180_000);

test.each([
  { refusals: 1, level: 'notice', message: 'could not save is in the backend now' },
  { refusals: 99, level: 'error', message: 'terraform state push errored.tfstate' },
])(
  'the post step pushes or keeps a state that is left after the action was killed: $level',
  async ({ refusals, level, message }) => {
    backend.refusals = refusals;
    const controller = new AbortController();
    const { number, push } = merge(`killed-${refusals}`);
    const slow = 'if [ "$1" = apply ]; then trap "" INT; echo "about to apply"; sleep 12; fi';
    const result = await bench.run(push, inputs, {
      ...withAws(),
      path: reachAws({ folder, reattach: aws.reattach, before: slow }),
      signal: controller.signal,
      onLine: (line) => {
        if (line.includes('about to apply')) controller.abort();
      },
    });
    expect(result.conclusion).toBe('cancelled');
    expect(result.main?.signal).toBe('SIGKILL');
    expect(result.annotations).toContainEqual(
      expect.objectContaining({ level, message: expect.stringContaining(message) }),
    );
    expect(bench.github.listComments(number)[0]?.body).toContain(message);
    expect(result.leftovers).toEqual([]);
    const kept = '.postgres-cluster/postgres/errored-state/errored.tfstate';
    const file = join(result.directories.workspace, kept);
    expect(existsSync(file)).toBe(level === 'error');
    const state = level === 'error' ? readFileSync(file, 'utf8') : backend.state;
    expect(countInstances(state)).toBe(3);
  },
  180_000,
);
