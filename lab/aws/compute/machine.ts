import type { Instance } from '../world.ts';

/** The labels that tie what the lab makes in Docker to its world, its instance or VPC, and its loop devices. */
export const WORLD_LABEL = 'postgres-cluster-lab';
export const INSTANCE_LABEL = 'postgres-cluster-lab.instance';
export const LOOPS_LABEL = 'postgres-cluster-lab.loops';
export const VPC_LABEL = 'postgres-cluster-lab.vpc';

// A system, not a process: systemd as PID 1, a Docker of its own, mounts. SYS_RESOURCE is left out everywhere,
// as not every machine that the lab runs on has it to give.
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

/** The container of an instance. */
export function nameContainer(world: string, instance: string): string {
  return `pgca-${world}-${instance}`;
}

/** The Docker network of a VPC. */
export function nameNetwork(world: string, vpc: string): string {
  return `pgca-${world}-${vpc}`;
}

function nameHost({ privateIp }: Instance): string {
  return `ip-${privateIp.replaceAll('.', '-')}`;
}

/** The arguments of `docker create` for an instance, the image left out; `loops` are the numbers of its loop devices. */
export function describeMachine(
  instance: Instance,
  { world, network, loops }: { world: string; network: string; loops: readonly number[] },
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
    // Of all loop devices the machine can use its own ones only.
    ...loops.map((minor) => `--device-cgroup-rule=b 7:${minor} rmw`),
  ];
}

/** What a machine's first boot reads from /etc/lab/instance.json: who it is and who may log in. */
export function describeIdentity(
  instance: Instance,
  authorizedKeys: readonly string[],
  registryMirror: string | undefined,
): string {
  const identity = {
    instance_id: instance.id,
    hostname: nameHost(instance),
    authorized_keys: authorizedKeys,
    registry_mirror: registryMirror,
  };
  return `${JSON.stringify(identity, null, 1)}\n`;
}
