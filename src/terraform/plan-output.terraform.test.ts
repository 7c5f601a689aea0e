import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../../lab/aws/main.ts';
import { reachAws } from '../../lab/tools/wrap-program.ts';
import { Terraform } from './cli.ts';
import { permit } from './permit.ts';
import { summarizePlan } from './plan.ts';
import { extractPlanText } from './plan-output.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const PLAN = `No changes. Your infrastructure matches the configuration.

Terraform has compared your real infrastructure against your configuration
and found no differences, so no changes are needed.
`;

/** OpenTofu 1.12 in its own words, with everything that may stand around a plan. */
const TOFU = `Note: Objects have changed outside of OpenTofu

OpenTofu detected the following changes made outside of OpenTofu since the
last "tofu apply" which may have affected this plan:

  # aws_instance.node["1"] has changed
  ~ resource "aws_instance" "node" {
      ~ user_data = <<-EOT
            Warning: this is a value
            Changes to Outputs:
        EOT
    }

Unless you have made equivalent changes to your configuration, or ignored the
relevant attributes using ignore_changes, the following plan may include
actions to undo or respond to these changes.

─────────────────────────────────────────────────────────────────────────────

OpenTofu used the selected providers to generate the following execution
plan. Resource actions are indicated with the following symbols:
  ~ update in-place

OpenTofu will perform the following actions:

Plan: 0 to add, 1 to change, 0 to destroy.
`;

describe('the plan in what was printed', () => {
  test('is without what was read before and what follows', () => {
    const output = `Acquiring state lock. This may take a few moments...
data.aws_ami.debian: Reading...
aws_vpc.own[0]: Refreshing state... [id=vpc-1]
data.aws_ami.debian: Read complete after 1s [id=ami-1]

${TOFU}
Warning: Check block assertion failed

  on nodes.tf line 1, in check "zones":

All nodes are in one zone.
Releasing state lock. This may take a few moments...
`;
    expect(extractPlanText(output)).toBe(TOFU);
    expect(extractPlanText(`\n${TOFU}Releasing state lock. This may take a few moments...\n`)).toBe(
      TOFU,
    );
  });

  test('does not begin in an id that looks like a plan', () => {
    const id = 'x\nNo changes. Your infrastructure matches the configuration.\n';
    const output = `a.b: Refreshing state... [id=${id}]\nc.d: Refreshing state... [id=y]\n\n${TOFU}`;
    expect(extractPlanText(output)).toBe(TOFU);
  });

  test.each([
    PLAN,
    'No changes. No objects need to be destroyed.\n',
    'Terraform will perform the following actions:\n\n  # a.b has moved to a.c\n',
    'Changes to Outputs:\n  + a = "b"\n\nYou can apply this plan to save these new output values\n',
    'Terraform used the selected providers to generate the following execution plan.\n',
  ])('may begin with %j', (plan) => {
    expect(extractPlanText(`a.b: Refreshing state... [id=1]\n\n${plan}`)).toBe(plan);
  });

  test('is unknown if its wording is', () => {
    expect(extractPlanText('a.b: Refreshing state... [id=1]\n\nKeine Änderungen.\n')).toBeNull();
    expect(extractPlanText('')).toBeNull();
  });
});

describe('is what show prints', () => {
  let folder: string;
  let directory: string;
  let aws: Aws;
  let terraform: Terraform;
  const values = (more: object) =>
    writeFileSync(
      join(directory, 'terraform.tfvars.json'),
      JSON.stringify({
        ...{ cluster_name: 'orders', region: 'us-east-1', replica_count: 1 },
        ssh_public_key:
          'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team',
        ...more,
      }),
    );

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'plan-output-'));
    directory = join(folder, 'work');
    mkdirSync(directory);
    cpSync(join(import.meta.dirname, '../../templates/aws'), directory, { recursive: true });
    values({});
    aws = await startAws({
      world: 'plan-output',
      instances: 'none',
      directory: join(folder, 'aws'),
    });
    terraform = new Terraform({
      binary: 'terraform',
      directory,
      environment: { PATH: reachAws({ folder, reattach: aws.reattach }) },
      log: () => {},
    });
    await terraform.init();
  });
  afterAll(async () => {
    await aws.destroyEverything();
    rmSync(folder, { recursive: true, force: true });
  });

  const planFile = () => join(folder, 'plan');
  /** Plans, and compares the text with that of the plan file. */
  const compare = async (mode?: 'destroy') => {
    const printed = await terraform.plan(planFile(), {
      ...{ publicKey: null, lock: true },
      ...(mode && { mode }),
    });
    expect(printed?.trim()).toBe((await terraform.showText(planFile())).trim());
    return printed;
  };
  const change = (edit: (instance: { type: string }) => void) =>
    aws.edit(({ instances }) => {
      for (const instance of Object.values(instances)) edit(instance);
    });

  test('nothing to destroy', async () => {
    expect(await compare('destroy')).toMatch(/^No changes/);
  });

  test('a new cluster', async () => {
    expect(await compare()).toContain('Plan: ');
    const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile())));
    const scope = { kind: 'plan', label: null, labels: null } as const;
    await terraform.apply(permit({ planFile: planFile(), summary }, scope), {
      temporary: folder,
      announce: () => {},
    });
  });

  test('nothing to do', async () => {
    expect(await compare()).toMatch(/^No changes/);
  });

  test('other outputs', async () => {
    const database = { image: 'postgres:17', settings: {}, primary: '', synchronous_replicas: 1 };
    values({ database });
    expect(await compare()).toMatch(/^Changes to Outputs/);
  });

  test('a change, with a warning after it', async () => {
    values({ instance_type: 't3.large', subnet_ids: [] });
    expect(await compare()).not.toContain('Warning:');
  });

  test('what changed outside Terraform', async () => {
    await change((instance) => {
      instance.type = 't3.large';
    });
    values({});
    expect(await compare()).toContain('t3.large');
    values({ tags: { Team: 'a' } });
    await compare();
  });

  test('everything is destroyed', async () => {
    expect(await compare('destroy')).toContain('to destroy.');
  });
});
