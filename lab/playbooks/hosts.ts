import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node } from '../../src/cluster/node.ts';
import type { DebianRelease } from '../images/catalogue.ts';
import { removeContainer, worldLabel } from '../images/container.ts';
import { runAsRoot, runCommand, runDocker } from '../images/docker.ts';
import { ensureHost, ensureImages } from '../images/images.ts';
import { nameImage, type PostgresTag, type Registry, startRegistry } from '../registry/registry.ts';
import { type Metadata, NO_PROFILE, writeMetadata } from '../s3/metadata.ts';
import { listHostArguments, type RolePolicies, type S3, startS3, stopS3 } from '../s3/s3.ts';

/** Size of a host's data volume in GiB, unless a test chooses another. */
export const DISK_GIB = 4;

/** Hosts for the playbooks alone, without Terraform: containers with a data volume each, on their own network. */
export interface Hosts {
  /** Every host ever started here, by number. */
  readonly nodes: readonly Node[];
  /** Path of the private key for the hosts. */
  readonly key: string;
  /** The public key. */
  readonly authorizedKey: string;
  readonly registry: Registry;
  /** S3 as the hosts see it: only with the option `backups`. */
  readonly s3: S3 | null;
  /** Gives a node the credentials of a role with this policy, or takes them away; the role has the node's name. */
  setProfile(node: string, policy: object | null, options?: { seconds?: number }): Promise<void>;
  /** Starts the blank host of node `number` with its volume. */
  add(number: number): Promise<Node>;
  /** Runs a command on a node as root, bypassing ssh. */
  run(node: string, command: string): Promise<string>;
  /** Grows the device of a node's data volume, as EC2 does some time after it accepted that. */
  growDisk(node: string, gib: number): Promise<void>;
  /** Restarts a node's machine and returns when its systemd has booted. */
  reboot(node: string): Promise<void>;
  /** Removes the hosts and their volumes; the registry stays for later hosts of the world. */
  destroy(): Promise<void>;
}

/**
 * Starts `count` hosts at <prefix>.1.<number> beside a registry that serves `tags`.
 *
 * @param options.folder the folder for volumes and keys
 */
