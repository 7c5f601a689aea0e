import { ApiError, call } from '../api-error.ts';
import type { Image } from '../catalogue/images.ts';
import { findInstanceType, type InstanceType, isOffered } from '../catalogue/instance-types.ts';
import {
  chooseProfile,
  refuseShortage,
  refuseVcpus,
  takePrivateAddress,
  takePublicAddress,
} from '../ec2.ts';
import {
  type Context,
  firstBlock,
  numberOrNull,
  readTags,
  text,
  textOrNull,
  texts,
} from '../resource.ts';
import { type Fields, isFields } from '../values.ts';
import { chooseRates, refuseShape } from '../volume-shape.ts';
import {
  type Instance,
  type KeyPair,
  makeId,
  type Subnet,
  type Tags,
  type Volume,
} from '../world.ts';

import { nameDefaultKey } from './ebs-volume.ts';

/** The checked parts of a launch. */
interface Parts {
  readonly image: Image;
  readonly type: InstanceType;
  readonly subnet: Subnet;
  readonly key: KeyPair | null;
  readonly groups: string[];
  readonly profile: string | null;
}

function chooseImage(planned: Fields, { world, region }: Context): Image {
  const id = text(planned.ami);
  const image = world.listImages(region).find((one) => one.id === id);
  if (image === undefined)
    throw new ApiError('InvalidAMIID.NotFound', `The image id '[${id}]' does not exist`);
  return image;
}

function chooseType(planned: Fields, image: Image): InstanceType {
  const name = text(planned.instance_type);
  const type = findInstanceType(name);
  if (type === undefined) {
    throw new ApiError('InvalidParameterValue', `Invalid value '${name}' for InstanceType.`);
  }
  if (type.architecture !== image.architecture) {
    throw new ApiError(
      'InvalidParameterValue',
      `The architecture '${type.architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.`,
    );
  }
  if (planned.ebs_optimized === true && name.startsWith('t2.')) {
    throw new ApiError(
      'Unsupported',
      'The requested configuration is currently not supported. Please check the documentation for supported configurations.',
    );
  }
  return type;
}

function chooseSubnet(planned: Fields, type: InstanceType, { world, region }: Context): Subnet {
  const id = text(planned.subnet_id);
  if (id === '') {
    throw new ApiError(
      'VPCIdNotSpecified',
      'No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.',
    );
  }
  const subnet = world.tables.subnets[id];
  if (subnet === undefined || subnet.region !== region) {
    throw new ApiError('InvalidSubnetID.NotFound', `The subnet ID '${id}' does not exist`);
  }
  const zone = textOrNull(planned.availability_zone);
  if (zone !== null && zone !== subnet.zone) {
    throw new ApiError(
      'InvalidParameterValue',
      `The availability zone '${zone}' of the request does not match the subnet '${id}', which is in '${subnet.zone}'.`,
    );
  }
  if (!isOffered(type, subnet.zone)) {
    const offered = world.listZones(region).filter((other) => isOffered(type, other));
    throw new ApiError(
      'Unsupported',
      `Your requested instance type (${type.name}) is not supported in your requested Availability Zone (${subnet.zone}). Please retry your request by not specifying an Availability Zone or choosing ${offered.join(', ')}.`,
    );
  }
  return subnet;
}

function chooseKey(planned: Fields, { world, region }: Context): KeyPair | null {
  const name = textOrNull(planned.key_name);
  if (name === null) return null;
  const key = world.tables.keyPairs[`${region}/${name}`];
  if (key === undefined)
    throw new ApiError('InvalidKeyPair.NotFound', `The key pair '${name}' does not exist`);
  return key;
}

