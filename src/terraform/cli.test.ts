import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../messages/errors.ts';
import { Terraform } from './cli.ts';
import { createLock } from './fixtures.ts';
import type { PlanOverrides } from './node-changes.ts';
import { LOCK_FILE, ProviderLockError } from './provider-lock.ts';

const STAGE: PlanOverrides = {
  instanceTypes: { 1: 't3.medium', 3: 't3.medium' },
  keptNodes: ['3'],
};

let folder: string;
let terraform: Terraform;

/** Returns the arguments and variables that Terraform got, one per line. */
const read = () => readFileSync(join(folder, 'seen'), 'utf8').trimEnd().split('\n');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'terraform-'));
  const binary = join(folder, 'terraform');
  writeFileSync(
    binary,
    '#!/bin/sh\nprintf "%s\\n" "$@" >seen\nenv | grep ^TF_VAR_ | sort >>seen\n',
  );
  chmodSync(binary, 0o755);
  terraform = new Terraform({
    binary,
    directory: folder,
    environment: { PATH: process.env.PATH ?? '' },
    log: () => {},
  });
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a plan of the whole change sets no variable', async () => {
  await terraform.plan('all.tfplan', { publicKey: null, lock: true });
  expect(read()).toEqual([
    'plan',
    '-input=false',
    '-no-color',
    '-lock-timeout=10m',
    '-out=all.tfplan',
  ]);
});

test('a refresh-only plan requests no change', async () => {
  await terraform.plan('look.tfplan', { publicKey: null, lock: false, mode: 'refresh-only' });
  expect(read().slice(3)).toEqual(['-lock=false', '-refresh-only', '-out=look.tfplan']);
});

test('a stage sets variables in the environment, and one argument for each replacement', async () => {
  const stage = { ...STAGE, replace: ['aws_instance.node["3"]'] };
  await terraform.plan('stage.tfplan', { publicKey: 'ssh-ed25519 A', lock: false, stage });
  expect(read().slice(3)).toEqual([
    '-lock=false',
    '-replace=aws_instance.node["3"]',
    '-out=stage.tfplan',
    'TF_VAR_absent_nodes=[]',
    'TF_VAR_kept_nodes=["3"]',
    'TF_VAR_node_instance_types={"1":"t3.medium","3":"t3.medium"}',
    'TF_VAR_ssh_public_key=ssh-ed25519 A',
    'TF_VAR_started_nodes=[]',
  ]);
});

describe('the lock of the provider', () => {
  const lock = createLock();
  const open = (providerLock: string | null) =>
    new Terraform({
      binary: join(folder, 'terraform'),
      directory: folder,
      environment: { PATH: process.env.PATH ?? '' },
      log: () => {},
      providerLock,
    });

  test('from the review is used by init', async () => {
    await open(lock).init();
    expect(read()).toEqual([
      'init',
      '-input=false',
      '-no-color',
      '-reconfigure',
      '-lockfile=readonly',
    ]);
    expect(readFileSync(join(folder, LOCK_FILE), 'utf8')).toBe(lock);
  });

  test('is written by init without a review', async () => {
    const own = open(null);
    await own.init();
    expect(read()).toEqual(['init', '-input=false', '-no-color', '-reconfigure']);
    expect(await own.readProviderLock()).toBeNull();
    writeFileSync(join(folder, LOCK_FILE), lock);
    expect(await own.readProviderLock()).toBe(lock);
  });

  test('is refused if it names another provider', async () => {
    const other = lock.replace('hashicorp/aws', 'mallory/aws');
    await expect(open(other).init()).rejects.toThrow(/locks more than hashicorp\/aws/);
    expect(readdirSync(folder)).toEqual(['terraform']);
    writeFileSync(join(folder, LOCK_FILE), other);
    await expect(open(null).readProviderLock()).rejects.toThrow(
      /names another provider[\s\S]*restore the one of the last apply/,
    );
  });

  test.each([
    ['that cannot be met', 'the previously-selected version\n6.8.0 is no longer available', true],
    ['is not the reason', 'Error loading state: AccessDenied', false],
  ])('%s', async (_, words, isLock) => {
    writeFileSync(join(folder, 'terraform'), `#!/bin/sh\necho '${words}' >&2\nexit 1\n`);
    const failure = await open(lock)
      .init()
      .catch((error: unknown) => error);
    expect(failure instanceof ProviderLockError).toBe(isLock);
    expect(failure).toBeInstanceOf(UserError);
  });
});

test.each([{ 1: `\${file("/etc/passwd")}` }, { 'node-1': 't3.medium' }])(
  'refuses values that Terraform would evaluate as an expression: %j',
  async (instanceTypes) => {
    const stage: PlanOverrides = { instanceTypes, keptNodes: [] };
    await expect(
      terraform.plan('x.tfplan', { publicKey: null, lock: true, stage }),
    ).rejects.toThrow(/has no instance type/);
  },
);

test.each([
  ['Terraform', 'terraform'],
  ['OpenTofu', 'tofu'],
] as const)('a held lock, by %s: who holds it, and what to do', async (product, command) => {
  const binary = join(folder, 'locked');
  // As both products print it (statemgr.LockInfo).
  const words = `
Error: Error acquiring the state lock

Error message: operation error S3: PutObject, StatusCode: 412
Lock Info:
  ID:        9db590f1-b6fe-c5f2-2678-8804f089deba
  Path:      bucket/postgres.tfstate
  Operation: OperationTypeApply
  Who:       runner@host
  Version:   1.10.6
  Created:   2026-11-22 10:00:00 UTC
  Info:      `;
  writeFileSync(binary, `#!/bin/sh\ncat >&2 <<'END'\n${words}\nEND\nexit 1\n`);
  chmodSync(binary, 0o755);
  const locked = new Terraform({
    binary,
    product,
    directory: folder,
    environment: { PATH: process.env.PATH ?? '' },
    log: () => {},
  });
  await expect(locked.plan('x.tfplan', { publicKey: null, lock: true })).rejects.toThrow(
    new RegExp(
      `^${command} plan failed:\\n[^]*\\(runner@host, OperationTypeApply, since 2026-11-22 10:00:00 UTC\\)\\. Wait .* is dead: ${command} force-unlock 9db590f1-b6fe-c5f2-2678-8804f089deba$`,
    ),
  );
});

test('a failure without credentials explains how to get them', async () => {
  const said = 'Error: No valid credential sources found';
  writeFileSync(join(folder, 'terraform'), `#!/bin/sh\necho '${said}' >&2\nexit 1\n`);
  await expect(terraform.init()).rejects.toThrow(
    /^terraform init failed:\nError: No valid credential sources found\n.*configure-aws-credentials.*id-token: write/,
  );
});
