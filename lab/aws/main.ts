import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DebianRelease } from '../images/catalogue.ts';
import { ensureHost } from '../images/images.ts';
import type { S3 } from '../s3/s3.ts';
import type { Image } from './catalogue/images.ts';
import { nameImage } from './catalogue/images.ts';
import { type Compute, noCompute } from './compute/compute.ts';
import { destroyCompute } from './compute/destroy.ts';
import { DockerCompute } from './compute/docker.ts';
import { nameContainer } from './compute/machine.ts';
import { watchMachines } from './compute/watch.ts';
import * as ec2 from './ec2.ts';
import { serveTunnels, type TunnelServer } from './instance-connect/server.ts';
import { lockWorld } from './lock.ts';
import { startModifications } from './modification.ts';
import { Provider } from './provider.ts';
import { serveQueries } from './query/server.ts';
import type { AccessKey } from './query/signature.ts';
import type { Context } from './resource.ts';
import { serveProvider } from './server.ts';
import { type Clock, type Instance, SYSTEM_CLOCK, type Tables, World } from './world.ts';

/** Options of a world's EC2. */
export interface AwsOptions {
  /** The name of the world: of its folder `lab/.out/<world>`, its containers, networks and labels. */
  readonly world: string;
  /** `containers` (default): machines really boot. `none`: an apply only records them. */
  readonly instances?: 'containers' | 'none';
  /** Returns the Docker image that runs in place of a release's machine image; required for containers. */
  readonly hostImage?: (release: DebianRelease) => Promise<string>;
  /** The registry that the machines' Docker tries first, e.g. `http://10.99.0.2:5000`. */
  readonly registryMirror?: string;
  /** The world's S3, which decides by the roles of this account. */
  readonly s3?: S3;
  /** First two bytes of the world's internet; default `10.99`, for 10.99.0.0/16. */
  readonly prefix?: string;
  /** The access key with which requests to `endpoint` are signed; by default `lab` with the secret `lab`. */
  readonly key?: AccessKey;
  /** By default the time of this computer. */
  readonly clock?: Clock;
  /** Where the world is stored; default `lab/.out/<world>/aws`. */
  readonly directory?: string;
}

/** A running AWS emulator. */
export interface Aws {
  /** The value of TF_REATTACH_PROVIDERS. */
  readonly reattach: string;
  /** The value of AWS_ENDPOINT_URL_EC2: EC2's own API, for requests without Terraform. */
  readonly endpoint: string;
  /** What is behind the names of Instance Connect Endpoints. */
  readonly tunnels: Omit<TunnelServer, 'stop'>;
  /** Everything that exists, for reading; use `edit` for changes. */
  readonly tables: Tables;
  listInstances(): InstanceView[];
  /** Restarts a machine's system, as RebootInstances does. */
  reboot(instanceId: string): Promise<void>;
  /** Stops a machine; by force also one on broken hardware. */
  stopInstance(instanceId: string, options?: { force?: boolean }): Promise<void>;
  startInstance(instanceId: string): Promise<void>;
  /** Terminates a machine outside Terraform, even with termination protection. */
  terminate(instanceId: string): Promise<void>;
  /** Changes the world outside Terraform, e.g. a security group's rules; ports follow. */
  edit(change: (tables: Tables) => void): Promise<void>;
  /**
   * Publishes a machine image of Debian (13 by default) that is newer than all others, in both architectures; returns
   * their ids.
   */
  publishImage(region: string, build: string, release?: DebianRelease): string[];
  /** Stops answering; machines and volumes stay. */
  stop(): Promise<void>;
  /** Removes everything in the world: machines, volumes, networks, loop devices, files. */
  destroyEverything(): Promise<void>;
}

/** A machine as tests and the demo see it. */
export interface InstanceView {
  readonly id: string;
  readonly name: string;
  readonly state: Instance['state'];
  readonly container: string;
  readonly privateIp: string;
  readonly publicIp: string | null;
  readonly volumes: string[];
}

const DEBIAN = '136693071363';

function makeDebian(
  region: string,
  { build, release }: { build: string; release: DebianRelease },
  architecture: Image['architecture'],
): Image {
  const name = `debian-${release}-${architecture === 'arm64' ? 'arm64' : 'amd64'}-${build}`;
  return {
    id: nameImage(region, name),
    region,
    name,
    owner: DEBIAN,
    ownerAlias: null,
    architecture,
    created: new Date().toISOString(),
    rootDevice: '/dev/xvda',
    rootSize: 8,
    description: `Debian ${release} (${build})`,
  };
}

/**
 * Starts the emulator: an EC2 whose contents outlive the process and a Terraform provider in front of it.
 * Run Terraform in another process and asynchronously.
 */
