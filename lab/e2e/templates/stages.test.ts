import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Node } from '../../../src/cluster/node.ts';
import { Terraform } from '../../../src/terraform/cli.ts';
import {
  buildNodeChanges,
  buildStageOverrides,
  instanceAddress,
  type PlanOverrides,
} from '../../../src/terraform/node-changes.ts';
import { readNodes } from '../../../src/terraform/outputs.ts';
import { explainApplyRefusal, permit } from '../../../src/terraform/permit.ts';
import { type PlanSummary, summarizePlan } from '../../../src/terraform/plan.ts';
import { findUnreviewedChanges } from '../../../src/terraform/plan-differences.ts';
import { type Aws, destroyAws, startAws } from '../../aws/main.ts';
import { ensureHost } from '../../images/images.ts';
import { openWorkspace, PUBLIC_KEY, type Values } from '../../templates/workspace.ts';
import { reachAws } from '../../tools/wrap-program.ts';

// One change in stages, on running machines: what is stopped, what stays, and that the stages together are the
// reviewed change.

const WORLD = 'templates-stages';
const PREFIX = '10.95';
const SPEC = { name: 'orders', region: 'us-east-1' };
const BASE: Values = {
  cluster_name: SPEC.name,
  region: SPEC.region,
  instance_type: 't3.medium',
  replica_count: 2,
  vpc_cidr: '10.44.0.0/16',
  data_volume_size: 10,
  ssh_public_key: PUBLIC_KEY,
};

/** A node's only data volume. */
const DEVICE = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_*';

const run = promisify(execFile);
const docker = async (...args: string[]) => (await run('docker', args)).stdout.trim();
const directory = join(import.meta.dirname, '../../.out', WORLD);
const workspace = join(directory, 'workspace');
const temporary = join(directory, 'temporary');

let aws: Aws;
let terraform: Terraform;

/** A plan file and its summary. */
interface Planned {
  readonly file: string;
  readonly summary: PlanSummary;
}

async function plan(stage?: PlanOverrides): Promise<Planned> {
  const file = join(temporary, 'plan.tfplan');
  await terraform.plan(file, { publicKey: null, lock: true, ...(stage && { stage }) });
  return { file, summary: summarizePlan(JSON.parse(await terraform.showJson(file))) };
}

// Each of these changes was allowed in a pull request.
const ALLOWED = { kind: 'plan', label: 'allow-destroy', labels: ['allow-destroy'] } as const;

const apply = ({ file, summary }: Planned) =>
  terraform.apply(permit({ planFile: file, summary }, ALLOWED), { temporary, announce: () => {} });

const refuseReplacement = ({ summary }: Planned, node: string) =>
  explainApplyRefusal(summary, { kind: 'replacement', node });

const write = (values: Values) =>
  writeFileSync(join(workspace, 'terraform.tfvars.json'), JSON.stringify(values));

async function listNodes(): Promise<Node[]> {
  return readNodes(await terraform.outputs(), { directory: workspace, spec: SPEC });
}

const containerOf = (name: string) => {
  const machine = aws.listInstances().find((one) => one.name === `orders-${name}`);
  if (!machine) throw new Error(`There is no machine of ${name}.`);
  return machine.container;
};

/** Runs a script on a machine as root. */
const runOn = (name: string, script: string) =>
  docker('exec', containerOf(name), 'sh', '-euc', script);

/** The boot time of each machine, by name. */
async function readBoots(): Promise<Record<string, string>> {
  const entries = aws
    .listInstances()
    .map(
      async ({ name, container }) =>
        [name, await docker('inspect', '--format', '{{.State.StartedAt}}', container)] as const,
    );
  return Object.fromEntries((await Promise.all(entries)).sort());
}

/** The names whose values differ. */
const compare = (a: Record<string, string>, b: Record<string, string>) =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]);

const changesOf = ({ resources }: PlanSummary) =>
  resources
    .filter(({ action }) => action !== 'no-op' && action !== 'read')
    .map(({ action, address }) => `${action} ${address}`)
    .sort();

