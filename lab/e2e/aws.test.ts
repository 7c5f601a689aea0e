import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Endpoint } from '../aws/instance-connect/endpoint.ts';
import { presign } from '../aws/instance-connect/presign.ts';
import { type Aws, destroyAws, startAws } from '../aws/main.ts';
import { LAB_KEY } from '../aws/query/signature.ts';
import { Workspace } from '../aws/workspace.ts';
import { type Clock, type Rule, SYSTEM_CLOCK } from '../aws/world.ts';
import { runAsRoot } from '../images/docker.ts';
import { ensureHost } from '../images/images.ts';
import { AwsCli, type CliImage, findCliImage } from './aws-cli.ts';
import { configuration } from './aws-configuration.ts';

// Its own world, on networks that no other test's world uses.
const WORLD = 'aws-test';
const PREFIX = '10.96';
const run = promisify(execFile);

/** Requests reach AWS so many ms late. */
let late = 0;
const clock: Clock = { ...SYSTEM_CLOCK, now: () => Date.now() + late };

const folder = mkdtempSync(join(tmpdir(), 'pgca-aws-test-'));
const key = join(folder, 'key');
let aws: Aws;
let workspace: Workspace;

const describeWorld = () =>
  configuration({ publicKey: readFileSync(`${key}.pub`, 'utf8'), runner: `${PREFIX}.0.1/32` });

function find(name: string) {
  const found = aws.listInstances().find((one) => one.name === name);
  if (found?.publicIp == null) throw new Error(`${name} has no public address.`);
  return { ...found, publicIp: found.publicIp };
}

function findEndpoint(): Endpoint {
  const [found] = Object.values(aws.tables.endpoints);
  if (found === undefined) throw new Error('There is no endpoint.');
  return found;
}

/** Runs a command on a machine over SSH, from the computer that runs the lab. */
async function ssh(
  name: string,
  command: string,
  seconds = 5,
  more: readonly string[] = [],
): Promise<string> {
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
  return (await run('ssh', [...options, ...more, ...where, command])).stdout.trim();
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

/** What a machine's port 22 says first through the endpoint, or how the endpoint closed the tunnel. */
async function readBanner(privateIpAddress: string): Promise<string> {
  const url = await presign({
    host: aws.tunnels.address,
    parameters: {
      instanceConnectEndpointId: findEndpoint().id,
      privateIpAddress,
      remotePort: '22',
    },
    key: LAB_KEY,
    region: 'us-east-1',
  });
  const socket = new WebSocket(url, { ca: readFileSync(aws.tunnels.certificateFile) });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.on('message', (data) => resolve(`${data}`));
  socket.on('close', (code, reason) => resolve(`${code} ${reason}`));
  socket.on('error', reject);
  return promise.finally(() => socket.terminate());
}

/** Runs a check while the rules that match are missing. */
async function withoutRules(
  matches: (rule: Rule) => boolean,
  check: () => Promise<void>,
): Promise<void> {
  const removed = Object.values(aws.tables.rules).filter(matches);
  await aws.edit(({ rules }) => {
    for (const { id } of removed) delete rules[id];
  });
  await check();
  await aws.edit(({ rules }) => {
    for (const rule of removed) rules[rule.id] = rule;
  });
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
  aws = await startAws({ world: WORLD, prefix: PREFIX, hostImage: ensureHost, clock });
  workspace = new Workspace(join(folder, 'terraform'), aws.reattach);
  workspace.write(describeWorld());
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
      for (const rule of Object.values(rules)) {
        if (rule.from === 22 && rule.cidrIpv4 !== null) delete rules[rule.id];
      }
    });
    await expect(ssh('node-1', 'true', 2)).rejects.toThrow(/timed out/);
    expect(await workspace.plan()).toMatchObject([
      { address: 'aws_vpc_security_group_ingress_rule.ssh', actions: 'create' },
    ]);
    await workspace.apply();
    expect(await ssh('node-1', 'echo in')).toBe('in');
  });

  test('do not matter without a route to the internet gateway: the public address is unreachable', async () => {
    const routes = Object.values(aws.tables.routeTables).map(
      ({ id, routes }) => [id, routes] as const,
    );
    await aws.edit(({ routeTables }) => {
      for (const table of Object.values(routeTables)) table.routes = [];
    });
    await expect(ssh('node-1', 'true', 2)).rejects.toThrow(/timed out/);
    await aws.edit(({ routeTables }) => {
      for (const [id, before] of routes) {
        const table = routeTables[id];
        if (table !== undefined) table.routes = before;
      }
    });
    expect(await ssh('node-1', 'echo in')).toBe('in');
  });
});

