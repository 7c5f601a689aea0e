import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Aws, destroyAws, startAws } from '../aws/main.ts';
import { Workspace } from '../aws/workspace.ts';
import { runAsRoot } from '../images/docker.ts';
import { ensureHost } from '../images/images.ts';

// Its own world, on networks that no other test's world uses.
const WORLD = 'aws-test';
const PREFIX = '10.96';
const run = promisify(execFile);

const folder = mkdtempSync(join(tmpdir(), 'pgca-aws-test-'));
const key = join(folder, 'key');
let aws: Aws;
let workspace: Workspace;

const configuration = (publicKey: string) => `
provider "aws" {
  region = "us-east-1"
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
  cidr_block = "10.43.0.0/16"
}
resource "aws_subnet" "lab" {
  vpc_id                  = aws_vpc.lab.id
  cidr_block              = "10.43.1.0/24"
  availability_zone       = "us-east-1a"
  map_public_ip_on_launch = true
}
resource "aws_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
}
resource "aws_route_table" "lab" {
  vpc_id = aws_vpc.lab.id
}
resource "aws_route" "internet" {
  route_table_id         = aws_route_table.lab.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.lab.id
}
resource "aws_route_table_association" "lab" {
  route_table_id = aws_route_table.lab.id
  subnet_id      = aws_subnet.lab.id
}
resource "aws_security_group" "lab" {
  name   = "lab"
  vpc_id = aws_vpc.lab.id
}
resource "aws_vpc_security_group_ingress_rule" "ssh" {
  security_group_id = aws_security_group.lab.id
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  cidr_ipv4         = "${PREFIX}.0.1/32"
}
resource "aws_vpc_security_group_ingress_rule" "among" {
  security_group_id            = aws_security_group.lab.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = aws_security_group.lab.id
}
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.lab.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
resource "aws_key_pair" "lab" {
  key_name   = "lab"
  public_key = "${publicKey.trim()}"
}
resource "aws_instance" "node" {
  for_each               = toset(["1", "2"])
  ami                    = data.aws_ami.debian.id
  instance_type          = "t3.small"
  subnet_id              = aws_subnet.lab.id
  vpc_security_group_ids = [aws_security_group.lab.id]
  key_name               = aws_key_pair.lab.key_name
  tags                   = { Name = "node-\${each.key}" }
}
resource "aws_ebs_volume" "data" {
  availability_zone = "us-east-1a"
  size              = 1
  type              = "gp3"
}
resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  instance_id = aws_instance.node["1"].id
  volume_id   = aws_ebs_volume.data.id
}
`;

function find(name: string) {
  const found = aws.listInstances().find((one) => one.name === name);
  if (found?.publicIp == null) throw new Error(`${name} has no public address.`);
  return { ...found, publicIp: found.publicIp };
}

/** Runs a command on a machine over SSH, from the computer that runs the lab. */
async function ssh(name: string, command: string, seconds = 5): Promise<string> {
  const options = [
    '-i',
    key,
    '-o',
    'BatchMode=yes',
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
  ];
  const where = [
    '-o',
    'LogLevel=ERROR',
    '-o',
    `ConnectTimeout=${seconds}`,
    `admin@${find(name).publicIp}`,
  ];
  return (await run('ssh', [...options, ...where, command])).stdout.trim();
}

/** Waits until the machine has booted and accepts logins. */
async function waitForBoot(name: string): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    try {
      await ssh(name, 'cloud-init status --wait');
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function listTraces(): Promise<string> {
  const label = ['--filter', `label=postgres-cluster-lab=${WORLD}`];
  const traces = await Promise.all([
    run('docker', ['ps', '--all', '--quiet', ...label]),
    run('docker', ['network', 'ls', '--quiet', ...label]),
    runAsRoot('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']).then((files) => ({
      stdout: files
        .split('\n')
        .filter((file) => file.includes(`/${WORLD}/`))
        .join('\n'),
    })),
  ]);
  return traces.map(({ stdout }) => stdout.trim()).join('');
}

