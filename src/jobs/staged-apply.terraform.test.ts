import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Aws } from '../../lab/aws/main.ts';
import { UserError } from '../messages/errors.ts';
import { type PlanResult, plan } from '../operations/plan.ts';
import type { Terraform } from '../terraform/cli.ts';
import { findStopped } from '../terraform/existing-nodes.ts';
import { findOrphanedVolumes } from '../terraform/node-changes.ts';
import { explainApplyRefusal, permit } from '../terraform/permit.ts';
import { summarizePlan } from '../terraform/plan.ts';
import { hasChangesToReview } from '../terraform/plan-differences.ts';
import type { Job } from './job.ts';
import { refreshNodes } from './refresh-nodes.ts';
import { replaceInstance, StagedApply } from './staged-apply.ts';
import { Cloud } from './testing/cloud.ts';

// Terraform against a cloud without machines: replaces, resizes and removes nodes.

// Each plan and apply starts Terraform.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);

let cloud: Cloud;
let aws: Aws;
let terraform: Terraform;
let job: Job;

beforeAll(async () => {
  cloud = await Cloud.open('stages-test');
  ({ aws, terraform, job } = cloud);
  writeValues({});
  await terraform.init();
  await cloud.apply();
}, 120_000);
afterAll(() => cloud.close());

const writeValues = (values: object): void => cloud.write({ replica_count: 1, ...values });

const listInstances = (): string[] =>
  aws
    .listInstances()
    .filter(({ state }) => state === 'running')
    .map(({ id }) => id)
    .sort();
const listVolumes = () => cloud.listVolumes();
const taint = (verb: 'taint' | 'untaint', address: string) =>
  run('terraform', [verb, address], { cwd: cloud.directory });

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

test('replaceInstance replaces the instance of a node, and neither its data nor the other node', async () => {
  const [instances, volumes] = [listInstances(), listVolumes()];
  const nodes = await replaceInstance(job, terraform, 'node-1');
  expect(listVolumes()).toEqual(volumes);
  expect(nodes.map(({ name }) => name)).toEqual(['node-1', 'node-2']);
  expect(nodes.map(({ instanceId }) => instances.includes(instanceId))).toEqual([false, true]);
});

test('replaceInstance replaces the data volume as well if asked to', async () => {
  const [instances, volumes] = [listInstances(), listVolumes()];
  const nodes = await replaceInstance(job, terraform, 'node-2', { volume: true });
  expect(nodes.map(({ volumeId }) => volumes.includes(volumeId))).toEqual([true, false]);
  expect(nodes.map(({ instanceId }) => instances.includes(instanceId))).toEqual([true, false]);
});

test('refreshNodes returns present addresses, and does not ask a node that is not running', async () => {
  const [before] = (await refreshNodes(job, terraform)).nodes;
  const id = before?.instanceId ?? '';
  await aws.stopInstance(id);
  expect(await refreshNodes(job, terraform)).toMatchObject({
    states: { 'node-1': 'stopped', 'node-2': 'running' },
    excluded: ['node-1'],
  });
  await aws.startInstance(id);
  // Another instance has the old address by now.
  await aws.edit(({ instances }) => {
    const instance = instances[id];
    if (instance) instance.publicIp = '10.99.7.7';
  });
  const { nodes, excluded } = await refreshNodes(job, terraform);
  expect(excluded).toEqual([]);
  expect(nodes[0]).toEqual({ ...before, publicAddress: '10.99.7.7' });
  await aws.terminate(id);
  expect(await refreshNodes(job, terraform)).toMatchObject({
    nodes: [{ name: 'node-1' }, { name: 'node-2' }],
    states: { 'node-1': 'terminated' },
    excluded: ['node-1'],
  });
});

test.each([5, 0])(
  'refreshNodes does not depend on the spec: replica_count %i',
  async (replica_count) => {
    writeValues({ replica_count });
    const { nodes } = await refreshNodes(job, terraform);
    expect(nodes.map(({ name }) => name)).toEqual(['node-1', 'node-2']);
    writeValues({});
  },
);