export async function startAws(options: AwsOptions): Promise<Aws> {
  const { world: name, directory = locateWorld(options.world), prefix = '10.99' } = options;
  const { clock = SYSTEM_CLOCK } = options;
  const unlock = lockWorld(directory);
  const world = new World(directory, `${prefix}.0.0/16`, clock);
  const { compute, unwatch } = await startCompute(world, options);
  // A Unix socket's path must be short.
  const run = mkdtempSync(join(tmpdir(), 'pgca-aws-'));
  const server = await serveProvider(new Provider(world, compute).methods, {
    socket: join(run, 'provider.sock'),
    log: join(directory, 'provider.log'),
  });
  const contextOf = (instanceId: string): Context => {
    const region = world.tables.instances[instanceId]?.region ?? '';
    return { world, compute, region };
  };
  const tunnels = await serveTunnels({ world, compute }, options.key);
  const queries = await serveQueries({ world, compute, tunnels: tunnels.address }, options.key);
  const endModifications = startModifications({ world, compute });
  const stop = async () => {
    unwatch();
    await endModifications();
    await queries.stop();
    await tunnels.stop();
    await server.stop();
    unlock();
    rmSync(run, { recursive: true, force: true });
  };
  return {
    reattach: server.reattach,
    endpoint: queries.endpoint,
    tunnels,
    tables: world.tables,
    listInstances: () => listInstances(world, name),
    reboot: (id) => compute.reboot(ec2.findInstance(id, contextOf(id))),
    stopInstance: (id, how) => ec2.stopInstance(id, contextOf(id), how),
    startInstance: (id) => ec2.startInstance(id, contextOf(id)),
    terminate: (id) => endInstance(id, contextOf(id)),
    async edit(change) {
      change(world.tables);
      world.save();
      await compute.syncFirewalls();
      await compute.syncIdentities();
    },
    publishImage(region, build, release = '13') {
      const images = (['x86_64', 'arm64'] as const).map((one) =>
        makeDebian(region, { build, release }, one),
      );
      for (const image of images) world.tables.images[image.id] = image;
      world.save();
      return images.map(({ id }) => id);
    },
    stop,
    async destroyEverything() {
      await stop();
      await destroyAws(options);
    },
  };
}

/** Terminates a machine, even if it is protected. */
async function endInstance(id: string, context: Context): Promise<void> {
  ec2.findInstance(id, context).protected = false;
  await ec2.terminateInstance(id, context);
}

function locateWorld(name: string): string {
  return join(import.meta.dirname, '..', '.out', name, 'aws');
}

async function startCompute(
  world: World,
  {
    world: name,
    instances = 'containers',
    hostImage,
    registryMirror,
    s3,
    prefix = '10.99',
  }: AwsOptions,
): Promise<{ compute: Compute; unwatch: () => void }> {
  if (instances === 'none') return { compute: noCompute, unwatch: () => {} };
  if (hostImage === undefined) throw new Error("startAws needs hostImage, or instances: 'none'.");
  const compute = new DockerCompute(world, {
    world: name,
    hostImage,
    prefix,
    ...(registryMirror !== undefined && { registryMirror }),
    ...(s3 && { s3 }),
  });
  // EC2 considers a machine terminated if its container was removed.
  const lose = async (id: string) => {
    const region = world.tables.instances[id]?.region ?? '';
    if (compute.isLost(id)) await endInstance(id, { world, compute, region });
  };
  const unwatch = watchMachines(name, (event) => {
    const followed = event.kind === 'loss' ? lose(event.instance) : compute.follow(event);
    followed.catch((error) => console.error(`lab/aws: ${event.instance}: ${error}`));
  });
  for (const id of await compute.listLost()) await lose(id);
  await compute.resume();
  return { compute, unwatch };
}

/** Removes everything in a world without starting it: machines, volumes, networks, loop devices, files. */
export async function destroyAws({
  world,
  directory = locateWorld(world),
  instances = 'containers',
}: Pick<AwsOptions, 'world' | 'directory' | 'instances'>): Promise<void> {
  if (instances === 'containers') await destroyCompute(world, directory);
  rmSync(directory, { recursive: true, force: true });
}

function listInstances(world: World, name: string): InstanceView[] {
  const { instances, volumes } = world.tables;
  return Object.values(instances).map((one) => ({
    id: one.id,
    name: one.tags.Name ?? '',
    state: one.state,
    container: nameContainer(name, one.id),
    privateIp: one.privateIp,
    publicIp: one.publicIp,
    volumes: Object.values(volumes)
      .filter((volume) => !volume.root && volume.attachment?.instance === one.id)
      .map(({ id }) => id),
  }));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      world: { type: 'string', default: 'lab' },
      instances: { type: 'string', default: 'containers' },
      'registry-mirror': { type: 'string' },
      prefix: { type: 'string', default: '10.99' },
      environment: { type: 'string' },
    },
  });
  const aws = await startAws({
    world: values.world,
    prefix: values.prefix,
    instances: values.instances === 'none' ? 'none' : 'containers',
    hostImage: ensureHost,
    ...(values['registry-mirror'] !== undefined && { registryMirror: values['registry-mirror'] }),
  });
  const line = Object.entries({
    TF_REATTACH_PROVIDERS: aws.reattach,
    AWS_ENDPOINT_URL_EC2: aws.endpoint,
    NODE_EXTRA_CA_CERTS: aws.tunnels.certificateFile,
  })
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('');
  if (values.environment !== undefined) writeFileSync(values.environment, line);
  process.stdout.write(line);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void aws.stop().then(() => process.exit(0)));
  }
}