beforeAll(async () => {
  await destroyAws({ world: WORLD });
  rmSync(directory, { recursive: true, force: true });
  aws = await startAws({ world: WORLD, prefix: PREFIX, hostImage: ensureHost });
  mkdirSync(temporary, { recursive: true });
  await openWorkspace({ directory: workspace, reattach: aws.reattach });
  terraform = new Terraform({
    binary: 'terraform',
    directory: workspace,
    environment: { PATH: reachAws({ folder: temporary, reattach: aws.reattach }) },
    log: () => {},
  });
  write(BASE);
  await apply(await plan());
  await Promise.all((await listNodes()).map(mountData));
});

/** A unit that leaves a note if it is stopped before the volume: a shutdown does that, a power cut does not. */
const WITNESS = `[Unit]
RequiresMountsFor=/data
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/rm -f /data/shut-down
ExecStop=/bin/touch /data/shut-down
`;

/** Creates a file system with its name and the witness on a node. */
async function mountData({ name }: Node): Promise<void> {
  const unit = `/etc/systemd/system/witness.service`;
  const lines = [
    `mkfs.ext4 -q ${DEVICE}; mkdir /data; mount ${DEVICE} /data; echo ${name} >/data/name; sync`,
    `printf '%s' '${WITNESS}' >${unit}; systemctl daemon-reload; systemctl start witness`,
  ];
  await runOn(name, lines.join('\n'));
}

/** The contents of a node's volume that is not mounted, possibly because the node is booting. */
const readData = (name: string) =>
  runOn(
    name,
    `timeout 30 sh -c 'until ls ${DEVICE}; do sleep 0.2; done' >/dev/null 2>&1
    mount ${DEVICE} /mnt; ls /mnt; cat /mnt/name; umount /mnt`,
  );

afterAll(async () => {
  await aws?.destroyEverything();
  rmSync(directory, { recursive: true, force: true });
});

describe('another instance type, a new node and tags in one change', () => {
  let reviewed: PlanSummary;
  let boots: Record<string, string>;

  test('is reviewed as one plan, which would stop all nodes', async () => {
    write({ ...BASE, instance_type: 't3.large', replica_count: 3, tags: { Team: 'sales' } });
    reviewed = (await plan()).summary;
    const types = { from: 't3.medium', to: 't3.large' };
    expect(buildNodeChanges(reviewed)).toEqual({
      create: ['node-4'],
      replace: [],
      resize: ['node-1', 'node-2', 'node-3'].map((node) => ({ node, ...types })),
      destroy: [],
      fresh: ['node-4'],
    });
    boots = await readBoots();
  });

  test('begins with the parts that stop no node', async () => {
    const stage = await plan(
      buildStageOverrides(reviewed, { existing: await listNodes(), resized: [] }),
    );
    expect(findUnreviewedChanges(stage.summary, reviewed)).toEqual([]);
    expect(buildNodeChanges(stage.summary).resize).toEqual([]);
    await apply(stage);
    expect(compare(boots, await readBoots())).toEqual(['orders-node-4']);
    expect((await listNodes()).map(({ instanceType }) => instanceType)).toEqual([
      't3.medium',
      't3.medium',
      't3.medium',
      't3.large',
    ]);
  });

  test.each([
    ['node-2', ['node-2']],
    ['node-3', ['node-2', 'node-3']],
    ['node-1', ['node-2', 'node-3', 'node-1']],
  ])('then changes only %s', async (name, resized) => {
    const before = await listNodes();
    boots = await readBoots();
    const stage = await plan(buildStageOverrides(reviewed, { existing: before, resized }));
    expect(findUnreviewedChanges(stage.summary, reviewed)).toEqual([]);
    expect(changesOf(stage.summary)).toEqual([`update ${instanceAddress(name)}`]);
    await apply(stage);
    expect(compare(boots, await readBoots())).toEqual([`orders-${name}`]);

    const after = await listNodes();
    const old = before.find((one) => one.name === name);
    const changed = after.find((one) => one.name === name);
    expect(changed).toEqual({
      ...old,
      instanceType: 't3.large',
      publicAddress: expect.stringContaining(`${PREFIX}.`),
    });
    expect(changed?.publicAddress).not.toBe(old?.publicAddress);
    expect(after.filter((one) => one.name !== name)).toEqual(
      before.filter((one) => one.name !== name),
    );
    // It was shut down, its power was not cut.
    expect(await readData(name)).toContain(`shut-down\n${name}`);
  });

  test('has nothing left to do', async () => {
    expect((await plan()).summary.hasChanges).toBe(false);
  });
});