function chooseGroups(planned: Fields, subnet: Subnet, { world }: Context): string[] {
  const wanted = texts(planned.vpc_security_group_ids);
  for (const id of wanted) {
    const group = world.tables.groups[id];
    if (group === undefined)
      throw new ApiError('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
    if (group.vpc !== subnet.vpc) {
      throw new ApiError(
        'InvalidParameter',
        `Security group ${id} and subnet ${subnet.id} belong to different networks.`,
      );
    }
  }
  return wanted.length > 0 ? wanted : [world.tables.vpcs[subnet.vpc]?.defaultGroup ?? ''];
}

function chooseParts(planned: Fields, context: Context): Parts {
  const image = chooseImage(planned, context);
  const type = chooseType(planned, image);
  const subnet = chooseSubnet(planned, type, context);
  refuseVcpus(type.name, context);
  refuseShortage(
    { type: type.name, zone: subnet.zone },
    context,
    `We currently do not have sufficient ${type.name} capacity in the Availability Zone you requested (${subnet.zone}). Our system will be working on provisioning additional capacity. You can currently get ${type.name} capacity by not specifying an Availability Zone in your request.`,
  );
  return {
    image,
    type,
    subnet,
    key: chooseKey(planned, context),
    groups: chooseGroups(planned, subnet, context),
    profile: chooseProfile(textOrNull(planned.iam_instance_profile), context),
  };
}

function makeRootVolume(
  planned: Fields,
  { image, subnet }: Parts,
  { region, defaultTags }: Context,
): Volume {
  const wanted = firstBlock(planned.root_block_device);
  const type = textOrNull(wanted.volume_type) ?? 'gp3';
  const size = numberOrNull(wanted.volume_size) ?? image.rootSize;
  if (size < image.rootSize) {
    throw new ApiError(
      'InvalidBlockDeviceMapping',
      `Volume of size ${size}GB is smaller than snapshot 'snap-${image.id.slice(4)}', expect size >= ${image.rootSize}GB`,
    );
  }
  const rates = { iops: numberOrNull(wanted.iops), throughput: numberOrNull(wanted.throughput) };
  const encrypted = wanted.encrypted === true;
  const tags = wanted.tags ?? planned.volume_tags;
  const volume: Volume = {
    id: makeId('vol'),
    region,
    zone: subnet.zone,
    encrypted,
    kmsKey: encrypted ? (textOrNull(wanted.kms_key_id) ?? nameDefaultKey(region)) : null,
    snapshot: `snap-${image.id.slice(4)}`,
    created: new Date().toISOString(),
    root: true,
    type,
    size,
    ...chooseRates(type, size, rates),
    modifications: [],
    attachment: null,
    tags: { ...defaultTags, ...(isFields(tags) ? (tags as Tags) : {}) },
  };
  refuseShape(volume);
  return volume;
}

function choosePrivateAddress(planned: Fields, subnet: Subnet, context: Context): string {
  const wanted = textOrNull(planned.private_ip);
  if (wanted === null) return takePrivateAddress(subnet.id, context);
  const living = Object.values(context.world.tables.instances);
  if (living.some((one) => one.subnet === subnet.id && one.privateIp === wanted)) {
    throw new ApiError('InvalidIPAddress.InUse', `Address ${wanted} is in use.`);
  }
  return wanted;
}

function makeInstance(
  planned: Fields,
  parts: Parts,
  context: Context,
): { instance: Instance; root: Volume } {
  const { image, type, subnet, key, groups, profile } = parts;
  const root = makeRootVolume(planned, parts, context);
  const metadata = firstBlock(planned.metadata_options);
  const wantsPublic = planned.associate_public_ip_address;
  const publicIpWanted = typeof wantsPublic === 'boolean' ? wantsPublic : subnet.mapPublicIp;
  const credits = textOrNull(firstBlock(planned.credit_specification).cpu_credits);
  const id = makeId('i');
  root.attachment = {
    instance: id,
    device: image.rootDevice,
    deleteOnTermination: firstBlock(planned.root_block_device).delete_on_termination !== false,
  };
  const instance: Instance = {
    id,
    region: context.region,
    image: image.id,
    subnet: subnet.id,
    keyName: key?.name ?? null,
    privateIp: choosePrivateAddress(planned, subnet, context),
    networkInterface: makeId('eni'),
    publicIpWanted,
    rootVolume: root.id,
    rootDevice: image.rootDevice,
    ebsOptimized: planned.ebs_optimized === true,
    launched: new Date().toISOString(),
    type: type.name,
    state: 'running',
    publicIp: publicIpWanted ? takePublicAddress(context) : null,
    groups,
    sourceDestCheck: planned.source_dest_check !== false,
    protected: planned.disable_api_termination === true,
    stopProtected: planned.disable_api_stop === true,
    monitoring: planned.monitoring === true,
    shutdownBehavior: text(planned.instance_initiated_shutdown_behavior) || 'stop',
    iamProfile: profile,
    userData: textOrNull(planned.user_data) ?? textOrNull(planned.user_data_base64),
    cpuCredits: type.burstable
      ? (credits ?? (type.name.startsWith('t2.') ? 'standard' : 'unlimited'))
      : null,
    metadata: {
      endpoint: text(metadata.http_endpoint) || 'enabled',
      hopLimit: numberOrNull(metadata.http_put_response_hop_limit) ?? 1,
      tokens: text(metadata.http_tokens) || 'optional',
      tags: text(metadata.instance_metadata_tags) || 'disabled',
      ipv6: text(metadata.http_protocol_ipv6) || 'disabled',
    },
    tags: readTags(planned),
  };
  return { instance, root };
}

/**
 * RunInstances for one machine: checks what EC2 checks, in its order, records the machine and boots it.
 * Everything before the boot runs synchronously, so concurrent launches never share an address.
 */
export async function launchInstance(
  planned: Fields,
  context: Context,
  record: (id: string) => void,
): Promise<string> {
  const { world, compute } = context;
  const { parts, instance } = await call('creating EC2 Instance', 'RunInstances', () => {
    const parts = chooseParts(planned, context);
    const { instance, root } = makeInstance(planned, parts, context);
    world.tables.volumes[root.id] = root;
    world.tables.instances[instance.id] = instance;
    return { parts, instance };
  });
  record(instance.id);
  world.save();
  await compute.launch(instance, parts.image, parts.key === null ? [] : [parts.key.publicKey]);
  await compute.syncFirewalls();
  return instance.id;
}