beforeAll(async () => {
  await destroyAws({ world: WORLD });
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  aws = await startAws({ world: WORLD, prefix: PREFIX, hostImage: ensureHost });
  workspace = new Workspace(join(folder, 'terraform'), aws.reattach);
  workspace.write(configuration(readFileSync(`${key}.pub`, 'utf8')));
  await workspace.init();
  await workspace.apply();
  await Promise.all([waitForBoot('node-1'), waitForBoot('node-2')]);
});

afterAll(async () => {
  await aws?.destroyEverything();
  rmSync(folder, { recursive: true, force: true });
});

describe('machines', () => {
  test('a second plan is empty', async () => {
    expect(await workspace.plan()).toEqual([]);
  });

  test('know their identity', async () => {
    const { privateIp } = find('node-1');
    expect(await ssh('node-1', 'hostname')).toBe(`ip-${privateIp.replaceAll('.', '-')}`);
    expect(await ssh('node-1', 'sudo docker info --format "{{.Driver}}"')).toBe('overlay2');
  });
});

describe('security groups', () => {
  const reach = (port: number, address: string) =>
    `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/${port}' 2>/dev/null && echo open || echo closed`;

  test('open a port only to the group', async () => {
    const { privateIp, publicIp } = find('node-2');
    await ssh('node-2', 'nohup python3 -m http.server 5432 >/dev/null 2>&1 & sleep 1');
    expect(await ssh('node-1', reach(5432, privateIp))).toBe('open');
    expect(await ssh('node-1', reach(22, privateIp))).toBe('closed');
    // Connections to its public address do not count as from a member.
    expect(await ssh('node-1', reach(5432, publicIp))).toBe('closed');
    const { stdout } = await run('bash', ['-c', reach(5432, publicIp)]);
    expect(stdout.trim()).toBe('closed');
  });

  test('close a port when a rule is removed by hand; the plan shows it, and an apply restores it', async () => {
    await aws.edit(({ rules }) => {
      for (const rule of Object.values(rules)) if (rule.from === 22) delete rules[rule.id];
    });
    await expect(ssh('node-1', 'true', 2)).rejects.toThrow(/timed out/);
    expect(await workspace.plan()).toMatchObject([
      { address: 'aws_vpc_security_group_ingress_rule.ssh', actions: 'create' },
    ]);
    await workspace.apply();
    expect(await ssh('node-1', 'echo in')).toBe('in');
  });

  test('do not matter without a route to the internet gateway: the public address is unreachable', async () => {
    const routes = Object.values(aws.tables.routeTables).flatMap((table) => table.routes);
    await aws.edit(({ routeTables }) => {
      for (const table of Object.values(routeTables)) table.routes = [];
    });
    await expect(ssh('node-1', 'true', 2)).rejects.toThrow(/timed out/);
    await aws.edit(({ routeTables }) => {
      const [table] = Object.values(routeTables).filter(
        ({ associations }) => associations.length > 0,
      );
      table?.routes.push(...routes);
    });
    expect(await ssh('node-1', 'echo in')).toBe('in');
  });
});

