import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Aws, startAws } from '../../lab/aws/main.ts';
import { reachAws } from '../../lab/tools/wrap-program.ts';
import { UserError } from '../errors.ts';
import { Terraform } from '../terraform/cli.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { permit } from '../terraform/protection.ts';
import type { Job } from './job.ts';
import { lookUpNodes } from './look-up.ts';
import { replaceInstance } from './stages.ts';

// On a cloud without machines: what Terraform really does to the nodes of a failover.

const SPEC = { name: 'orders', region: 'us-east-1' };
const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgXOsdfj0wRL7+ih9Q/34hXBgWvYDlbe5W7+D5MMpj team';
const run = promisify(execFile);

let folder: string;
let directory: string;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stages-test-'));
  directory = join(folder, 'work');
  mkdirSync(directory);
  cpSync(join(import.meta.dirname, '../../templates/aws'), directory, { recursive: true });
  const values = { cluster_name: SPEC.name, region: SPEC.region, replica_count: 1 };
  writeFileSync(
    join(directory, 'terraform.tfvars.json'),
    JSON.stringify({ ...values, ssh_public_key: PUBLIC_KEY }),
  );
  aws = await startAws({
    world: 'stages-test',
    instances: 'none',
    directory: join(folder, 'aws'),
  });
  terraform = new Terraform({
    binary: 'terraform',
    directory,
    environment: { PATH: reachAws({ folder, reattach: aws.reattach }) },
    log: () => {},
  });
  // What a stage needs of a job.
  job = {
    request: { spec: SPEC },
    workspace: { directory, temporary: folder },
    keys: { current: PUBLIC_KEY, retired: [] },
  } as unknown as Job;
  await terraform.init();
  const planFile = join(folder, 'first.tfplan');
  await terraform.plan(planFile, { publicKey: null, lock: true });
  const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
  const permitted = permit({ planFile, summary }, { kind: 'plan', label: null, labels: null });
  await terraform.apply(permitted, { temporary: folder, announce: () => {} });
}, 120_000);
afterAll(async () => {
  await aws.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

const listInstances = (): string[] =>
  aws
    .listInstances()
    .filter(({ state }) => state === 'running')
    .map(({ id }) => id)
    .sort();
const listVolumes = (): string[] =>
  Object.values(aws.tables.volumes)
    .filter(({ root }) => !root)
    .map(({ id }) => id)
    .sort();
const taint = (verb: 'taint' | 'untaint', address: string) =>
  run('terraform', [verb, address], { cwd: directory });

test.each(['aws_ebs_volume.data["1"]', 'aws_key_pair.nodes'])(
  'another instance is refused while %s would be replaced as well',
  async (address) => {
    const before = [listInstances(), listVolumes()];
    await taint('taint', address);
    const failure = await replaceInstance(job, terraform, 'node-1').catch((error) => error);
    await taint('untaint', address);
    expect(failure).toBeInstanceOf(UserError);
    expect(failure.message).toContain(
      `${address}: would be replaced, but only the instance of node-1 is to be replaced.`,
    );
    expect([listInstances(), listVolumes()]).toEqual(before);
  },
);

test('a node gets another instance; its data and the other node stay', async () => {
  const [instances, volumes] = [listInstances(), listVolumes()];
  const nodes = await replaceInstance(job, terraform, 'node-1');
  expect(listVolumes()).toEqual(volumes);
  expect(nodes.map(({ name }) => name)).toEqual(['node-1', 'node-2']);
  expect(nodes.map(({ instanceId }) => instances.includes(instanceId))).toEqual([false, true]);
});

test('a node gets a blank data volume as well, where that is asked for', async () => {
  const [instances, volumes] = [listInstances(), listVolumes()];
  const nodes = await replaceInstance(job, terraform, 'node-2', { volume: true });
  expect(nodes.map(({ volumeId }) => volumes.includes(volumeId))).toEqual([true, false]);
  expect(nodes.map(({ instanceId }) => instances.includes(instanceId))).toEqual([true, false]);
});

test('the nodes are looked up where they are now, and one that does not run is not asked', async () => {
  const [before] = (await lookUpNodes(job, terraform)).nodes;
  const id = before?.instanceId ?? '';
  await aws.stopInstance(id);
  expect(await lookUpNodes(job, terraform)).toMatchObject({
    states: { 'node-1': 'stopped', 'node-2': 'running' },
    unasked: ['node-1'],
  });
  await aws.startInstance(id);
  // Somebody else has the old one by now.
  await aws.edit(({ instances }) => {
    const instance = instances[id];
    if (instance) instance.publicIp = '10.99.7.7';
  });
  const { nodes, unasked } = await lookUpNodes(job, terraform);
  expect(unasked).toEqual([]);
  expect(nodes[0]).toEqual({ ...before, publicAddress: '10.99.7.7' });
  await aws.terminate(id);
  expect(await lookUpNodes(job, terraform)).toMatchObject({
    nodes: [{ name: 'node-1' }, { name: 'node-2' }],
    states: { 'node-1': 'terminated' },
    unasked: ['node-1'],
  });
});

test('a provider that does not answer stops whoever would send passwords', async () => {
  const denied = {
    outputs: () => terraform.outputs(),
    plan: () => Promise.reject(new UserError('UnauthorizedOperation')),
  } as unknown as Terraform;
  const failure = await lookUpNodes(job, denied).catch((error) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect(failure.message).toMatch(
    /^The nodes could not be looked up in AWS, so nothing was sent[\s\S]*UnauthorizedOperation/,
  );
});
