import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Aws, startAws } from './main.ts';
import { Workspace } from './workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgca-aws-terraform-'));
const directory = join(folder, 'world');
let aws: Aws;
let workspace: Workspace;

const configuration = `
variable "tag" {
  default = "a"
}
variable "type" {
  default = "t3.small"
}
provider "aws" {
  region = "us-east-1"
  default_tags {
    tags = { Cluster = var.tag }
  }
}
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }
}
resource "aws_vpc" "lab" {
  cidr_block = "10.42.0.0/16"
}
resource "aws_subnet" "lab" {
  vpc_id     = aws_vpc.lab.id
  cidr_block = "10.42.0.0/24"
}
resource "aws_security_group" "lab" {
  vpc_id = aws_vpc.lab.id
  ingress {
    protocol    = "tcp"
    from_port   = 22
    to_port     = 22
    cidr_blocks = ["10.0.0.0/8"]
  }
}
resource "aws_instance" "node" {
  ami                    = data.aws_ami.debian.id
  instance_type          = var.type
  subnet_id              = aws_subnet.lab.id
  vpc_security_group_ids = [aws_security_group.lab.id]
  metadata_options {
    http_tokens = "required"
  }
  root_block_device {
    volume_size = 16
  }
}
resource "aws_ebs_volume" "data" {
  availability_zone = aws_instance.node.availability_zone
  size              = 1
}
resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  instance_id = aws_instance.node.id
  volume_id   = aws_ebs_volume.data.id
}
`;

beforeAll(async () => {
  aws = await startAws({ world: 'terraform-test', instances: 'none', directory });
  workspace = new Workspace(join(folder, 'terraform'), aws.reattach);
  workspace.write(configuration);
  await workspace.init();
  await workspace.apply();
}, 30_000);

afterAll(async () => {
  await aws.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

const summarise = (changes: Awaited<ReturnType<Workspace['plan']>>) =>
  changes.map(({ address, actions }) => `${address} ${actions}`).sort();

test('a plan after an apply has no changes', { timeout: 20_000 }, async () => {
  expect(await workspace.plan()).toEqual([]);
});

test('a changed default tag updates every tagged resource in place', {
  timeout: 20_000,
}, async () => {
  const changes = await workspace.plan('-var=tag=b');
  const instance = changes.find(({ address }) => address === 'aws_instance.node');
  // The root volume has them as well. One with another value counts as its own, as in the real provider.
  const tags_all = { Cluster: 'a' };
  expect(instance?.before?.root_block_device).toMatchObject([{ tags: tags_all, tags_all }]);
  expect(instance?.after?.root_block_device).toMatchObject([{ tags: null, tags_all }]);
  expect(summarise(changes)).toEqual([
    'aws_ebs_volume.data update',
    'aws_instance.node update',
    'aws_security_group.lab update',
    'aws_subnet.lab update',
    'aws_vpc.lab update',
  ]);
});

test('a changed type is an update in place that Terraform shows as harmless', {
  timeout: 20_000,
}, async () => {
  const [change, ...others] = await workspace.plan('-var=type=t3.medium');
  expect(others).toEqual([]);
  expect(change).toMatchObject({
    actions: 'update',
    unknown: { public_ip: true, public_dns: true },
  });
});

test('a changed architecture replaces the instance, and the plan says why', {
  timeout: 20_000,
}, async () => {
  const changes = await workspace.plan('-var=type=t4g.small');
  expect(changes.find(({ address }) => address === 'aws_instance.node')).toMatchObject({
    actions: 'delete,create',
    replacePaths: [['instance_type']],
  });
});

test('refusals have the messages of EC2', { timeout: 20_000 }, async () => {
  const words = await workspace.refuse(
    '-var=type=t4g.small',
    '-replace=aws_volume_attachment.data',
  );
  expect(words).toMatch(
    /^creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 400, RequestID: [0-9a-f-]{36}, api error InvalidParameterValue: The architecture 'arm64'/m,
  );
  await workspace.apply();
});

test('changes outside Terraform appear in the plan', { timeout: 20_000 }, async () => {
  const [node] = aws.listInstances();
  await aws.terminate(node?.id ?? '');
  expect(summarise(await workspace.plan())).toContain('aws_instance.node create');
  await workspace.apply();
  await aws.edit(({ vpcs }) => {
    for (const vpc of Object.values(vpcs)) vpc.tags.Cluster = 'somebody';
  });
  expect(summarise(await workspace.plan())).toEqual(['aws_vpc.lab update']);
});

test('a newer image causes an unrequested replacement', { timeout: 20_000 }, async () => {
  aws.publishImage('us-east-1', '20991231-0001', '12');
  expect(summarise(await workspace.plan('-target=aws_instance.node'))).toContain(
    'aws_instance.node delete,create',
  );
});

test('a second server for the same world is refused', async () => {
  await expect(startAws({ world: 'terraform-test', instances: 'none', directory })).rejects.toThrow(
    'already served',
  );
});

test('the next process finds everything unchanged', { timeout: 20_000 }, async () => {
  const before = aws.listInstances();
  await aws.stop();
  aws = await startAws({ world: 'terraform-test', instances: 'none', directory });
  expect(aws.listInstances()).toEqual(before);
  await new Workspace(workspace.directory, aws.reattach).demand(
    'destroy',
    '-auto-approve',
    '-no-color',
  );
  expect(aws.tables.vpcs).toEqual({});
});
