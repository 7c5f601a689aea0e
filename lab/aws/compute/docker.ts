import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { DebianRelease } from '../../images/catalogue.ts';
import { ensureInternet } from '../../registry/network.ts';
import type { S3 } from '../../s3/s3.ts';
import { findRelease, type Image } from '../catalogue/images.ts';
import type { Endpoint } from '../instance-connect/endpoint.ts';
import type { Instance, Volume, Vpc, World } from '../world.ts';
import { runDocker } from './command.ts';
import type { Compute } from './compute.ts';
import { Disks, reserveMinors } from './disks.ts';
import { Firewalls } from './firewalls.ts';
import { Identities } from './identities.ts';
import { buildInterface, dialFrom, removeInterface, startInterface } from './interface.ts';
import {
  buildCreateArguments,
  buildIdentity,
  ENDPOINT_LABEL,
  INSTANCE_LABEL,
  LOOPS_LABEL,
  nameContainer,
  nameNetwork,
  VPC_LABEL,
  WORLD_LABEL,
} from './machine.ts';
import { Outbound } from './outbound.ts';
import type { MachineEvent } from './watch.ts';

// How long a system may take to shut down before its power is cut.
const SHUTDOWN_SECONDS = '60';

// How long a system may take to boot.
const BOOT_MS = 30_000;

export interface DockerOptions {
  readonly world: string;
  /** Returns the Docker image that runs in place of a release's machine image. */
  readonly hostImage: (release: DebianRelease) => Promise<string>;
  readonly registryMirror?: string;
  /** The world's S3, if it has one. */
  readonly s3?: S3;
  /** First two bytes of the world's internet, e.g. `10.99`. */
  readonly prefix: string;
}

/** Instances as containers of this machine's Docker, on one network per VPC and one for the internet. */
export class DockerCompute implements Compute {
  readonly #world: World;
  readonly #options: DockerOptions;
  readonly #disks: Disks;
  readonly #firewalls: Firewalls;
  readonly #outbound: Outbound;
  readonly #identities: Identities;
  /** Machines that this class is currently stopping or starting; the watcher ignores them. */
  readonly #handled = new Set<string>();
  /** Machines whose termination was requested here. */
  readonly #ended = new Set<string>();
  /** Loop devices and networks are allocated one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Loop devices of machines that are being created. */
  readonly #promised = new Set<number>();

  constructor(world: World, options: DockerOptions) {
    this.#world = world;
    this.#options = options;
    this.#disks = new Disks(world.directory);
    this.#outbound = new Outbound(world, options);
    this.#identities = new Identities(world, options);
    this.#firewalls = new Firewalls(world, () => this.#listFiltered());
  }

  #container({ id }: Pick<Instance, 'id'>): string {
    return nameContainer(this.#options.world, id);
  }

