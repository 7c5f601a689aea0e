import { ApiError, call } from '../api-error.ts';
import { findInstanceType } from '../catalogue/instance-types.ts';
import { chooseProfile, startInstance, stopInstance, terminateInstance } from '../ec2.ts';
import { awaitRootVolume, modifyVolume } from '../modification.ts';
import {
  type Change,
  type Context,
  firstBlock,
  numberOrNull,
  type Problem,
  type Resource,
  text,
  textOrNull,
  texts,
} from '../resource.ts';
import { type Fields, isFields, isSame, isZero, UNKNOWN, type Value } from '../values.ts';
import type { Instance, Tags, Volume } from '../world.ts';
import { launchInstance } from './instance-launch.ts';
import { readInstance } from './instance-state.ts';

const COMPUTED_BLOCKS = [
  'capacity_reservation_specification',
  'cpu_options',
  'ebs_block_device',
  'enclave_options',
  'ephemeral_block_device',
  'instance_market_options',
  'maintenance_options',
  'metadata_options',
  'network_interface',
  'primary_network_interface',
  'private_dns_name_options',
  'root_block_device',
];

/** Arguments that EC2 changes only on a stopped instance, so the provider stops and starts it. */
const STOPPED_ONLY = ['instance_type', 'user_data', 'user_data_base64'];

/** True if the argument's value changes; an unknown value counts as a change. */
function hasChange({ prior, planned }: Change, name: string): boolean {
  const before = prior[name] ?? null;
  const after = planned[name] ?? null;
  return !(isZero(before) && isZero(after)) && !isSame(before, after, ['set', 'string']);
}

function changesArchitecture({ prior, planned }: Change): boolean {
  const before = findInstanceType(text(prior.instance_type));
  const after = findInstanceType(text(planned.instance_type));
  return before !== undefined && after !== undefined && before.architecture !== after.architecture;
}

async function changeStopped(instance: Instance, change: Change, context: Context): Promise<void> {
  const { planned } = change;
  const { id } = instance;
  const type = text(planned.instance_type);
  const address = instance.publicIp;
  const doing = `updating EC2 Instance (${id})`;
  await call(`${doing}: stopping EC2 Instance (${id})`, 'StopInstances', () =>
    stopInstance(id, context),
  );
  await call(`${doing}`, 'ModifyInstanceAttribute', () => {
    if (findInstanceType(type) === undefined) {
      throw new ApiError('InvalidInstanceAttributeValue', `The instance type '${type}' is invalid`);
    }
  });
  instance.type = type;
  instance.userData = textOrNull(planned.user_data) ?? textOrNull(planned.user_data_base64);
  await call(`${doing}: starting EC2 Instance (${id})`, 'StartInstances', () =>
    startInstance(id, context, address),
  );
}

async function changeProfile(instance: Instance, planned: Fields, context: Context): Promise<void> {
  const name = textOrNull(planned.iam_instance_profile);
  const [what, operation] =
    instance.iamProfile === null
      ? ['associating', 'AssociateIamInstanceProfile']
      : name === null
        ? ['disassociating', 'DisassociateIamInstanceProfile']
        : ['replacing', 'ReplaceIamInstanceProfileAssociation'];
  const doing = `updating EC2 Instance (${instance.id}): ${what} instance profile`;
  instance.iamProfile = await call(doing, operation, () => chooseProfile(name, context));
}

async function changeGroups(instance: Instance, planned: Fields, context: Context): Promise<void> {
  const groups = texts(planned.vpc_security_group_ids);
  await call(`updating EC2 Instance (${instance.id})`, 'ModifyNetworkInterfaceAttribute', () => {
    const missing = groups.find((group) => context.world.tables.groups[group] === undefined);
    if (missing !== undefined) {
      throw new ApiError('InvalidGroup.NotFound', `The security group '${missing}' does not exist`);
    }
  });
  instance.groups = groups;
  await context.compute.syncFirewalls();
}