describe('an Instance Connect Endpoint', async () => {
  const cli = await findCliImage();

  test('leads to machines whose port 22 is closed to everything else', async () => {
    const { publicIp, privateIp } = find('node-1');
    expect(await readBanner(privateIp)).toMatch(/^SSH-2.0/);
    await withoutRules(
      ({ cidrIpv4, egress }) => cidrIpv4 !== null && !egress,
      async () => {
        await expect(ssh('node-1', 'true', 2)).rejects.toThrow(/timed out/);
        const other = `timeout 3 bash -c 'exec 3<>/dev/tcp/${privateIp}/22'`;
        await expect(
          run('docker', ['exec', find('node-2').container, 'bash', '-c', other]),
        ).rejects.toThrow();
        expect(await readBanner(privateIp)).toMatch(/^SSH-2.0/);
      },
    );
    expect(await ssh('node-1', `echo ${publicIp}`)).toBe(publicIp);
  });

  test.each([
    ['its own group allows nothing out', true],
    ["the machine's group does not allow it in", false],
  ])('does not where %s', async (_name, outgoing) => {
    await withoutRules(
      ({ egress, from, cidrIpv4 }) => egress === outgoing && from === 22 && cidrIpv4 === null,
      async () =>
        expect(await readBanner(find('node-1').privateIp)).toBe('1011 Unable to connect to target'),
    );
  });

  const withCli = typeof cli === 'string' ? test.skip : test;
  const skipped = typeof cli === 'string' ? ` (skipped: ${cli})` : '';

  withCli(`is one to the AWS CLI${skipped}`, async () => {
    const { privateIp } = find('node-1');
    const endpoint = findEndpoint();
    const client = await AwsCli.start(cli as CliImage, { aws, endpoint });
    try {
      const described = await client.run('ec2', 'describe-instance-connect-endpoints');
      expect(JSON.parse(described.stdout).InstanceConnectEndpoints).toMatchObject([
        { InstanceConnectEndpointId: endpoint.id, State: 'create-complete' },
      ]);
      const proxy = ['-o', `ProxyCommand=${client.writeTunnel(privateIp)}`];
      expect(await ssh('node-1', 'echo $SSH_CONNECTION', 20, proxy)).toContain(endpoint.privateIp);
    } finally {
      await client.stop();
    }
  });

  withCli(`refuses the AWS CLI${skipped}`, async () => {
    const { privateIp } = find('node-1');
    const endpoint = findEndpoint();
    const client = await AwsCli.start(cli as CliImage, { aws, endpoint });
    try {
      expect(await client.openTunnel('10.44.1.4')).toMatch(/InvalidParameter.*PrivateIpAddress/);
      expect(await client.openTunnel(privateIp, 5432)).toMatch(/InvalidParameter.*RemotePort/);
      late = 61_000;
      expect(await client.openTunnel(privateIp)).toMatch(/Signature expired/);
    } finally {
      late = 0;
      await client.stop();
    }
  });
});

test('a private machine reaches the internet through a NAT gateway alone, and nothing reaches it', async () => {
  const outside = createServer((socket) => socket.end()).listen(0, '0.0.0.0');
  await once(outside, 'listening');
  try {
    const machine = aws.listInstances().find(({ name }) => name === 'private');
    const { port } = outside.address() as AddressInfo;
    const call = async () => {
      const script = `timeout 3 bash -c 'exec 3<>/dev/tcp/${PREFIX}.0.1/${port}' && echo open || echo closed`;
      const { stdout } = await run('docker', [
        'exec',
        machine?.container ?? '',
        'bash',
        '-c',
        script,
      ]);
      return stdout.trim();
    };
    expect(machine?.publicIp).toBeNull();
    expect(await call()).toBe('open');
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}';
    const { stdout } = await run('docker', ['inspect', '-f', format, machine?.container ?? '']);
    const address = stdout.split(' ').find((one) => one.startsWith(PREFIX)) ?? '';
    // Port 22 is open to this computer by the security group.
    await expect(
      run('bash', ['-c', `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/22'`]),
    ).rejects.toThrow();
    const gateways = { ...aws.tables.natGateways };
    await aws.edit((tables) => {
      tables.natGateways = {};
    });
    expect(await call()).toBe('closed');
    await aws.edit((tables) => {
      tables.natGateways = gateways;
    });
    expect(await call()).toBe('open');
  } finally {
    outside.close();
  }
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
    workspace.write(describeWorld().replace('size              = 1', 'size              = 2'));
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
    workspace.write(describeWorld().replaceAll('t3.small', 't3.medium'));
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
  const machines = aws.listInstances().map(({ container }) => container);
  await run('docker', ['kill', ...machines, `pgca-${WORLD}-${findEndpoint().id}`]);
  aws = await startAws({ world: WORLD, prefix: PREFIX, hostImage: ensureHost, clock });
  workspace = new Workspace(workspace.directory, aws.reattach);
  await waitForBoot('node-1');
  expect(await ssh('node-1', 'ls /dev/disk/by-id')).toMatch(/^nvme-Amazon_Elastic_Block_Store_vol/);
  expect(await readBanner(find('node-1').privateIp)).toMatch(/^SSH-2.0/);
});

test('a destroy removes every resource, and the world is removed completely', async () => {
  await workspace.demand('destroy', '-auto-approve', '-no-color');
  expect(aws.listInstances()).toEqual([]);
  await aws.destroyEverything();
  expect(await listTraces()).toBe('');
});