describe('fewer nodes and tags in one change', () => {
  let reviewed: PlanSummary;
  let before: Node[];

  test('first keeps the nodes to be removed as full members of the cluster', async () => {
    before = await listNodes();
    const boots = await readBoots();
    write({ ...BASE, instance_type: 't3.large', replica_count: 1, tags: { Team: 'orders' } });
    reviewed = (await plan()).summary;
    expect(buildNodeChanges(reviewed)).toMatchObject({ resize: [], destroy: ['node-3', 'node-4'] });
    const stage = await plan(buildStageOverrides(reviewed, { existing: before, resized: [] }));
    expect(buildNodeChanges(stage.summary).destroy).toEqual([]);
    expect(changesOf(stage.summary)).toContain(`update ${instanceAddress('node-3')}`);
    expect(findUnreviewedChanges(stage.summary, reviewed)).toEqual([]);
    await apply(stage);
    expect(await readBoots()).toEqual(boots);
    expect(await listNodes()).toEqual(before);
  });

  test('destroys them last, and their data stays in snapshots', async () => {
    const boots = await readBoots();
    const last = await plan();
    expect(findUnreviewedChanges(last.summary, reviewed)).toEqual([]);
    expect(changesOf(last.summary)).toEqual(
      ['3', '4']
        .flatMap((number) => [
          `delete aws_ebs_volume.data["${number}"]`,
          `delete aws_instance.node["${number}"]`,
          `delete aws_volume_attachment.data["${number}"]`,
        ])
        .sort(),
    );
    await apply(last);
    expect(compare(boots, await readBoots())).toEqual(['orders-node-3', 'orders-node-4']);
    expect(await listNodes()).toEqual(before.slice(0, 2));
    const snapshots = Object.values(aws.tables.snapshots).map(({ volume }) => volume);
    expect(snapshots.sort()).toEqual(
      before
        .slice(2)
        .map(({ volumeId }) => volumeId)
        .sort(),
    );
    expect((await plan()).summary.hasChanges).toBe(false);
  });
});

describe('an unreachable node', () => {
  test('gets another instance with its data while it hangs', async () => {
    const before = await listNodes();
    const boots = await readBoots();
    await runOn('node-2', `mount ${DEVICE} /data; systemctl start witness`);
    await docker('pause', containerOf('node-2'));
    const stage = await plan({
      instanceTypes: {},
      keptNodes: [],
      replace: [instanceAddress('node-2')],
    });
    expect(refuseReplacement(stage, 'node-2')).toEqual([]);
    expect(refuseReplacement(stage, 'node-1')).toHaveLength(2);
    expect(changesOf(stage.summary)).toEqual([
      'replace aws_instance.node["2"]',
      'replace aws_volume_attachment.data["2"]',
    ]);
    await apply(stage);
    const after = await listNodes();
    expect(compare(boots, await readBoots())).toEqual(['orders-node-2']);
    expect(after[0]).toEqual(before[0]);
    expect(after[1]).toMatchObject({ volumeId: before[1]?.volumeId, zone: before[1]?.zone });
    expect(after[1]?.instanceId).not.toBe(before[1]?.instanceId);
    const data = await readData('node-2');
    expect(data).toContain('node-2');
    expect(data).not.toContain('shut-down');
    expect((await plan()).summary.hasChanges).toBe(false);
  });

  test('comes back with its data after its machine was removed by hand', async () => {
    const before = await listNodes();
    await docker('rm', '--force', '--volumes', containerOf('node-2'));
    await expect.poll(() => aws.listInstances()).toHaveLength(1);
    const missing = await plan();
    expect(changesOf(missing.summary)).toEqual([
      'create aws_instance.node["2"]',
      'create aws_volume_attachment.data["2"]',
    ]);
    expect(buildNodeChanges(missing.summary)).toMatchObject({ create: ['node-2'], fresh: [] });
    expect(refuseReplacement(missing, 'node-2')).toEqual([]);
    await apply(missing);
    const after = await listNodes();
    expect(after[0]).toEqual(before[0]);
    expect(after[1]).toMatchObject({ volumeId: before[1]?.volumeId });
    expect(await readData('node-2')).toContain('node-2');
  });
});
