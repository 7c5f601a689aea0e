import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { UserError } from '../../../src/messages/errors.ts';
import { Terraform } from '../../../src/terraform/cli.ts';
import { findTerraform } from '../../../src/terraform/install.ts';
import { permit } from '../../../src/terraform/permit.ts';
import { summarizePlan } from '../../../src/terraform/plan.ts';
import { type Aws, startAws } from '../../aws/main.ts';
import { PUBLIC_KEY, TEMPLATES } from '../../templates/workspace.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let aws: Aws;
const log: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'opentofu-test-'));
  aws = await startAws({
    world: 'opentofu',
    instances: 'none',
    directory: join(folder, 'aws'),
  });
  // A machine whose only OpenTofu is this one.
  vi.stubEnv('TOFU_CLI_PATH', undefined);
  vi.stubEnv('PATH', `${import.meta.dirname}:${process.env.PATH}`);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await aws.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

/** A folder with the templates, driven by the program that `terraform-binary: tofu` finds. */
async function open(name: string, reattach: string): Promise<Terraform> {
  const directory = join(folder, name);
  mkdirSync(directory);
  for (const file of readdirSync(TEMPLATES).filter((entry) => entry.endsWith('.tf'))) {
    copyFileSync(join(TEMPLATES, file), join(directory, file));
  }
  writeFileSync(
    join(directory, 'terraform.tfvars.json'),
    JSON.stringify({ cluster_name: 'orders', region: 'us-east-1' }),
  );
  const add = (line: string) => log.push(line);
  const binary = await findTerraform({ name: 'tofu', usesLockfile: true, log: add });
  expect(binary).toMatchObject({ version: '1.10.6', product: 'OpenTofu' });
  return new Terraform({
    binary: binary.path,
    product: binary.product,
    directory,
    environment: { PATH: process.env.PATH ?? '', TF_REATTACH_PROVIDERS: reattach },
    log: add,
  });
}

test('terraform-binary: tofu plans, applies and reads through that program', async () => {
  const terraform = await open(
    'named',
    aws.reattach.replace('registry.terraform.io', 'registry.opentofu.org'),
  );
  expect(log).toEqual([`Using OpenTofu 1.10.6 (${join(import.meta.dirname, 'tofu')})`]);
  await terraform.init();
  const planFile = join(folder, 'named.tfplan');
  await terraform.plan(planFile, { publicKey: PUBLIC_KEY, lock: true });
  const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
  expect(summary.counts.add).toBeGreaterThan(0);
  const ground = { kind: 'plan', label: null, labels: null } as const;
  await terraform.apply(permit({ planFile, summary }, ground), {
    temporary: folder,
    announce: () => {},
  });
  expect(Object.keys((await terraform.outputs()) as object)).toContain('nodes');
});

test('an error names tofu, not terraform', async () => {
  const terraform = await open('foreign', aws.reattach);
  const error = await terraform.init().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(/^tofu init failed:\n.*registry\.opentofu\.org/);
});
