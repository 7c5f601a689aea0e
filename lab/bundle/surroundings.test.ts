import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import type { WorkflowEvent } from '../github/event.ts';
import type { JobOptions, JobResult } from '../runner/job.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A job's environment is the checkout, the user's home and the runner's variables. A pull request writes the first;
// none of them is an input of the step.

let bench: Bench;
let aws: Aws;
let folder: string;
let event: WorkflowEvent;
let options: Partial<JobOptions>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'surroundings-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'surroundings', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  event = bench.github.openPullRequest({ branch: 'surroundings', title: 'Look around' });
  options = {
    path: reachAws({ folder, reattach: aws.reattach }),
    workDirectory: join(folder, 'work dir'),
    runnerEnvironment: 'self-hosted',
  };
  const applied = await bench.run(bench.github.dispatch('generate-terraform-apply'), {}, options);
  expect(listErrors(applied)).toEqual([]);
}, 120_000);
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** The file that a program creates if it runs although it must not. */
const marker = () => join(folder, 'ran');

function plant(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text, { mode: 0o755 });
  }
}

const run = (more: Partial<JobOptions> = {}): Promise<JobResult> =>
  bench.run(event, {}, { ...options, ...more });

/** Asserts that the plan follows the inputs: nothing to do for the three existing nodes. */
function expectUntouched(result: JobResult): void {
  expect(listErrors(result)).toEqual([]);
  expect(result.outputs).toMatchObject({ 'has-changes': 'false', 'to-destroy': '0' });
  expect(existsSync(marker())).toBe(false);
}

describe('a plan is not influenced by', () => {
  test('files committed where the action keeps its files', async () => {
    const touch = `{{ lookup('pipe', 'touch ${marker()}') }}`;
    const variables = `ansible_ssh_executable: "${touch}"\nansible_user: "${touch}"\n`;
    const checkout = join(folder, 'work dir', 'database', 'database');
    plant(join(checkout, '.postgres-cluster/postgres'), {
      'group_vars/all.yml': variables,
      'host_vars/node-1.yml': variables,
      'ansible.cfg': '[defaults]\nstdout_callback = json\n',
      'planted.tf': 'output "planted" { value = 1 }',
      'planted.tofu': 'output "planted" { value = 1 }',
      'planted.auto.tfvars': 'replica_count = 5',
      'terraform.tfvars.json': '{"replica_count": 5}',
      '.terraform.lock.hcl': '',
      '.terraform/environment': 'other',
    });
    const result = await run();
    expectUntouched(result);
    expect(Object.keys(result.files).filter((name) => /planted/.test(name))).toEqual([]);
    // The observation ran, and failed because there is no machine.
    expect(result.log).toContain('node-1');
  }, 120_000);

  test('files committed where the action starts', async () => {
    plant(join(folder, 'work dir', 'database', 'database'), {
      // Ansible also starts this program when it is only asked for its version.
      'ansible.cfg': '[defaults]\ncowpath = ./planted.sh\n',
      'planted.sh': `#!/bin/sh\ntouch ${marker()}\n`,
      '.terraform.lock.hcl': 'no lock',
      '.terraform/environment': 'other',
      'planted.tf': 'no configuration',
    });
    expectUntouched(await run());
  }, 120_000);

  test('files in the home directory', async () => {
    const home = join(folder, 'home');
    const touch = `open('${marker()}', 'w').close()`;
    plant(home, {
      'planted.sh': `#!/bin/sh\ntouch ${marker()}\n`,
      '.terraformrc': 'provider_installation { filesystem_mirror { path = "/nowhere" } }',
      '.tofurc': 'provider_installation { filesystem_mirror { path = "/nowhere" } }',
      '.ansible.cfg': `[defaults]\nstdout_callback = json\ncowpath = ${join(home, 'planted.sh')}\n`,
      '.ansible/plugins/callback/cluster.py': touch,
      '.ansible/plugins/connection/ssh.py': touch,
      '.ansible/plugins/vars/planted.py': touch,
      '.ansible/plugins/modules/cluster_observe.py': touch,
    });
    expectUntouched(await run({ home }));
  }, 120_000);

  test('the runner’s variables', async () => {
    const env = {
      TF_WORKSPACE: 'other',
      TF_CLI_ARGS: '-json',
      TF_CLI_ARGS_plan: '-destroy',
      TF_VAR_replica_count: '5',
      TF_DATA_DIR: join(folder, 'data'),
      TF_LOG_PATH: marker(),
      TF_LOG: 'TRACE',
      ANSIBLE_STDOUT_CALLBACK: 'json',
      ANSIBLE_SSH_EXECUTABLE: `/usr/bin/touch ${marker()};`,
      ANSIBLE_INVENTORY_ENABLED: 'nothing',
      PYTHONPATH: join(folder, 'python'),
      PYTHONHOME: '/nowhere',
      BASH_ENV: join(folder, 'bash'),
      LC_ALL: 'C',
      TMPDIR: join(folder, 'missing'),
    };
    plant(folder, {
      'python/sitecustomize.py': `open('${marker()}', 'w').close()`,
      bash: `touch ${marker()}`,
    });
    expectUntouched(await run({ env }));
    expect(existsSync(join(folder, 'data'))).toBe(false);
  }, 120_000);
});

test('no program gets a secret that it does not need', async () => {
  const seen = join(folder, 'seen');
  const path = reachAws({ folder, reattach: aws.reattach, before: `env >>${seen}-terraform` });
  const wrapped = join(folder, 'wrapped');
  plant(wrapped, {
    'ansible-playbook': `#!/bin/sh\nenv >>${seen}-ansible\nexec /usr/bin/ansible-playbook "$@"\n`,
    'ssh-keygen': `#!/bin/sh\nenv >>${seen}-ssh\nexec /usr/bin/ssh-keygen "$@"\n`,
  });
  const env = { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'oidc-token', AWS_SECRET_ACCESS_KEY: 'aws-secret' };
  const key = 'k'.repeat(32);
  const cipher = 'c'.repeat(32);
  const inputs = { 'review-key': key, 'backup-cipher-key': cipher };
  await bench.run(event, inputs, { ...options, path: `${wrapped}:${path}`, env });
  const read = (program: string) => readFileSync(`${seen}-${program}`, 'utf8');
  expect(read('terraform')).toContain('AWS_SECRET_ACCESS_KEY=aws-secret');
  for (const program of ['terraform', 'ansible', 'ssh']) {
    const text = read(program);
    expect(text).toContain('LC_ALL=C.UTF-8');
    for (const secret of [
      ...Object.values(bench.secrets),
      bench.token,
      key,
      cipher,
      'oidc-token',
    ]) {
      expect(text).not.toContain(secret);
    }
    expect(text).not.toMatch(/^(INPUT|GITHUB|ACTIONS|RUNNER|STATE)_/m);
  }
  expect(read('ansible') + read('ssh')).not.toContain('aws-secret');
}, 120_000);
