import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench } from './bench.ts';

// A state written by an attacker: one who can commit a file if the backend is local, otherwise one who can write to
// the backend.

let bench: Bench;
let aws: Aws;
let folder: string;
/** A job's work folder, and the path of the cluster's state in it. */
let workDirectory: string;
let lasting: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-state-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'hostile-state', instances: 'none', directory: join(folder, 'aws') }),
  ]);
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

function commitState(node: Readonly<Record<string, string>> | null): void {
  workDirectory = mkdtempSync(join(folder, 'job-'));
  lasting = join(workDirectory, 'database', 'database', '.postgres-cluster/postgres');
  mkdirSync(lasting, { recursive: true });
  const types = Object.fromEntries(Object.keys(node ?? {}).map((name) => [name, 'string']));
  const outputs = node && {
    cluster_name: { value: 'postgres', type: 'string' },
    region: { value: 'us-east-1', type: 'string' },
    nodes: { value: [node], type: ['tuple', [['object', types]]] },
  };
  const state = {
    version: 4,
    terraform_version: '1.5.6',
    serial: 1,
    lineage: 'planted',
    outputs: outputs ?? { planted: { value: '$(planted)', type: 'string' } },
    resources: [],
    check_results: null,
  };
  writeFileSync(join(lasting, 'terraform.tfstate'), JSON.stringify(state));
}

const run = (eventType: string, inputs = {}) =>
  bench.run(bench.github.dispatch(eventType), inputs, {
    path: reachAws({ folder, reattach: aws.reattach }),
    workDirectory,
  });

describe('a value in the state of a node', () => {
  const honest = {
    name: 'node-1',
    instance_id: 'i-0123456789abcdef0',
    instance_type: 't3.medium',
    private_address: '127.0.0.1',
    public_address: '127.0.0.1',
    volume_id: 'vol-0123456789abcdef0',
    zone: 'us-east-1a',
  };
  const touch = () => `{{lookup('pipe','touch ${marker()}')}}`;
  const marker = () => join(folder, 'ran');
  test.each([
    ['name', () => `node-1 ansible_user="${touch()}" #`],
    ['instance_id', () => `i-1 -o ProxyCommand="touch ${marker()}"`],
    ['private_address', () => `127.0.0.1 x="${touch()}"`],
    ['public_address', () => `"${touch()}"`],
    ['volume_id', () => `vol-1\n[nodes:vars]\nansible_user=${touch()}`],
  ])(
    'is never executed: %s',
    async (field, text) => {
      for (const eventType of ['apply_ansible_configuration', 'failover']) {
        commitState({ ...honest, [field]: text() });
        const errors = listErrors(await run(eventType, { 'replica-count': '0' })).join('\n');
        expect(errors).toMatch(/^The outputs in Terraform's state are not what this action writes/);
        expect(errors).toContain(`nodes.value[0].${field}`);
        expect(errors).not.toContain('not your mistake');
        expect(existsSync(marker())).toBe(false);
      }
    },
    60_000,
  );
});

test.each(['terraform.tfstate.backup', '.terraform.tfstate.lock.info'])(
  'a file beside a local state is not written through a link: %s',
  async (name) => {
    commitState(null);
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(lasting, name));
    const errors = listErrors(await run('generate-terraform-apply')).join('\n');
    expect(errors).toMatch(/must be a plain file.*Remove it from the repository/);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  },
  60_000,
);