  #oneByOne<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #handle<Result>(instance: Instance, work: () => Promise<Result>): Promise<Result> {
    this.#handled.add(instance.id);
    try {
      return await work();
    } finally {
      this.#handled.delete(instance.id);
    }
  }

  /** Whether a missing machine should exist: its container was removed by hand. */
  isLost(id: string): boolean {
    return id in this.#world.tables.instances && !this.#ended.has(id);
  }

  /** The recorded machines whose containers were removed while no process watched. */
  async listLost(): Promise<string[]> {
    const instances = Object.values(this.#world.tables.instances);
    const found = await Promise.all(instances.map((instance) => this.#exists(instance)));
    return instances.filter((_, index) => !found[index]).map(({ id }) => id);
  }

  /** Follows what machines do themselves, like EC2: a reboot ends in a start, a power-off stops the instance. */
  async follow({ instance: id, kind }: MachineEvent): Promise<void> {
    const instance = this.#world.tables.instances[id];
    if (instance === undefined || this.#handled.has(id)) return;
    if (kind === 'reboot') await runDocker('start', this.#container(instance));
    if (kind === 'start') await this.syncFirewalls();
    if (kind !== 'shutdown' || instance.state !== 'running') return;
    instance.state = 'stopped';
    instance.publicIp = null;
    this.#world.save();
  }

  async #ensureNetwork(vpc: Vpc): Promise<string> {
    const { world } = this.#options;
    const name = nameNetwork(world, vpc.id);
    const found = await runDocker('network', 'ls', '--quiet', '--filter', `name=^${name}$`);
    if (found !== '') return name;
    const labels = ['--label', `${WORLD_LABEL}=${world}`, '--label', `${VPC_LABEL}=${vpc.id}`];
    // Only machines are in a VPC: it has no way out, and no address for the computer that runs the lab.
    const closed = ['--internal', '--opt', 'com.docker.network.bridge.inhibit_ipv4=true'];
    await runDocker('network', 'create', ...labels, ...closed, '--subnet', vpc.cidr, name);
    return name;
  }

  async #reserveLoops(): Promise<number[]> {
    const format = `{{.Label "${LOOPS_LABEL}"}}`;
    const printed = await runDocker(
      'ps',
      '--all',
      '--filter',
      `label=${LOOPS_LABEL}`,
      '--format',
      format,
    );
    const labelled = printed.split(/[\n,]/).filter(Boolean).map(Number);
    const minors = await reserveMinors([...labelled, ...this.#promised], this.#options.prefix);
    for (const minor of minors) this.#promised.add(minor);
    return minors;
  }

  async #readLoops(instance: Instance): Promise<number[]> {
    const format = `{{index .Config.Labels "${LOOPS_LABEL}"}}`;
    return (await runDocker('inspect', '--format', format, this.#container(instance)))
      .split(',')
      .map(Number);
  }

  async launch(instance: Instance, image: Image, authorizedKeys: string[]): Promise<void> {
    const release = findRelease(image);
    if (release === null) {
      throw new Error(`The lab boots Debian 12 and 13 only; ${image.id} is ${image.name}.`);
    }
    const { tables } = this.#world;
    const subnet = tables.subnets[instance.subnet];
    const vpc = tables.vpcs[subnet?.vpc ?? ''];
    if (vpc === undefined) throw new Error(`${instance.id} has no VPC.`);
    await this.#handle(instance, async () => {
      await this.#create(instance, vpc, release);
      const identity = buildIdentity(instance, {
        authorizedKeys,
        registryMirror: this.#options.registryMirror,
        services: this.#options.s3?.services,
      });
      await this.#writeFile(instance, 'instance.json', identity);
      await this.#identities.write(instance);
      await runDocker('start', this.#container(instance));
    });
  }

  async #create(instance: Instance, vpc: Vpc, release: DebianRelease): Promise<void> {
    const { world, hostImage, prefix, s3 } = this.#options;
    const container = this.#container(instance);
    const image = await this.#oneByOne(() => hostImage(release));
    const network = await this.#oneByOne(() => this.#ensureNetwork(vpc));
    const loops = await this.#oneByOne(() => this.#reserveLoops());
    await runDocker(
      'create',
      ...buildCreateArguments(instance, { world, network, loops, services: s3?.services }),
      image,
    );
    for (const minor of loops) this.#promised.delete(minor);
    if (instance.publicIp === null) return;
    const internet = await this.#oneByOne(() => ensureInternet({ world, prefix }));
    await runDocker('network', 'connect', '--ip', instance.publicIp, internet, container);
  }

  /** Puts a file into the machine's /etc/lab, running or not. */
  async #writeFile(instance: Instance, name: string, text: string): Promise<void> {
    const folder = join(this.#world.directory, 'instances', instance.id);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, name);
    writeFileSync(file, text);
    await runDocker('cp', file, `${this.#container(instance)}:/etc/lab/${name}`);
  }

  async start(instance: Instance): Promise<void> {
    const { world, prefix } = this.#options;
    const container = this.#container(instance);
    await this.#handle(instance, async () => {
      if (instance.publicIp !== null) {
        const internet = await this.#oneByOne(() => ensureInternet({ world, prefix }));
        await runDocker('network', 'disconnect', '--force', internet, container).catch(() => {});
        await runDocker('network', 'connect', '--ip', instance.publicIp, internet, container);
      }
      await this.#writeVolumes(instance);
      await runDocker('start', container);
    });
  }

  /** Boots what should run but does not, e.g. after a restart of the computer, which loses the loop devices. */
  async resume(): Promise<void> {
    const { instances, volumes, endpoints } = this.#world.tables;
    for (const endpoint of Object.values(endpoints)) await this.openEndpoint(endpoint);
    const running = new Set((await this.#listRunning()).map(({ id }) => id));
    const asleep = Object.values(instances).filter(
      ({ id, state }) => state === 'running' && !running.has(id),
    );
    for (const instance of asleep) {
      const loops = await this.#readLoops(instance);
      for (const { id, root, attachment } of Object.values(volumes)) {
        if (!root && attachment?.instance === instance.id) await this.#disks.connect(id, loops);
      }
      await this.#writeVolumes(instance);
      await this.#handle(instance, () => runDocker('start', this.#container(instance)));
    }
    await this.syncFirewalls();
    await this.syncIdentities();
  }

  async stop(instance: Instance, force = false): Promise<void> {
    await this.#handle(instance, async () => {
      if (force) await runDocker('kill', this.#container(instance));
      else await this.#shutDown(instance);
    });
  }

  async reboot(instance: Instance): Promise<void> {
    await this.#handle(instance, async () => {
      await this.#shutDown(instance);
      await runDocker('start', this.#container(instance));
    });
    await this.syncFirewalls();
  }

  async terminate(instance: Instance): Promise<void> {
    this.#ended.add(instance.id);
    if (await this.#exists(instance)) {
      await this.#handle(instance, async () => {
        await this.#shutDown(instance);
        await runDocker('rm', '--force', '--volumes', this.#container(instance));
      });
    }
    rmSync(join(this.#world.directory, 'instances', instance.id), { recursive: true, force: true });
  }

  /** Asks the system to shut down, like ACPI; cuts the power of a hanging one (a paused container). */
  async #shutDown(instance: Instance): Promise<void> {
    const container = this.#container(instance);
    const paused = await runDocker('inspect', '--format', '{{.State.Paused}}', container);
    // Docker would unpause it to stop it.
    if (paused === 'true') await runDocker('kill', container);
    else await runDocker('stop', '--time', SHUTDOWN_SECONDS, container);
  }

  createVolume = (volume: Volume) => this.#disks.create(volume);
  growVolume = (volume: Volume) => this.#disks.grow(volume);
  copyVolume = (volume: Volume, snapshot: string) => this.#disks.copy(volume, snapshot);
  deleteVolume = (volume: Volume) => this.#disks.delete(volume);

  async attach(volume: Volume, instance: Instance): Promise<void> {
    const loops = await this.#readLoops(instance);
    await this.#oneByOne(() => this.#disks.connect(volume.id, loops));
    try {
      await this.#showVolumes(instance);
    } catch (error) {
      await this.#disks.disconnect(volume.id);
      throw error;
    }
  }

  async detach(volume: Volume, instance: Instance, force: boolean): Promise<boolean> {
    if (volume.root) return true;
    const minor = await this.#disks.findMinor(volume.id);
    if (minor === undefined) return true;
    if (!force && (await this.#disks.isBusy(minor))) return false;
    await this.#disks.disconnect(volume.id);
    if (await this.#exists(instance)) await this.#showVolumes(instance);
    return true;
  }

  async #exists(instance: Instance): Promise<boolean> {
    return (
      (await runDocker(
        'ps',
        '--all',
        '--quiet',
        '--filter',
        `name=^/${this.#container(instance)}$`,
      )) !== ''
    );
  }

  /** Writes the machine's volume list and makes a running machine create the device nodes; otherwise its boot does. */
  async #showVolumes(instance: Instance): Promise<void> {
    const volumes = await this.#writeVolumes(instance);
    const container = this.#container(instance);
    const running = await runDocker('inspect', '--format', '{{.State.Running}}', container);
    if (running !== 'true') return;
    const links = volumes.map(
      (id) => `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id.replace('-', '')}`,
    );
    // A booting machine has no systemd to ask yet, or has read the list a moment too early.
    const script =
      'systemctl start lab-volumes && [ "$(ls -d /dev/disk/by-id/nvme-* 2>/dev/null | sort | xargs)" = "$1" ]';
    const deadline = Date.now() + BOOT_MS;
    for (;;) {
      try {
        await runDocker('exec', container, 'sh', '-c', script, 'sh', links.sort().join(' '));
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  /** Writes the list that the machine's boot reads; returns the volumes on it. */
  async #writeVolumes(instance: Instance): Promise<string[]> {
    const volumes: string[] = [];
    const lines: string[] = [];
    for (const { id, root, attachment } of Object.values(this.#world.tables.volumes)) {
      if (root || attachment?.instance !== instance.id) continue;
      const minor = await this.#disks.findMinor(id);
      if (minor === undefined) continue;
      volumes.push(id);
      lines.push(`${id} 7:${minor}\n`);
    }
    await this.#writeFile(instance, 'volumes', lines.join(''));
    return volumes;
  }

  async syncFirewalls(): Promise<void> {
    if (this.#outbound.isNeeded(this.#world.tables)) {
      await this.#oneByOne(async () => this.#outbound.sync(await this.#listRunning()));
    }
    await this.#firewalls.sync();
  }

  syncIdentities = () => this.#identities.sync();

  async openEndpoint(endpoint: Endpoint): Promise<void> {
    const { world, hostImage } = this.#options;
    const vpc = this.#world.tables.vpcs[endpoint.vpc];
    if (vpc === undefined) throw new Error(`${endpoint.id} has no VPC.`);
    await startInterface(world, endpoint, async () => {
      const image = await hostImage('13');
      const network = await this.#oneByOne(() => this.#ensureNetwork(vpc));
      await runDocker('create', ...buildInterface(endpoint, { world, network, image }));
    });
  }

  dial({ id }: Endpoint, address: string, port: number): Promise<Duplex> {
    return dialFrom(this.#options.world, id, `${address} ${port}`);
  }

  closeEndpoint(endpoint: Endpoint): Promise<void> {
    return removeInterface(this.#options.world, endpoint);
  }

  /** The running machines and endpoints with the ids of their first processes. */
  async #listFiltered(): Promise<{ pid: number; id: string }[]> {
    const lists = [INSTANCE_LABEL, ENDPOINT_LABEL].map((label) => this.#listRunning(label));
    return (await Promise.all(lists)).flat();
  }

  async #listRunning(label = INSTANCE_LABEL): Promise<{ pid: number; id: string }[]> {
    const filter = [
      '--filter',
      `label=${WORLD_LABEL}=${this.#options.world}`,
      '--filter',
      `label=${label}`,
    ];
    const containers = (await runDocker('ps', '--quiet', ...filter)).split('\n').filter(Boolean);
    const format = `{{.State.Pid}} {{index .Config.Labels "${label}"}}`;
    // One by one, because a machine may have been terminated since it was listed.
    const lines = await Promise.all(
      containers.map((container) =>
        runDocker('inspect', '--format', format, container).catch(() => '0'),
      ),
    );
    return lines.map((line) => {
      const [pid, id = ''] = line.split(' ');
      return { pid: Number(pid), id };
    });
  }

  async deleteNetwork(vpc: Vpc): Promise<void> {
    const name = nameNetwork(this.#options.world, vpc.id);
    if (await runDocker('network', 'ls', '--quiet', '--filter', `name=^${name}$`))
      await runDocker('network', 'rm', name);
  }
}