/** A default tag whose value changes counts as the volume's own, so that it is removed and does not come back. */
function retagVolume(volume: Volume, before: Value | undefined, after: Value | undefined): void {
  const [old, wanted] = [before, after].map((tags) => (isFields(tags) ? (tags as Tags) : {}));
  const kept = Object.entries(volume.tags).filter(([key]) => !(key in (old ?? {})));
  volume.tags = { ...Object.fromEntries(kept), ...wanted };
}

async function changeRootVolume(
  instance: Instance,
  { prior, planned }: Change,
  context: Context,
): Promise<void> {
  const before = firstBlock(prior.root_block_device);
  const after = firstBlock(planned.root_block_device);
  const wanted: Parameters<typeof modifyVolume>[1] = {};
  for (const [argument, name] of [
    ['volume_size', 'size'],
    ['iops', 'iops'],
    ['throughput', 'throughput'],
  ] as const) {
    const value = numberOrNull(after[argument]);
    if (value !== null && value !== before[argument]) wanted[name] = value;
  }
  const volume = context.world.tables.volumes[instance.rootVolume];
  if (volume !== undefined) retagVolume(volume, before.tags, after.tags);
  const type = textOrNull(after.volume_type);
  if (type !== null && type !== before.volume_type) wanted.type = type;
  if (Object.keys(wanted).length === 0) return;
  const doing = `updating EC2 Instance (${instance.id}) volume (${instance.rootVolume})`;
  await call(doing, 'ModifyVolume', () => modifyVolume(instance.rootVolume, wanted, context));
  const waiting = `waiting for EC2 Instance (${instance.id}) volume (${instance.rootVolume}) update`;
  await awaitRootVolume(instance.rootVolume, { doing: waiting, context });
}

/** Applies the changes that EC2 makes on a running instance. */
function changeRunning(instance: Instance, planned: Fields): void {
  const metadata = firstBlock(planned.metadata_options);
  instance.protected = planned.disable_api_termination === true;
  instance.stopProtected = planned.disable_api_stop === true;
  instance.monitoring = planned.monitoring === true;
  instance.sourceDestCheck = planned.source_dest_check !== false;
  instance.shutdownBehavior =
    text(planned.instance_initiated_shutdown_behavior) || instance.shutdownBehavior;
  instance.cpuCredits =
    textOrNull(firstBlock(planned.credit_specification).cpu_credits) ?? instance.cpuCredits;
  instance.metadata = {
    endpoint: text(metadata.http_endpoint) || instance.metadata.endpoint,
    hopLimit: numberOrNull(metadata.http_put_response_hop_limit) ?? instance.metadata.hopLimit,
    tokens: text(metadata.http_tokens) || instance.metadata.tokens,
    tags: text(metadata.instance_metadata_tags) || instance.metadata.tags,
    ipv6: text(metadata.http_protocol_ipv6) || instance.metadata.ipv6,
  };
}