test.each([
  ['UnauthorizedOperation', 'Give the job credentials'],
  ['InvalidInstanceType', 'Fix the error below'],
])('refreshNodes fails before passwords are sent: %s', async (problem, nextStep) => {
  const failing = {
    outputs: () => terraform.outputs(),
    plan: () => Promise.reject(new UserError(problem)),
  } as unknown as Terraform;
  const failure = await refreshNodes(job, failing).catch((error) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect(failure.problems[0]).toMatch(
    /^The nodes could not be looked up in AWS, so nothing was sent/,
  );
  expect(failure.problems[0]).toContain(nextStep);
  expect(failure.problems[1]).toBe(problem);
});

/** Plans values as a deploy does. */
const planValues = async (values: object): Promise<PlanResult> => {
  writeValues(values);
  const planFile = join(cloud.folder, 'whole.tfplan');
  return plan(terraform, { directory: cloud.directory, planFile, publicKey: null, lock: true });
};

const openStages = (whole: PlanResult): StagedApply =>
  new StagedApply(job, {
    terraform,
    permitted: permit(whole, { kind: 'plan', label: 'allow', labels: ['allow'] }),
    digest: whole.digest,
    outputs: whole.outputs,
    existing: whole.existing.nodes,
    stopped: findStopped(whole.existing, whole.summary),
  });

const fail = (work: Promise<unknown>): Promise<UserError> =>
  work.then(
    () => expect.fail('it did not fail'),
    (error) => error,
  );

/** Type and state of each node's instance. */
const readMachines = () =>
  Object.fromEntries(
    Object.values(aws.tables.instances)
      .map(({ tags, type, state }) => [tags.Node ?? '', `${type} ${state}`] as const)
      .sort(),
  );

describe('EC2 has no capacity for the new type', () => {
  const LARGE = { instance_type: 't3.large' };

  beforeAll(async () => {
    // Earlier tests may have terminated a node.
    await openStages(await planValues({})).provision();
  });

  test('the node stays stopped, and the error names the ways out', async () => {
    await aws.edit((tables) => tables.shortages.push('t3.large'));
    const stages = openStages(await planValues(LARGE));
    await stages.provision();
    const { problems } = await fail(stages.resize('node-2'));
    expect(problems[0]).toMatch(
      /^node-2: EC2 has no capacity .* stayed stopped\..* job again later/,
    );
    expect(problems[0]).toMatch(/merge a pull request with another instance-type/);
    expect(problems[1]).toMatch(/StartInstances.*InsufficientInstanceCapacity/s);
    expect(readMachines()).toEqual({ 'node-1': 't3.medium running', 'node-2': 't3.large stopped' });
  });

  test('a rerun without capacity changes no other node', async () => {
    const whole = await planValues(LARGE);
    expect(whole.existing.notRunning).toMatchObject([
      { node: { name: 'node-2' }, state: 'stopped' },
    ]);
    const { problems } = await fail(openStages(whole).provision());
    expect(problems[0]).toMatch(/^node-2: EC2 has no capacity/);
    expect(readMachines()).toEqual({ 'node-1': 't3.medium running', 'node-2': 't3.large stopped' });
    expect(Object.keys(aws.tables.volumes)).toHaveLength(4);
  });

  test('restoring the old type starts the node', async () => {
    const whole = await planValues({});
    const nodes = await openStages(whole).provision();
    expect(readMachines()).toEqual({
      'node-1': 't3.medium running',
      'node-2': 't3.medium running',
    });
    expect(nodes.every(({ publicAddress }) => publicAddress !== '')).toBe(true);
    expect((await planValues({})).summary.hasChanges).toBe(false);
  });

  test('a stopped node with the right type is started, and the starter leaves the state', async () => {
    const id = Object.values(aws.tables.instances).find(({ tags }) => tags.Node === 'node-2')?.id;
    await aws.stopInstance(id ?? '');
    const whole = await planValues({});
    expect(hasChangesToReview(whole.summary)).toBe(false);
    const nodes = await openStages(whole).provision();
    expect(readMachines()['node-2']).toBe('t3.medium running');
    expect(nodes.find(({ name }) => name === 'node-2')).toMatchObject({
      instanceId: id,
      publicAddress: expect.stringMatching(/^10\.99\./),
    });
    expect(
      (await run('terraform', ['state', 'list'], { cwd: cloud.directory })).stdout,
    ).not.toContain('aws_ec2_instance_state');
    expect((await planValues({})).summary.hasChanges).toBe(false);
  });

  test('the change continues once there is capacity', async () => {
    await fail(
      (async () => {
        const stages = openStages(await planValues(LARGE));
        await stages.provision();
        await stages.resize('node-2');
      })(),
    );
    await aws.edit((tables) => {
      tables.shortages = [];
    });
    const stages = openStages(await planValues(LARGE));
    await stages.provision();
    expect(readMachines()).toEqual({ 'node-1': 't3.medium running', 'node-2': 't3.large running' });
    await stages.resize('node-1');
    expect(readMachines()['node-1']).toBe('t3.large running');
  });
});

test('the starter that a killed run left in the state is removed', async () => {
  const values = { instance_type: 't3.large' };
  const { existing } = await planValues(values);
  const planFile = join(cloud.folder, 'killed.tfplan');
  const stage = { instanceTypes: {}, keptNodes: [], started: ['2'] };
  await terraform.plan(planFile, { publicKey: null, lock: true, stage });
  const summary = summarizePlan(JSON.parse(await terraform.showJson(planFile)));
  const ground = { kind: 'plan', label: null, labels: null } as const;
  await terraform.apply(permit({ planFile, summary }, ground), {
    temporary: cloud.folder,
    announce: () => {},
  });
  const whole = await planValues(values);
  expect(whole.summary.counts.destroy).toBe(0);
  expect(whole.summary.hasChanges).toBe(true);
  expect(hasChangesToReview(whole.summary)).toBe(false);
  const permitted = permit(whole, ground);
  const { digest, outputs } = whole;
  await new StagedApply(job, {
    terraform,
    permitted,
    digest,
    outputs,
    existing: existing.nodes,
  }).provision();
  expect(readMachines()).toEqual({ 'node-1': 't3.large running', 'node-2': 't3.large running' });
  expect((await planValues(values)).summary.hasChanges).toBe(false);
});

describe('nothing is started for nothing', () => {
  const values = { instance_type: 't3.large' };
  /** Counts the calls of Terraform during `work`. */
  const count = async (work: () => Promise<unknown>) => {
    const spies = (['plan', 'apply', 'showJson', 'outputs'] as const).map(
      (name) => [name, vi.spyOn(terraform, name)] as const,
    );
    try {
      await work();
      return Object.fromEntries(spies.map(([name, { mock }]) => [name, mock.calls.length]));
    } finally {
      for (const [, spy] of spies) spy.mockRestore();
    }
  };
  const none = { plan: 0, apply: 0, showJson: 0, outputs: 0 };

  test('an apply of nothing, whose outputs are those of the plan', async () => {
    const present = await terraform.outputs();
    const whole = await planValues(values);
    expect(whole.outputs).toEqual(present);
    const stages = openStages(whole);
    let nodes: unknown;
    const calls = await count(async () => {
      nodes = await stages.provision();
    });
    expect(calls).toEqual(none);
    expect(nodes).toEqual(whole.existing.nodes);
    expect(stages.hasTouched).toBe(false);
  });

  test('a first stage without changes', async () => {
    const resized = openStages(await planValues({ instance_type: 't3.medium' }));
    expect(await count(() => resized.provision())).toEqual(none);
    const removed = openStages(await planValues({ ...values, replica_count: 0 }));
    expect(await count(() => removed.provision())).toEqual(none);
    expect([resized.hasTouched, removed.hasTouched]).toEqual([false, false]);
  });

  test('other outputs are applied, and touch no node', async () => {
    const database = {
      image: 'postgres:17',
      settings: { work_mem: '8MB' },
      primary: '',
      synchronous_replicas: 0,
    };
    const stages = openStages(await planValues({ ...values, database }));
    expect(await count(() => stages.provision())).toEqual({ ...none, apply: 1, outputs: 1 });
    expect(stages.hasTouched).toBe(false);
  });
});

describe('a removal', () => {
  const values = { instance_type: 't3.large', replica_count: 1 };
  const volumeOf = (node: string) =>
    Object.values(aws.tables.volumes).find(({ tags, root }) => !root && tags.Node === node)?.id;
  const instanceOf = (node: string) =>
    Object.values(aws.tables.instances).find(({ tags }) => tags.Node === node)?.id ?? '';

  test('continues with the volume if its snapshot outlasts the timeout', async () => {
    await openStages(await planValues({ ...values, replica_count: 3 })).provision();
    await aws.edit((tables) => tables.slowSnapshots.push(volumeOf('node-4') ?? ''));
    const first = openStages(await planValues({ ...values, replica_count: 2 }));
    await first.provision();
    const { message } = await fail(first.destroy());
    expect(message).toMatch(/waiting for EBS Snapshot/);
    expect(Object.keys(readMachines())).toEqual(['node-1', 'node-2', 'node-3']);
    expect(aws.tables.volumes).toHaveProperty(volumeOf('node-4') ?? 'none');

    await aws.edit((tables) => {
      tables.slowSnapshots = [];
    });
    const whole = await planValues({ ...values, replica_count: 2 });
    expect(findOrphanedVolumes(whole.summary)).toEqual(['node-4']);
    const nodes = await openStages(whole).provision();
    expect(nodes.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(volumeOf('node-4')).toBeUndefined();
  });

  test('creates no instance for a leaving node whose instance is gone', async () => {
    await openStages(await planValues({ ...values, replica_count: 3 })).provision();
    await aws.terminate(instanceOf('node-3'));
    const whole = await planValues(values);
    expect(findOrphanedVolumes(whole.summary)).toEqual(['node-3']);
    const stages = openStages(whole);
    const existing = await stages.provision();
    expect(existing.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-4']);
    expect(Object.keys(readMachines())).toEqual(['node-1', 'node-2', 'node-4']);
    expect((await stages.destroy()).map(({ name }) => name)).toEqual(['node-1', 'node-2']);
    expect((await planValues(values)).summary.hasChanges).toBe(false);
  });
});

describe('volumes', () => {
  const VALUES_NOW = { instance_type: 't3.large', replica_count: 1 };
  const LARGER = { ...VALUES_NOW, data_volume_size: 40, root_volume_size: 20 };
  const KEY = 'arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const volumesOf = (node: string) =>
    Object.values(aws.tables.volumes)
      .filter(({ tags }) => tags.Node === node)
      .map(({ root, size, iops, kmsKey }) => ({ root, size, iops, kmsKey }))
      .sort((a, b) => Number(a.root) - Number(b.root));
  const sizes = () => ['node-1', 'node-2'].map((node) => volumesOf(node).map(({ size }) => size));

  beforeAll(async () => {
    const whole = await planValues(VALUES_NOW);
    const permitted = permit(whole, { kind: 'plan', label: null, labels: null });
    await terraform.apply(permitted, { temporary: cloud.folder, announce: () => {} });
  });

  test('grow before any instance is stopped', async () => {
    const values = { ...LARGER, instance_type: 't3.medium', data_volume_iops: 6000 };
    const stages = openStages(await planValues(values));
    await stages.provision();
    expect(sizes()).toEqual([
      [40, 20],
      [40, 20],
    ]);
    expect(volumesOf('node-1')[0]?.iops).toBe(6000);
    expect(readMachines()).toEqual({ 'node-1': 't3.large running', 'node-2': 't3.large running' });
    await stages.resize('node-2');
    await stages.resize('node-1');
    expect((await planValues(values)).summary.hasChanges).toBe(false);
  });

  test('keep their IOPS and their key if the values are removed or changed', async () => {
    const values = { ...LARGER, instance_type: 't3.medium', kms_key_id: KEY };
    expect((await planValues(values)).summary.hasChanges).toBe(false);
  });

  test('are not made smaller, also with the label', async () => {
    const { summary } = await planValues({
      ...LARGER,
      instance_type: 't3.medium',
      data_volume_size: 30,
    });
    const scope = { kind: 'plan', label: 'allow', labels: ['allow'] } as const;
    expect(() => permit({ planFile: 'x', summary }, scope)).toThrow(
      /data-volume-size: 30 GiB is smaller .* node-1 \(40 GiB\), node-2 \(40 GiB\)/,
    );
  });

  test('that were grown outside Terraform are not shrunk to what the state has', async () => {
    const grown = Object.values(aws.tables.volumes).find(
      ({ tags, root }) => !root && tags.Node === 'node-1',
    );
    const resize = (size: number) =>
      aws.edit(({ volumes }) => {
        Object.assign(volumes[grown?.id ?? ''] ?? {}, { size });
      });
    await resize(60);
    const { summary } = await planValues({ ...LARGER, instance_type: 't3.medium' });
    await resize(40);
    expect(explainApplyRefusal(summary, { kind: 'plan', label: null, labels: null })).toEqual([
      expect.stringContaining('node-1 (60 GiB), and EBS cannot shrink a volume. Give at least 60.'),
    ]);
  });

  test('a replaced instance with a blank volume has the size and the key of the inputs', async () => {
    writeValues({
      ...VALUES_NOW,
      instance_type: 't3.medium',
      data_volume_size: 30,
      root_volume_size: 10,
      kms_key_id: KEY,
    });
    await replaceInstance(job, terraform, 'node-2', { volume: true });
    expect(sizes()).toEqual([
      [40, 20],
      [30, 10],
    ]);
    expect(volumesOf('node-2').map(({ kmsKey }) => kmsKey)).toEqual([KEY, KEY]);
    expect(volumesOf('node-1').map(({ kmsKey }) => kmsKey)).not.toContain(KEY);
  });
});
