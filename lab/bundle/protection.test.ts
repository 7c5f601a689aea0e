import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Aws, startAws } from '../aws/main.ts';
import { Workspace } from '../aws/workspace.ts';
import type { WorkflowEvent } from '../github/event.ts';
import type { JobResult } from '../runner/job.ts';
import { reachAws } from '../tools/wrap-program.ts';
import { type Bench, listErrors, openBench, readPullNumber } from './bench.ts';

// Data is never deleted by surprise: an apply operation, which has no review, replaces and destroys no node.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const EVENTS = { generate: 'generate-terraform', apply: 'generate-terraform-apply' } as const;

let bench: Bench;
let aws: Aws;
let folder: string;
/** A subnet of a VPC that is not the cluster's. */
let inputs: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'protection-test-'));
  [bench, aws] = await Promise.all([
    openBench(),
    startAws({ world: 'protection-test', instances: 'none', directory: join(folder, 'aws') }),
  ]);
  inputs = { 'replica-count': '1', 'subnet-ids': await makeSubnets() };
  expect(listErrors(await apply())).toEqual([]);
});
afterAll(async () => {
  await Promise.all([bench.close(), aws.destroyEverything()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Makes subnets of a VPC in two zones; returns their ids in the format of the input. */
async function makeSubnets(): Promise<string> {
  const team = new Workspace(join(folder, 'team'), aws.reattach);
  team.write(`
provider "aws" {
  region = "us-east-1"
}
resource "aws_vpc" "team" {
  cidr_block = "10.60.0.0/16"
}
resource "aws_subnet" "team" {
  for_each          = { "us-east-1a" = 0, "us-east-1b" = 1 }
  vpc_id            = aws_vpc.team.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.team.cidr_block, 8, each.value)
}
`);
  await team.init();
  await team.apply();
  return Object.values(aws.tables.subnets)
    .map(({ id }) => id)
    .join('\n');
}

type Ways = 'repository_dispatch' | 'command';

/** Generates the directory from the inputs and applies it, each in its own job on the same runner. */
async function apply(
  changed: Readonly<Record<string, string>> = {},
  way: Ways = 'repository_dispatch',
): Promise<JobResult> {
  const options = {
    path: reachAws({ folder, reattach: aws.reattach }),
    workDirectory: join(folder, 'job'),
  };
  const given = { ...inputs, ...changed };
  const ask = (operation: 'generate' | 'apply') =>
    way === 'command'
      ? bench.run(
          bench.github.dispatch('deploy-by-hand', {}),
          { ...given, command: operation },
          options,
        )
      : bench.run(bench.github.dispatch(EVENTS[operation], {}), given, options);
  expect(listErrors(await ask('generate'))).toEqual([]);
  return ask('apply');
}

const listWorld = () => ({
  instances: Object.keys(aws.tables.instances).sort(),
  volumes: Object.keys(aws.tables.volumes).sort(),
});
let before: ReturnType<typeof listWorld>;
beforeEach(() => {
  before = listWorld();
});

function expectRefused(result: JobResult, ...losses: readonly RegExp[]): void {
  expect(result.conclusion).toBe('failure');
  const errors = listErrors(result).join('\n');
  for (const loss of losses) expect(errors).toMatch(loss);
  expect(errors).toMatch(/To allow it, open a pull request and label it allow-destroy/);
  expect(listWorld()).toEqual(before);
}

interface StateResource {
  readonly type: string;
  readonly instances: object[];
}

/** Changes a resource in the state; returns a function that undoes the change. */
function changeState(type: string, change: (resource: StateResource) => void): () => void {
  const [name = ''] = readdirSync(join(folder, 'job'), {
    recursive: true,
    encoding: 'utf8',
  }).filter((path) => path.endsWith('terraform.tfstate'));
  const file = join(folder, 'job', name);
  const text = readFileSync(file, 'utf8');
  const state = JSON.parse(text);
  change(state.resources.find((one: StateResource) => one.type === type));
  writeFileSync(file, JSON.stringify({ ...state, serial: state.serial + 1 }));
  return () =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(text), serial: state.serial + 2 }));
}

/** Does the same as `terraform taint`. */
const taint = (type: string) =>
  changeState(type, ({ instances }) => Object.assign(instances[0] ?? {}, { status: 'tainted' }));

describe('an apply operation refuses', () => {
  test.each<Ways>(['repository_dispatch', 'command'])(
    'another VPC, which replaces every instance: by %s',
    async (way) => {
      const result = await apply({ 'subnet-ids': '' }, way);
      expectRefused(
        result,
        /node-1: aws_instance\.node\["1"\] would be replaced/,
        /node-2: aws_instance\.node\["2"\] would be replaced/,
      );
    },
  );

  test.each([
    ['aws_ebs_volume', /node-1: aws_ebs_volume\.data\["1"\] would be replaced/],
    ['aws_instance', /node-1: aws_instance\.node\["1"\] would be replaced/],
    ['aws_volume_attachment', /node-1: aws_volume_attachment\.data\["1"\] would be replaced/],
  ])('a tainted %s', async (type, loss) => {
    const untaint = taint(type);
    expectRefused(await apply(), loss);
    untaint();
  });

  test('to destroy a deposed volume', async () => {
    const restore = changeState('aws_ebs_volume', ({ instances }) => {
      instances.push({ ...instances[1], index_key: '1', deposed: '00000001' });
    });
    expectRefused(await apply(), /aws_ebs_volume\.data\["1"\] \(vol-\w+, left over\) would be/);
    restore();
  });

  test('a smaller volume, which EBS refuses', async () => {
    const sizes = () => Object.values(aws.tables.volumes).map(({ size }) => size);
    const present = sizes();
    const result = await apply({ 'data-volume-size': '10' });
    expect(result.conclusion).toBe('failure');
    expect(listErrors(result).join('\n')).toMatch(
      /data-volume-size: 10 GiB is smaller than the data volume of node-1 \(20 GiB\), node-2 \(20 GiB\).* Give at least 20\./,
    );
    expect(sizes()).toEqual(present);
    expect(listWorld()).toEqual(before);
  });

  test('to remove nodes', async () => {
    expectRefused(
      await apply({ 'replica-count': '0' }),
      /needs them to take turns with Terraform/,
      /node-2: aws_ebs_volume\.data\["2"\] would be destroyed/,
    );
  });
});

test('a pull request that may destroy a node names who allowed it', async () => {
  // Without a private key, no plan waits for nodes that do not exist.
  const file = join(folder, 'key');
  writeFileSync(file, bench.secrets['ssh-private-key'], { mode: 0o600 });
  const publicKey = execFileSync('ssh-keygen', ['-y', '-f', file], { encoding: 'utf8' });
  const opened = bench.github.openPullRequest({ branch: 'less', title: 'Less' });
  const number = readPullNumber(opened);
  const review = (event: WorkflowEvent) =>
    bench.run(
      event,
      { ...inputs, 'replica-count': '0', 'ssh-private-key': '', 'ssh-public-key': publicKey },
      {
        path: reachAws({ folder, reattach: aws.reattach }),
        workDirectory: join(folder, 'job'),
      },
    );
  const readComment = () => bench.github.listComments(number)[0]?.body;
  expect(listErrors(await review(opened)).join()).toContain('label the pull request allow-destroy');
  expect(readComment()).toContain('add the label `allow-destroy`');
  const labeled = bench.github.label(number, 'allow-destroy', 'bob');
  expect(listErrors(await review(labeled))).toEqual([]);
  expect(readComment()).toContain(
    '**Allowed** by `bob` with the label `allow-destroy`: deletes node-2 and its data',
  );
});

test('an apply operation succeeds if nothing is lost', async () => {
  expect(listErrors(await apply({ 'client-cidrs': '10.1.0.0/16' }))).toEqual([]);
  expect(listWorld()).toEqual(before);
});
