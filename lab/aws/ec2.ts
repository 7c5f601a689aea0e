import { ApiError, ProviderError } from './api-error.ts';
import { findInstanceType } from './catalogue/instance-types.ts';
import { parseCidr, writeAddress } from './cidr.ts';
import type { Context } from './resource.ts';
import type { Instance, Volume } from './world.ts';

/** Returns the instance; throws EC2's refusal if it does not exist. */
export function findInstance(
  id: string,
  { world, region }: Pick<Context, 'world' | 'region'>,
): Instance {
  const found = world.tables.instances[id];
  if (found === undefined || found.region !== region) {
    throw new ApiError('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
  }
  return found;
}

/** Returns the volume; throws EC2's refusal if it does not exist. */
export function findVolume(
  id: string,
  { world, region }: Pick<Context, 'world' | 'region'>,
): Volume {
  const found = world.tables.volumes[id];
  if (found === undefined || found.region !== region) {
    throw new ApiError('InvalidVolume.NotFound', `The volume '${id}' does not exist.`);
  }
  return found;
}

/** The lowest free address of a network, starting at the given offset. */
function takeAddress(cidr: string, offset: number, taken: readonly (string | null)[]): string {
  const block = parseCidr(cidr);
  if (block === undefined) throw new ApiError('InvalidParameterValue', `${cidr} is no network`);
  for (let at = offset; at < block.size - 1; at += 1) {
    const address = writeAddress(block.first + at);
    if (!taken.includes(address)) return address;
  }
  throw new ApiError(
    'InsufficientFreeAddressesInSubnet',
    'The specified subnet does not have enough free addresses to satisfy the request.',
  );
}

/** A private address of the subnet; EC2 reserves the first four of each. */
export function takePrivateAddress(subnet: string, { world }: Pick<Context, 'world'>): string {
  const cidr = world.tables.subnets[subnet]?.cidr ?? '';
  const { instances, endpoints, natGateways } = world.tables;
  const interfaces = [instances, endpoints, natGateways].flatMap((table) => [
    ...Object.values<{ subnet: string; privateIp: string }>(table),
  ]);
  return takeAddress(
    cidr,
    4,
    interfaces.filter((one) => one.subnet === subnet).map((one) => one.privateIp),
  );
}

/** A public address that was not in use just before: as on EC2, a restarted instance gets a different one. */
export function takePublicAddress(
  { world }: Pick<Context, 'world'>,
  previous: string | null = null,
): string {
  const { instances, addresses } = world.tables;
  const taken = [...Object.values(instances), ...Object.values(addresses)].map(
    ({ publicIp }) => publicIp,
  );
  // The first 256 belong to the lab: the computer that it runs on is the gateway .0.1, the registry is .0.2.
  return takeAddress(world.internet, 256, [...taken, previous]);
}

/**
 * StopInstances, and the provider's wait for its end. The public address is released. A forced stop asks no
 * system to shut down; on broken hardware only a forced stop ends.
 */
export async function stopInstance(
  id: string,
  context: Context,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const instance = findInstance(id, context);
  if (instance.stopProtected) {
    throw new ApiError(
      'OperationNotPermitted',
      `The instance '${id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.`,
    );
  }
  if (instance.state === 'stopped') return;
  if (instance.stopHangs && !force) {
    instance.state = 'stopping';
    context.world.save();
    throw new ProviderError(
      `waiting for EC2 Instance (${id}) stop: timeout while waiting for state to become 'stopped' (last state: 'stopping', timeout: 10m0s)`,
    );
  }
  await context.compute.stop(instance, force);
  instance.state = 'stopped';
  instance.publicIp = null;
  context.world.save();
}

/** EC2's refusal to start a type for which the zone has no capacity; `message` depends on the request. */
export function refuseShortage(
  { type, zone }: { type: string; zone: string },
  { world }: Pick<Context, 'world'>,
  message = 'Insufficient capacity.',
): void {
  const { shortages } = world.tables;
  if (!shortages.includes(type) && !shortages.includes(`${type} ${zone}`)) return;
  throw new ApiError('InsufficientInstanceCapacity', message);
}

/** EC2's refusal to start an instance beyond the quota of vCPUs. It names neither the type nor the zone. */
export function refuseVcpus(type: string, { world, region }: Pick<Context, 'world' | 'region'>) {
  const { instances, quotas } = world.tables;
  const count = (name: string) => findInstanceType(name)?.vcpus ?? 0;
  const used = Object.values(instances)
    .filter((one) => one.region === region && one.state === 'running')
    .reduce((sum, one) => sum + count(one.type), 0);
  if (used + count(type) <= quotas.vcpus) return;
  throw new ApiError(
    'VcpuLimitExceeded',
    `You have requested more vCPU capacity than your current vCPU limit of ${quotas.vcpus} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.`,
  );
}

/** The instance profile of a request, null without one; refused, in EC2's words, where the account has none of that name. */
export function chooseProfile(
  name: string | null,
  { world }: Pick<Context, 'world'>,
): string | null {
  if (name === null || world.tables.instanceProfiles[name] !== undefined) return name;
  throw new ApiError(
    'InvalidParameterValue',
    `Value (${name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`,
  );
}

/** StartInstances. An instance that had a public address gets a different one. */
export async function startInstance(
  id: string,
  context: Context,
  previous: string | null = null,
): Promise<void> {
  const instance = findInstance(id, context);
  if (instance.state === 'running') return;
  const zone = context.world.tables.subnets[instance.subnet]?.zone ?? '';
  refuseVcpus(instance.type, context);
  refuseShortage({ type: instance.type, zone }, context);
  if (instance.publicIpWanted) instance.publicIp = takePublicAddress(context, previous);
  instance.state = 'running';
  await context.compute.start(instance);
  await context.compute.syncFirewalls();
  context.world.save();
}

/** TerminateInstances. Volumes stay unless they are deleted with the instance. */
export async function terminateInstance(id: string, context: Context): Promise<void> {
  const instance = findInstance(id, context);
  if (instance.protected) {
    throw new ApiError(
      'OperationNotPermitted',
      `The instance '${id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
    );
  }
  await context.compute.terminate(instance);
  const { volumes, instances } = context.world.tables;
  for (const volume of Object.values(volumes)) {
    if (volume.attachment?.instance !== id) continue;
    const { deleteOnTermination } = volume.attachment;
    await context.compute.detach(volume, instance, true);
    volume.attachment = null;
    if (!deleteOnTermination) continue;
    await context.compute.deleteVolume(volume);
    delete volumes[volume.id];
  }
  delete instances[id];
  await context.compute.syncFirewalls();
  context.world.save();
}

/** AttachVolume. */
export async function attachVolume(
  {
    volume: volumeId,
    instance: instanceId,
    device,
  }: { volume: string; instance: string; device: string },
  context: Context,
): Promise<void> {
  const volume = findVolume(volumeId, context);
  const instance = findInstance(instanceId, context);
  const subnet = context.world.tables.subnets[instance.subnet];
  if (volume.zone !== subnet?.zone) {
    throw new ApiError(
      'InvalidVolume.ZoneMismatch',
      `The volume '${volumeId}' is not in the same availability zone as instance '${instanceId}'`,
    );
  }
  if (volume.attachment !== null) {
    throw new ApiError('VolumeInUse', `${volumeId} is already attached to an instance`);
  }
  const others = Object.values(context.world.tables.volumes);
  if (
    others.some(
      ({ attachment }) => attachment?.instance === instanceId && attachment.device === device,
    )
  ) {
    throw new ApiError(
      'InvalidParameterValue',
      `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`,
    );
  }
  volume.attachment = { instance: instanceId, device, deleteOnTermination: false };
  try {
    await context.compute.attach(volume, instance);
  } catch (error) {
    volume.attachment = null;
    throw error;
  }
  context.world.save();
}

/** DetachVolume; returns false if the machine does not release the volume because it is mounted. */
export async function detachVolume(
  { volume: volumeId, force }: { volume: string; force: boolean },
  context: Context,
): Promise<boolean> {
  const volume = findVolume(volumeId, context);
  if (volume.attachment === null) return true;
  const instance = findInstance(volume.attachment.instance, context);
  if (!(await context.compute.detach(volume, instance, force))) return false;
  volume.attachment = null;
  context.world.save();
  return true;
}
