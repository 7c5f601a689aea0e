import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Aws } from '../../lab/aws/main.ts';
import { UserError } from '../messages/errors.ts';
import { plan } from '../operations/plan.ts';
import type { Terraform } from '../terraform/cli.ts';
import { readState } from '../terraform/outputs.ts';
import { permit } from '../terraform/permit.ts';
import type { PlanSummary } from '../terraform/plan.ts';
import { discardBlankVolumes } from './blank-volumes.ts';
import type { Job } from './job.ts';
import { StagedApply } from './staged-apply.ts';
import { Cloud } from './testing/cloud.ts';

// Terraform against a cloud without machines, in which zones have no capacity.

vi.setConfig({ testTimeout: 120_000 });

let cloud: Cloud;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  cloud = await Cloud.open('blank-test');
  ({ aws, terraform, job } = cloud);
  await terraform.init();
}, 120_000);
afterAll(() => cloud.close());

/** Plans and provisions as a deploy does, without a label. */
async function deploy(values: object): Promise<void> {
  cloud.write({ instance_type: 't3.medium', ssh_via: 'instance-connect-endpoint', ...values });
  const { directory } = cloud;
  const planFile = join(cloud.folder, 'deploy.tfplan');
  const planned = await plan(terraform, { directory, planFile, publicKey: null, lock: true });
  const permitted = permit(
    { planFile, summary: planned.summary },
    { kind: 'plan', label: null, labels: null },
  );
  const { existing, digest, outputs } = planned;
  const stages = new StagedApply(job, {
    terraform,
    permitted,
    digest,
    outputs,
    existing: existing.nodes,
  });
  await stages.provision();
}

/** The problems of a deploy that fails. */
async function failDeploy(values: object): Promise<string> {
  const error = await deploy(values).then(
    () => null,
    (failure: unknown) => failure,
  );
  if (!(error instanceof UserError)) throw error ?? new Error('the deploy succeeded');
  return error.message;
}

const listZones = async () =>
  readState(await terraform.outputs())?.nodes.map(({ name, zone }) => `${name} ${zone}`);
const listVolumes = () =>
  Object.values(aws.tables.volumes)
    .filter(({ root }) => !root)
    .map(({ id, zone }) => ({ id, zone }));
const setShortages = (...shortages: string[]) =>
  aws.edit((tables) => {
    tables.shortages = shortages;
  });

test('a first deploy without capacity pins no zone, and its other nodes stay', async () => {
  await setShortages('t3.medium us-east-1a');
  const message = await failDeploy({ replica_count: 1 });
  expect(message).toMatch(/^node-1: EC2 has no capacity for t3\.medium in us-east-1a now\./m);
  expect(message).toMatch(/The blank data volumes of node-1, which were just created, are removed/);
  expect(listVolumes().map(({ zone }) => zone)).toEqual(['us-east-1b']);
  expect(aws.listInstances()).toHaveLength(1);

  const [kept] = listVolumes();
  await deploy({ replica_count: 1, avoid_zones: ['us-east-1a'] });
  expect(await listZones()).toEqual(['node-1 us-east-1b', 'node-2 us-east-1b']);
  expect(listVolumes()).toContainEqual(kept);
});

test('neither does a new node of an existing cluster, whose nodes and outputs stay', async () => {
  const before = listVolumes();
  const zones = await listZones();
  const wanted = { replica_count: 2, avoid_zones: ['us-east-1a', 'us-east-1c'] };
  // Zones b, d and f are left, in this order; the third node is in f.
  await setShortages('t3.medium us-east-1f');
  expect(await failDeploy(wanted)).toMatch(/blank data volumes of node-3/);
  expect(listVolumes()).toEqual(before);
  expect(await listZones()).toEqual(zones);

  await deploy({ ...wanted, avoid_zones: [...wanted.avoid_zones, 'us-east-1f'] });
  expect(await listZones()).toEqual([...(zones ?? []), 'node-3 us-east-1b']);
});

test('a node whose instance another run creates meanwhile keeps its volume', async () => {
  const before = listVolumes();
  const address = 'aws_instance.node["3"]';
  const looks: string[][] = [];
  const apply = vi.fn(() => Promise.reject(new Error('the volume would be destroyed')));
  const late = new Proxy(terraform, {
    get(target, name) {
      if (name === 'listState') {
        return async () => {
          const now = await target.listState();
          // The first look is from before that run saved the instance.
          looks.push(looks.length === 0 ? now.filter((one) => one !== address) : now);
          return looks.at(-1);
        };
      }
      if (name === 'apply') return apply;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const created = { action: 'create', deposed: null, attributes: [] };
  const summary = {
    resources: [
      { ...created, type: 'aws_instance', name: 'node', index: '3', address },
      {
        ...created,
        ...{ type: 'aws_ebs_volume', name: 'data', index: '3' },
        address: 'aws_ebs_volume.data["3"]',
      },
    ],
  } as unknown as PlanSummary;
  const locked = new UserError('Error acquiring the state lock');
  const work = () => Promise.reject(locked);
  await expect(discardBlankVolumes(job, { terraform: late, summary }, work)).rejects.toBe(locked);
  expect(looks[0]).toContain('aws_ebs_volume.data["3"]');
  expect(apply).not.toHaveBeenCalled();
  expect(listVolumes()).toEqual(before);
});

test('a volume with data stays if its instance cannot be created again', async () => {
  const before = listVolumes();
  const lost = aws.listInstances().find(({ name }) => name.endsWith('node-2'));
  await aws.edit(({ instances }) => {
    const instance = instances[lost?.id ?? ''];
    if (instance) instance.protected = false;
  });
  await aws.terminate(lost?.id ?? '');
  await setShortages('t3.medium');
  const message = await failDeploy({ replica_count: 2 });
  expect(message).toMatch(/^node-2: EC2 has no capacity/m);
  expect(message).not.toContain('blank');
  expect(listVolumes()).toEqual(before);
});
