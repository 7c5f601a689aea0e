import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { WorkflowEvent } from '../github/event.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// With the real provider every command of Terraform that starts it takes seconds: no job may run one that it does not
// need. `version` and `output` do not start it, but all except `version` check its hash.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let bench: Bench;
let aws: Aws;
let folder: string;
/** Without a private key, no plan waits for nodes that do not exist. */
let withoutKey: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'commands-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'commands-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  const file = join(folder, 'key');
  writeFileSync(file, bench.secrets['ssh-private-key'], { mode: 0o600 });
  const publicKey = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  withoutKey = { 'ssh-private-key': '', 'ssh-public-key': publicKey };
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a job; the commands of Terraform that it started are in the file `seen`. */
function start(event: WorkflowEvent, inputs: Readonly<Record<string, string>> = {}) {
  const before = `echo "$1$([ "$2" = -json ] && echo ' -json')" >>'${join(folder, 'seen')}'`;
  return bench.run(
    event,
    { 'replica-count': '0', ...withoutKey, ...inputs },
    {
      path: reachAws({ folder, reattach: aws.reattach, before }),
      workDirectory: join(folder, 'job'),
    },
  );
}

/** Runs a job, and returns the commands of Terraform that it started. */
async function record(event: WorkflowEvent): Promise<string> {
  const seen = join(folder, 'seen');
  rmSync(seen, { force: true });
  expect(listErrors(await start(event))).toEqual([]);
  return existsSync(seen) ? readFileSync(seen, 'utf8').trim().replaceAll('\n', ', ') : '';
}

const open = (branch: string) => bench.github.openPullRequest({ branch, title: branch });
const PLAN = 'version, init, plan, show -json';

test('a review plans once and reads the plan once', async () => {
  expect(await record(open('first'))).toBe(PLAN);
});

test('an apply reads the outputs after it', async () => {
  expect(await record(bench.github.dispatch('generate-terraform'))).toBe('');
  const apply = bench.github.dispatch('generate-terraform-apply');
  expect(await record(apply)).toBe(`${PLAN}, apply, output -json`);
});

test('an apply of nothing is not started', async () => {
  const apply = bench.github.dispatch('generate-terraform-apply');
  expect(await record(apply)).toBe(PLAN);
});

test.each([
  ['a plan by request', () => bench.github.dispatch('generate-terraform-plan')],
  ['a review of an existing cluster', () => open('second')],
  ['a look for drift', () => bench.github.schedule()],
])('%s plans once and reads the plan once', async (_, event) => {
  expect(await record(event())).toBe(PLAN);
});

test.each([
  ['cluster-name', 'other'],
  ['region', 'eu-west-1'],
])('the state of another cluster is refused in its own words: %s', async (input, value) => {
  const same = { 'working-directory': '.postgres-cluster/postgres' };
  const errors = listErrors(await start(open(value), { ...same, [input]: value }));
  expect(errors.join()).toMatch(
    new RegExp(
      `${input}: ${value} is asked for, the state holds the cluster postgres in us-east-1`,
    ),
  );
});
