import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Aws, startAws } from '../../lab/aws/main.ts';
import { createProviderMirror } from '../../lab/tools/provider-mirror.ts';
import { reachAws } from '../../lab/tools/wrap-program.ts';
import { UserError } from '../messages/errors.ts';
import { Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import { explainApplyRefusal, permit } from '../terraform/permit.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { haltInstance } from './halt.ts';
import type { Job } from './job.ts';
import { replaceInstance } from './staged-apply.ts';

// Terraform against a cloud without machines: stops an instance on failing hardware.

const SPEC = { name: 'orders', region: 'us-east-1' };
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team';

let folder: string;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'halt-test-'));
  const directory = join(folder, 'work');
  mkdirSync(directory);
  const actionRoot = join(import.meta.dirname, '../..');
  cpSync(join(actionRoot, 'templates/aws'), directory, { recursive: true });
  const values = { cluster_name: SPEC.name, region: SPEC.region, replica_count: 1 };
  writeFileSync(
    join(directory, 'terraform.tfvars.json'),
    JSON.stringify({ ...values, ssh_public_key: PUBLIC_KEY }),
  );
  aws = await startAws({ world: 'halt-test', instances: 'none', directory: join(folder, 'aws') });
  terraform = new Terraform({
    binary: 'terraform',
    directory,
    environment: { PATH: reachAws({ folder, reattach: aws.reattach }) },
    log: () => {},
  });
  // The fields in use of a job.
  job = {
    actionRoot,
    inputs: { spec: SPEC },
    workspace: { directory, temporary: folder },
    keys: { current: PUBLIC_KEY, retired: [] },
  } as unknown as Job;
  await terraform.init();
  const planned = await planCluster();
  const permitted = permit(planned, { kind: 'plan', label: null, labels: null });
  await terraform.apply(permitted, { temporary: folder, announce: () => {} });
}, 120_000);
afterAll(async () => {
  await aws.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

async function planCluster() {
  const planFile = join(folder, 'cluster.tfplan');
  await terraform.plan(planFile, { publicKey: null, lock: true });
  return { planFile, summary: summarizePlan(JSON.parse(await terraform.showJson(planFile))) };
}

const readStates = () =>
  Object.fromEntries(aws.listInstances().map(({ name, state }) => [name, state]));

async function findNode(name: string) {
  const nodes = readNodes(await terraform.outputs(), { directory: folder, spec: SPEC });
  const node = nodes.find((one) => one.name === name);
  if (!node) throw new Error(name);
  return node;
}

test('an orderly stop of failing hardware never ends, a forced stop does', {
  timeout: 60_000,
}, async () => {
  const node = await findNode('node-1');
  await aws.edit(({ instances }) => {
    const sick = instances[node.instanceId];
    if (sick) sick.stopHangs = true;
  });
  const before = (await planCluster()).summary.resources.length;
  await haltInstance(job, terraform, node);
  expect(readStates()).toEqual({ 'orders-node-1': 'stopped', 'orders-node-2': 'running' });
  // Once the instance is stopped, nothing hangs.
  await haltInstance(job, terraform, node);
  // The cluster's state is unchanged.
  expect((await planCluster()).summary.resources.length).toBe(before);
  await replaceInstance(job, terraform, 'node-1');
  expect((await findNode('node-1')).instanceId).not.toBe(node.instanceId);
});

test('a replacement without a forced stop does not succeed', { timeout: 60_000 }, async () => {
  const node = await findNode('node-2');
  await aws.edit(({ instances }) => {
    const sick = instances[node.instanceId];
    if (sick) sick.stopHangs = true;
  });
  await expect(replaceInstance(job, terraform, 'node-2')).rejects.toThrow(
    /timeout while waiting for state to become 'stopped' \(last state: 'stopping'/,
  );
  // The provider does not force an instance that is already stopping: a person has to.
  await expect(haltInstance(job, terraform, node)).rejects.toThrow(UserError);
  await aws.stopInstance(node.instanceId, { force: true });
  expect(readStates()['orders-node-2']).toBe('stopped');
});

test('a halt permits no other change', async () => {
  const { summary } = await planCluster();
  expect(explainApplyRefusal(summary, { kind: 'halt' }).join()).toBe('');
  const [resource] = summary.resources;
  if (!resource) throw new Error('no resource');
  const more = { ...summary, resources: [{ ...resource, action: 'delete' as const }] };
  expect(explainApplyRefusal(more, { kind: 'halt' }).join()).toContain(
    'only one instance is to be stopped',
  );
});

test('a halt uses the installed provider, even without a registry', {
  timeout: 60_000,
}, async () => {
  const mirror = createProviderMirror(folder);
  mirror.release('6.8.0');
  const make = (name: string) => {
    const directory = join(folder, name);
    cpSync(join(job.actionRoot, 'templates/halt'), directory, { recursive: true });
    return directory;
  };
  const environment = { PATH: process.env.PATH ?? '', TF_CLI_CONFIG_FILE: mirror.configFile };
  const open = (directory: string) =>
    new Terraform({ binary: 'terraform', directory, environment, log: () => {} });
  const installed = open(make('installed'));
  await installed.init();
  // Installed providers are links into the mirror: keep the mirror, but remove it from the configuration.
  const away = readFileSync(mirror.configFile, 'utf8').replace(
    /path *= *".*"/,
    'path = "/nowhere"',
  );
  writeFileSync(mirror.configFile, away);
  await expect(open(make('other')).init()).rejects.toThrow(UserError);
  const halting = await installed.inDirectory(make('halting'));
  await halting.init();
  expect(await halting.readProviderLock()).toBe(await installed.readProviderLock());
});