describe('volumes', () => {
  const disk = '$(readlink -f /dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*)';

  test('keep a file system across a reboot, mounted by its UUID', async () => {
    await ssh('node-1', `sudo mkfs.ext4 -q ${disk} && sudo mkdir /data`);
    await ssh(
      'node-1',
      `echo UUID=$(sudo blkid -p -s UUID -o value ${disk}) /data ext4 defaults 0 2 | sudo tee -a /etc/fstab`,
    );
    await ssh(
      'node-1',
      'sudo systemctl daemon-reload && sudo mount /data && echo kept | sudo tee /data/file',
    );
    await aws.reboot(find('node-1').id);
    await waitForBoot('node-1');
    expect(await ssh('node-1', 'cat /data/file')).toBe('kept');
  });

  test('are visible only to their own machine', async () => {
    await ssh('node-2', 'sudo mknod /tmp/loop0 b 7 0');
    await expect(ssh('node-2', 'sudo head -c1 /tmp/loop0')).rejects.toThrow(/not permitted/);
  });

  test('stay busy while mounted', async () => {
    const { code, output } = await workspace.run(
      'destroy',
      '-auto-approve',
      '-no-color',
      '-target=aws_volume_attachment.data',
    );
    expect(code).toBe(1);
    expect(output).toContain(
      "timeout while waiting for state to become 'detached' (last state: 'busy'",
    );
    expect(await ssh('node-1', 'cat /data/file')).toBe('kept');
  });

  test('are mounted again after the machine reboots itself, with its ports still closed', async () => {
    // The connection ends with the machine.
    await ssh('node-1', 'sudo systemctl reboot').catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5000));
    await waitForBoot('node-1');
    expect(await ssh('node-1', 'cat /data/file')).toBe('kept');
    const { stdout } = await run('docker', [
      'exec',
      find('node-1').container,
      'iptables',
      '-t',
      'mangle',
      '-S',
    ]);
    expect(stdout).toContain('-A LAB-IN -j DROP');
  });

  test('outlive a machine that was terminated by hand', async () => {
    const before = find('node-1').id;
    await aws.terminate(before);
    const changes = await workspace.plan();
    expect(changes.map(({ address, actions }) => `${address} ${actions}`).sort()).toEqual([
      'aws_instance.node["1"] create',
      'aws_volume_attachment.data create',
    ]);
    await workspace.apply();
    expect(find('node-1').id).not.toBe(before);
    await waitForBoot('node-1');
    expect(
      await ssh('node-1', `sudo mkdir /data && sudo mount ${disk} /data && cat /data/file`),
    ).toBe('kept');
    await ssh('node-1', 'sudo umount /data');
  });

  test('grow while attached, once EBS is no longer modifying them', async () => {
    const measure = () => ssh('node-1', `sudo blockdev --getsize64 ${disk}`);
    await aws.edit(({ ebs }) => {
      ebs.modifyingMs = 3600_000;
    });
    workspace.write(
      configuration(readFileSync(`${key}.pub`, 'utf8')).replace(
        'size              = 1',
        'size              = 2',
      ),
    );
    await workspace.apply();
    expect(await measure()).toBe(String(1024 ** 3));
    await aws.edit(({ volumes, ebs }) => {
      ebs.modifyingMs = 0;
      for (const { modifications } of Object.values(volumes))
        for (const one of modifications) Object.assign(one, { optimizes: 0, ends: 0 });
    });
    await expect.poll(measure, { timeout: 30_000 }).toBe(String(2 * 1024 ** 3));
    expect(await workspace.plan()).toEqual([]);
  });
});

describe('a change of the instance type', () => {
  test('stops and starts the machine, which gets a different public address', async () => {
    const before = find('node-2');
    workspace.write(
      configuration(readFileSync(`${key}.pub`, 'utf8')).replaceAll('t3.small', 't3.medium'),
    );
    await workspace.apply('-target=aws_instance.node["2"]');
    const after = find('node-2');
    expect(after.id).toBe(before.id);
    expect(after.privateIp).toBe(before.privateIp);
    expect(after.publicIp).not.toBe(before.publicIp);
    await waitForBoot('node-2');
  });
});

test('machines that stopped with the computer boot again with the next process', async () => {
  await aws.stop();
  await run('docker', ['kill', ...aws.listInstances().map(({ container }) => container)]);
  aws = await startAws({ world: WORLD, prefix: PREFIX, hostImage: ensureHost });
  workspace = new Workspace(workspace.directory, aws.reattach);
  await waitForBoot('node-1');
  expect(await ssh('node-1', 'ls /dev/disk/by-id')).toMatch(/^nvme-Amazon_Elastic_Block_Store_vol/);
});

test('a destroy removes every resource, and the world is removed completely', async () => {
  await workspace.demand('destroy', '-auto-approve', '-no-color');
  expect(aws.listInstances()).toEqual([]);
  await aws.destroyEverything();
  expect(await listTraces()).toBe('');
});
