import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../../lab/aws/main.ts';
import { reachAws } from '../../lab/tools/wrap-program.ts';
import { Terraform } from '../terraform/cli.ts';
import { ERRORED_STATE } from '../terraform/errored-state.ts';
import { permit } from '../terraform/permit.ts';
import { summarizePlan } from '../terraform/plan.ts';
import type { Job } from './job.ts';
import { removeEverything } from './remove-everything.ts';

// Terraform against a cloud without machines: removes what a rehearsal made, and nothing else.

// Each plan and apply starts Terraform.
vi.setConfig({ testTimeout: 120_000 });

const SPEC = { name: 'orders-rehearsal', region: 'us-east-1' };
const VALUES = { cluster_name: SPEC.name, region: SPEC.region, replica_count: 0 };
const TAGGED = { ...VALUES, final_snapshot: false, rehearsal_of: 'orders' };
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team';

let folder: string;
let directory: string;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'removal-test-'));
  directory = join(folder, 'work');
  mkdirSync(directory);
  cpSync(join(import.meta.dirname, '../../templates/aws'), directory, { recursive: true });
  aws = await startAws({
    world: 'removal-test',
    instances: 'none',
    directory: join(folder, 'aws'),
  });
  terraform = new Terraform({
    binary: 'terraform',
    directory,
    environment: { PATH: reachAws({ folder, reattach: aws.reattach }) },
    log: () => {},
  });
  // The fields in use of a job.
  job = {
    inputs: { spec: SPEC },
    workspace: { directory, temporary: folder },
    keys: { current: PUBLIC_KEY, retired: [] },
  } as unknown as Job;
}, 120_000);
afterAll(async () => {
  await aws.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

async function apply(values: object): Promise<void> {
  writeFileSync(
    join(directory, 'terraform.tfvars.json'),
    JSON.stringify({ ...values, ssh_public_key: PUBLIC_KEY }),
  );
  await terraform.init();
  const planFile = join(folder, 'apply.tfplan');
  await terraform.plan(planFile, { publicKey: null, lock: true });
  const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
  const permitted = permit({ planFile, summary }, { kind: 'plan', label: null, labels: null });
  await terraform.apply(permitted, { temporary: folder, announce: () => {} });
}

const remove = (isRehearsal: boolean) => removeEverything(job, { terraform, isRehearsal });
const count = () => [aws.listInstances().length, Object.keys(aws.tables.volumes).length];

test('only what bears the tag of a rehearsal is removed as one, completely and without a snapshot', async () => {
  // As an import leaves it.
  await apply({ ...VALUES, final_snapshot: false });
  const before = count();
  await expect(remove(true)).rejects.toThrow(
    /has no tag RehearsalOf, where a rehearsal has orders/,
  );
  expect(count()).toEqual(before);

  await apply(TAGGED);
  await expect(remove(false)).rejects.toThrow(/belongs to a rehearsal of "orders"/);
  expect(count()).toEqual(before);

  expect(await remove(true)).toMatchObject({ hasChanges: true, nodes: ['node-1'] });
  expect(count().at(1)).toBe(0);
  expect(aws.tables.snapshots).toEqual({});
  expect(await remove(true)).toMatchObject({ hasChanges: false });
});

test('an empty state is not the end of a removal while another one is not saved', async () => {
  const file = join(directory, ERRORED_STATE);
  writeFileSync(file, '{}');
  await expect(remove(true)).rejects.toThrow(/was not saved in the backend.* or not be removed/s);
  rmSync(file);
  expect(await remove(true)).toMatchObject({ hasChanges: false });
});