export async function startHosts(options: {
  world: string;
  prefix: string;
  folder: string;
  count: number;
  /** The release of each host's Debian, by its number; by default 13, as new nodes have it. */
  release?: (number: number) => DebianRelease;
  tags: readonly PostgresTag[];
  /** Starts an S3 that the hosts know and trust. */
  backups?: boolean;
  /** Size of each data volume. */
  diskGib?: number;
  onProgress?: (line: string) => void;
}): Promise<Hosts> {
  const { world, prefix, folder, count, release = () => '13', tags, backups = false } = options;
  const { diskGib = DISK_GIB, onProgress } = options;
  const progress = onProgress === undefined ? {} : { onProgress };
  await ensureImages({ only: ['host', 'services', ...tags.map(nameImage)], ...progress });
  const registry = await startRegistry({ world, prefix, tags, ...progress });
  const s3 = backups ? await startS3({ world, prefix, ...progress }) : null;
  await mkdir(folder, { recursive: true });
  const key = join(folder, 'key');
  await rm(key, { force: true });
  await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', world, '-f', key]);
  const authorizedKey = (await readFile(`${key}.pub`, 'utf8')).trim();

  const nodes: Node[] = [];
  const loops = new Map<string, string>();
  const nameHost = (node: string): string => `pgca-${world}-${node}`;

  const policies: Record<string, RolePolicies> = {};
  const describe = (node: Node, rest: Omit<Metadata, 'instance' | 'region'>): string =>
    writeMetadata(world, { instance: node.instanceId, region: 'us-east-1', ...rest });

  async function setProfile(
    name: string,
    policy: object | null,
    { seconds = NO_PROFILE.seconds }: { seconds?: number } = {},
  ): Promise<void> {
    const node = nodes.find((one) => one.name === name);
    if (node === undefined) throw new Error(`There is no host ${name}.`);
    delete policies[name];
    if (policy !== null) policies[name] = { policies: [policy], boundary: null };
    await s3?.setRoles(policies);
    const profile = `arn:aws:iam::123456789012:instance-profile/${name}`;
    const role = policy === null ? NO_PROFILE : { ...NO_PROFILE, role: name, profile, seconds };
    const file = join(folder, name, 'metadata.json');
    await writeFile(file, describe(node, role));
    await runDocker(['cp', file, `${nameHost(name)}:/etc/lab/metadata.json`]);
  }

  async function add(number: number): Promise<Node> {
    const address = `${prefix}.1.${number}`;
    const node: Node = {
      name: `node-${number}`,
      instanceId: `i-0123456789abcde${number}`,
      instanceType: 't3.medium',
      privateAddress: address,
      publicAddress: address,
      dnsName: '',
      volumeId: `vol-0123456789abcde${number}`,
      zone: 'us-east-1a',
    };
    const own = join(folder, node.name);
    await mkdir(own, { recursive: true });
    const file = join(own, 'volume');
    await writeFile(file, '');
    await truncate(file, diskGib * 1024 ** 3);
    const loop = await runAsRoot('losetup', ['--find', '--show', file]);
    loops.set(node.name, loop);
    const device = await runCommand('stat', ['-c', '%Hr:%Lr', loop]);
    const metadata = {
      instance_id: node.instanceId,
      authorized_keys: [authorizedKey],
      registry_mirror: registry.mirror,
      certificate: s3?.services.certificate,
    };
    await writeFile(join(own, 'instance.json'), JSON.stringify(metadata));
    await writeFile(join(own, 'volumes'), `${node.volumeId} ${device}\n`);
    await writeFile(join(own, 'metadata.json'), describe(node, NO_PROFILE));
    const host = nameHost(node.name);
    const security = ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'];
    // A host left over from a test run that was killed.
    await removeContainer(host);
    await runDocker([
      'create',
      ...['--name', host, '--hostname', node.name, '--label', `${worldLabel}=${world}`],
      ...['--network', registry.network, '--ip', address],
      ...['--cap-add=ALL', '--cap-drop=SYS_RESOURCE', '--cgroupns=host'],
      ...['--tmpfs=/run', '--tmpfs=/run/lock', '--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw'],
      ...listHostArguments(s3?.services),
      ...security.flatMap((option) => ['--security-opt', option]),
      ...['--device-cgroup-rule', `b ${device} rwm`],
      await ensureHost(release(number), progress),
    ]);
    for (const name of ['instance.json', 'metadata.json', 'volumes']) {
      await runDocker(['cp', join(own, name), `${host}:/etc/lab/${name}`]);
    }
    await runDocker(['start', host]);
    nodes.push(node);
    return node;
  }

  for (let number = 1; number <= count; number += 1) await add(number);
  const run = (node: string, command: string): Promise<string> =>
    runDocker(['exec', nameHost(node), 'bash', '-c', command]);
  return {
    nodes,
    key,
    authorizedKey,
    registry,
    s3,
    setProfile,
    add,
    run,
    async growDisk(node, gib) {
      await truncate(join(folder, node, 'volume'), gib * 1024 ** 3);
      await runAsRoot('losetup', ['--set-capacity', loops.get(node) ?? '']);
    },
    async reboot(node) {
      await runDocker(['restart', '--time', '60', nameHost(node)]);
      await run(node, 'systemctl is-system-running --wait || true');
    },
    async destroy() {
      await Promise.all(nodes.map(({ name }) => removeContainer(nameHost(name))));
      await stopS3({ world });
      await Promise.all(
        [...loops.values()].map((loop) => runAsRoot('losetup', ['--detach', loop])),
      );
      await rm(folder, { recursive: true, force: true });
    },
  };
}
