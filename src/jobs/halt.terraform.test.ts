import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Aws } from '../../lab/aws/main.ts';
import { createProviderMirror } from '../../lab/tools/provider-mirror.ts';
import { UserError } from '../messages/errors.ts';
import { Terraform } from '../terraform/cli.ts';
import { readNodes } from '../terraform/outputs.ts';
import { explainApplyRefusal } from '../terraform/permit.ts';
import { haltInstance } from './halt.ts';
import type { Job } from './job.ts';
import { replaceInstance } from './staged-apply.ts';
import { Cloud } from './testing/cloud.ts';

// Terraform against a cloud without machines: stops an instance on failing hardware.

let cloud: Cloud;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  cloud = await Cloud.open('halt-test');
  ({ aws, terraform, job } = cloud);
  cloud.write({ replica_count: 1 });
  await terraform.init();
  await cloud.apply();
}, 120_000);
afterAll(() => cloud.close());

const readStates = () =>
  Object.fromEntries(aws.listInstances().map(({ name, state }) => [name, state]));

async function findNode(name: string) {
  const nodes = readNodes(await terraform.outputs(), {
    directory: cloud.folder,
    spec: job.inputs.spec,
  });
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
  const before = (await cloud.plan()).summary.resources.length;
  await haltInstance(job, terraform, node);
  expect(readStates()).toEqual({ 'orders-node-1': 'stopped', 'orders-node-2': 'running' });
  // Once the instance is stopped, nothing hangs.
  await haltInstance(job, terraform, node);
  // The cluster's state is unchanged.
  expect((await cloud.plan()).summary.resources.length).toBe(before);
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
  const { summary } = await cloud.plan();
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
  const mirror = createProviderMirror(cloud.folder);
  mirror.release('6.8.0');
  const make = (name: string) => {
    const directory = join(cloud.folder, name);
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