/** `aws_instance` */
export const instance: Resource = {
  rules: {
    forceNew: [
      'ami',
      'associate_public_ip_address',
      'availability_zone',
      'cpu_options.amd_sev_snp',
      'cpu_options.core_count',
      'cpu_options.threads_per_core',
      'ebs_block_device.device_name',
      'ebs_optimized',
      'enable_primary_ipv6',
      'enclave_options.enabled',
      'ephemeral_block_device',
      'hibernation',
      'host_id',
      'instance_market_options',
      'ipv6_address_count',
      'ipv6_addresses',
      'key_name',
      'launch_template',
      'network_interface.network_interface_id',
      'placement_group',
      'placement_group_id',
      'primary_network_interface.network_interface_id',
      'private_dns_name_options',
      'private_ip',
      'root_block_device.encrypted',
      'root_block_device.kms_key_id',
      'security_groups',
      'subnet_id',
      'tenancy',
    ],
    defaults: {
      'ebs_block_device.delete_on_termination': true,
      force_destroy: false,
      get_password_data: false,
      'metadata_options.http_endpoint': 'enabled',
      'metadata_options.http_protocol_ipv6': 'disabled',
      'root_block_device.delete_on_termination': true,
      source_dest_check: true,
      user_data_replace_on_change: false,
    },
    computedBlocks: COMPUTED_BLOCKS,
  },

  validate(config): Problem[] {
    const problems: Problem[] = [];
    const launched = (config.launch_template as unknown[] | undefined)?.length === 1;
    for (const name of ['ami', 'instance_type']) {
      if ((config[name] ?? null) === null && !launched) {
        problems.push({
          summary: 'Missing required argument',
          detail: `"${name}": one of \`${name},launch_template\` must be specified`,
          attribute: name,
        });
      }
    }
    if (!isZero(config.user_data) && !isZero(config.user_data_base64)) {
      problems.push({
        summary: 'Conflicting configuration arguments',
        detail: '"user_data": conflicts with user_data_base64',
        attribute: 'user_data',
      });
    }
    if (typeof config.user_data === 'string' && config.user_data.length > 16384) {
      problems.push({
        summary: 'expected length of user_data to be in the range (0 - 16384)',
        detail: '',
        attribute: 'user_data',
      });
    }
    const metadata = firstBlock(config.metadata_options);
    const hops = metadata.http_put_response_hop_limit;
    if (typeof hops === 'number' && (hops < 1 || hops > 64)) {
      problems.push({
        summary: `expected metadata_options.0.http_put_response_hop_limit to be in the range (1 - 64), got ${hops}`,
        detail: '',
        attribute: 'metadata_options',
      });
    }
    return problems;
  },

  adjust(change) {
    const { prior, planned, config } = change;
    if (isZero(config.credit_specification))
      planned.credit_specification = prior.credit_specification ?? [];
    // A stopped instance loses its public address, so everything that depends on it waits for the new one.
    if (STOPPED_ONLY.some((name) => hasChange(change, name))) {
      planned.public_dns = UNKNOWN;
      planned.public_ip = UNKNOWN;
    }
    const userData = ['user_data', 'user_data_base64'].filter((name) => hasChange(change, name));
    return [
      ...(changesArchitecture(change) ? ['instance_type'] : []),
      ...(planned.user_data_replace_on_change === true ? userData : []),
    ];
  },

  create: launchInstance,

  read: readInstance,

  async update(id, change, context) {
    const { prior, planned } = change;
    const instance = context.world.tables.instances[id];
    if (instance === undefined) return undefined;
    if (hasChange(change, 'iam_instance_profile')) await changeProfile(instance, planned, context);
    if (hasChange(change, 'vpc_security_group_ids')) await changeGroups(instance, planned, context);
    changeRunning(instance, planned);
    if (STOPPED_ONLY.some((name) => hasChange(change, name)))
      await changeStopped(instance, change, context);
    await changeRootVolume(instance, change, context);
    if (isFields(planned.volume_tags) && !isSame(prior.volume_tags ?? null, planned.volume_tags)) {
      for (const volume of Object.values(context.world.tables.volumes)) {
        if (volume.attachment?.instance === id) volume.tags = { ...(planned.volume_tags as Tags) };
      }
    }
    return undefined;
  },

  async delete(id, recorded, context) {
    const instance = context.world.tables.instances[id];
    if (instance === undefined) return;
    // Terraform's own state decides: force_destroy must have been applied before the destroy.
    if (recorded.force_destroy === true) {
      instance.protected = false;
      instance.stopProtected = false;
    } else if (recorded.disable_api_termination === false) {
      instance.protected = false;
    }
    await call(`deleting EC2 Instance (${id})`, 'TerminateInstances', () =>
      terminateInstance(id, context),
    );
  },

  tags: (id, { world }) => world.tables.instances[id],
  import: (id) => ({
    id,
    force_destroy: false,
    get_password_data: false,
    user_data_replace_on_change: false,
  }),
};
