import { type HostServices, listHostArguments } from '../../s3/s3.ts';
import type { Instance } from '../world.ts';

/** The labels that link the lab's Docker objects to their world, their instance, endpoint or VPC, and their loop devices. */
export const WORLD_LABEL = 'postgres-cluster-lab';
export const INSTANCE_LABEL = 'postgres-cluster-lab.instance';
export const ENDPOINT_LABEL = 'postgres-cluster-lab.endpoint';
export const LOOPS_LABEL = 'postgres-cluster-lab.loops';
export const VPC_LABEL = 'postgres-cluster-lab.vpc';

// A system, not a process: systemd as PID 1, its own Docker, mounts. SYS_RESOURCE is never granted,
// because not every machine that runs the lab has it.
const MACHINE = [
  '--cap-add=ALL',
  '--cap-drop=SYS_RESOURCE',
  '--security-opt=seccomp=unconfined',
  '--security-opt=apparmor=unconfined',
  '--security-opt=systempaths=unconfined',
  '--cgroupns=host',
  '--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw',
  '--tmpfs=/run',
  '--tmpfs=/run/lock',
];

/** The container of an instance or an endpoint. */
export function nameContainer(world: string, id: string): string {
  return `pgca-${world}-${id}`;
}

/** The Docker network of a VPC. */
export function nameNetwork(world: string, vpc: string): string {
  return `pgca-${world}-${vpc}`;
}

function nameHost({ privateIp }: Instance): string {
  return `ip-${privateIp.replaceAll('.', '-')}`;
}

/** The arguments of `docker create` for an instance, without the image; `loops` are its loop device numbers. */
export function buildCreateArguments(
  instance: Instance,
  {
    world,
    network,
    loops,
    services,
  }: {
    world: string;
    network: string;
    loops: readonly number[];
    services?: HostServices | undefined;
  },
): string[] {
  const labels = [
    `${WORLD_LABEL}=${world}`,
    `${INSTANCE_LABEL}=${instance.id}`,
    `${LOOPS_LABEL}=${loops.join()}`,
  ];
  return [
    `--name=${nameContainer(world, instance.id)}`,
    `--hostname=${nameHost(instance)}`,
    `--network=${network}`,
    `--ip=${instance.privateIp}`,
    ...labels.map((label) => `--label=${label}`),
    ...MACHINE,
    ...listHostArguments(services),
    // The machine can use only its own loop devices.
    ...loops.map((minor) => `--device-cgroup-rule=b 7:${minor} rmw`),
  ];
}

/** What a machine's first boot reads from /etc/lab/instance.json: its identity and its authorized keys. */
export function buildIdentity(
  instance: Instance,
  {
    authorizedKeys,
    registryMirror,
    services,
  }: {
    authorizedKeys: readonly string[];
    registryMirror: string | undefined;
    services: HostServices | undefined;
  },
): string {
  const identity = {
    instance_id: instance.id,
    hostname: nameHost(instance),
    authorized_keys: authorizedKeys,
    registry_mirror: registryMirror,
    certificate: services?.certificate,
  };
  return `${JSON.stringify(identity, null, 1)}\n`;
}
